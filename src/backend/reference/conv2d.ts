/**
 * Convolution (a cross-correlation) and its two gradients, directly from the definition:
 * y[n, o, oy, ox] = b[o] + Σ over c, ky, kx of x[n, c, oy·strideH − padTop + ky·dilationH, …] · w[o, c, ky, kx].
 */
import type { Backend } from '../backend.js';
import { values } from './storage.js';
import { endInside, firstInside } from './window.js';

export const conv2d: Pick<Backend, 'conv2d' | 'conv2dInputGrad' | 'conv2dWeightGrad'> = {
  conv2d(y, x, w, b, p) {
    // y [N, O, OH, OW]; x [N, C, H, W]; w [O, C/groups, KH, KW]; b [O]
    const out = values(y);
    const input = values(x);
    const weight = values(w);
    const bias = b === null ? null : values(b);
    const cPerGroup = p.c / p.groups;
    const oPerGroup = p.o / p.groups;
    for (let n = 0; n < p.n; n++) {
      for (let o = 0; o < p.o; o++) {
        const firstChannel = Math.floor(o / oPerGroup) * cPerGroup;
        for (let oy = 0; oy < p.oh; oy++) {
          const top = oy * p.strideH - p.padTop;
          const kyFrom = firstInside(top, p.dilationH);
          const kyEnd = endInside(top, p.dilationH, p.kh, p.h);
          for (let ox = 0; ox < p.ow; ox++) {
            const left = ox * p.strideW - p.padLeft;
            const kxFrom = firstInside(left, p.dilationW);
            const kxEnd = endInside(left, p.dilationW, p.kw, p.w);
            let sum = bias === null ? 0 : bias[o];
            for (let c = 0; c < cPerGroup; c++) {
              for (let ky = kyFrom; ky < kyEnd; ky++) {
                const xRow = ((n * p.c + firstChannel + c) * p.h + top + ky * p.dilationH) * p.w + left;
                const wRow = ((o * cPerGroup + c) * p.kh + ky) * p.kw;
                for (let kx = kxFrom; kx < kxEnd; kx++) sum += input[xRow + kx * p.dilationW] * weight[wRow + kx];
              }
            }
            out[((n * p.o + o) * p.oh + oy) * p.ow + ox] = p.relu ? Math.max(sum, 0) : sum;
          }
        }
      }
    }
  },

  /** dx: adds the gradient of each output, times the weight, to every input that contributed to it. */
  conv2dInputGrad(dx, dy, w, p) {
    // dx [N, C, H, W]; dy [N, O, OH, OW]; w [O, C/groups, KH, KW]
    const out = values(dx);
    const gradient = values(dy);
    const weight = values(w);
    const cPerGroup = p.c / p.groups;
    const oPerGroup = p.o / p.groups;
    const image = new Float64Array(p.c * p.h * p.w); // sums in float64, independent of the type of dx
    for (let n = 0; n < p.n; n++) {
      image.fill(0);
      for (let o = 0; o < p.o; o++) {
        const firstChannel = Math.floor(o / oPerGroup) * cPerGroup;
        for (let oy = 0; oy < p.oh; oy++) {
          const top = oy * p.strideH - p.padTop;
          const kyFrom = firstInside(top, p.dilationH);
          const kyEnd = endInside(top, p.dilationH, p.kh, p.h);
          for (let ox = 0; ox < p.ow; ox++) {
            const left = ox * p.strideW - p.padLeft;
            const kxFrom = firstInside(left, p.dilationW);
            const kxEnd = endInside(left, p.dilationW, p.kw, p.w);
            const g = gradient[((n * p.o + o) * p.oh + oy) * p.ow + ox];
            for (let c = 0; c < cPerGroup; c++) {
              for (let ky = kyFrom; ky < kyEnd; ky++) {
                const xRow = ((firstChannel + c) * p.h + top + ky * p.dilationH) * p.w + left;
                const wRow = ((o * cPerGroup + c) * p.kh + ky) * p.kw;
                for (let kx = kxFrom; kx < kxEnd; kx++) image[xRow + kx * p.dilationW] += g * weight[wRow + kx];
              }
            }
          }
        }
      }
      out.set(image, n * image.length);
    }
  },

  /** dw: for each weight, the sum over all outputs of the output's gradient times the input that the weight was multiplied by. */
  conv2dWeightGrad(dw, x, dy, p) {
    // dw [O, C/groups, KH, KW]; x [N, C, H, W]; dy [N, O, OH, OW]
    const out = values(dw);
    const input = values(x);
    const gradient = values(dy);
    const cPerGroup = p.c / p.groups;
    const oPerGroup = p.o / p.groups;
    for (let o = 0; o < p.o; o++) {
      const firstChannel = Math.floor(o / oPerGroup) * cPerGroup;
      for (let c = 0; c < cPerGroup; c++) {
        for (let ky = 0; ky < p.kh; ky++) {
          const top = ky * p.dilationH - p.padTop;
          const oyFrom = firstInside(top, p.strideH);
          const oyEnd = endInside(top, p.strideH, p.oh, p.h);
          for (let kx = 0; kx < p.kw; kx++) {
            const left = kx * p.dilationW - p.padLeft;
            const oxFrom = firstInside(left, p.strideW);
            const oxEnd = endInside(left, p.strideW, p.ow, p.w);
            let sum = 0;
            for (let n = 0; n < p.n; n++) {
              for (let oy = oyFrom; oy < oyEnd; oy++) {
                const xRow = ((n * p.c + firstChannel + c) * p.h + top + oy * p.strideH) * p.w + left;
                const yRow = ((n * p.o + o) * p.oh + oy) * p.ow;
                for (let ox = oxFrom; ox < oxEnd; ox++) sum += input[xRow + ox * p.strideW] * gradient[yRow + ox];
              }
            }
            out[((o * cPerGroup + c) * p.kh + ky) * p.kw + kx] = sum;
          }
        }
      }
    }
  },
};
