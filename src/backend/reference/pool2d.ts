/** Max pooling with switches, unpooling, average pooling and its gradient. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';
import { endInside, firstInside } from './window.js';

type PoolKernels = Pick<Backend, 'maxPool2d' | 'maxUnpool2d' | 'maxUnpool2dGrad' | 'avgPool2d' | 'avgPool2dGrad'>;

export const pool2d: PoolKernels = {
  /**
   * Padding is never the maximum; of equal values, the first is. If a window contains NaN, the result is NaN and the switch is the last
   * NaN, as in PyTorch. A dilated window may contain no element of a very small image: the result is −∞ and the switch −1.
   */
  maxPool2d(y, switches, x, p) {
    // y, switches [planes, OH, OW]; x [planes, H, W]
    const out = values(y);
    const places = switches === null ? null : values(switches);
    const input = values(x);
    for (let plane = 0; plane < p.planes; plane++) {
      const origin = plane * p.h * p.w;
      for (let oy = 0; oy < p.oh; oy++) {
        const top = oy * p.strideH - p.padTop;
        const kyFrom = firstInside(top, p.dilationH);
        const kyEnd = endInside(top, p.dilationH, p.kh, p.h);
        for (let ox = 0; ox < p.ow; ox++) {
          const left = ox * p.strideW - p.padLeft;
          const kxFrom = firstInside(left, p.dilationW);
          const kxEnd = endInside(left, p.dilationW, p.kw, p.w);
          let best = Number.NEGATIVE_INFINITY;
          let place = -1;
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            const row = (top + ky * p.dilationH) * p.w + left;
            for (let kx = kxFrom; kx < kxEnd; kx++) {
              const here = row + kx * p.dilationW;
              const value = input[origin + here];
              if (place < 0 || value > best || Number.isNaN(value)) {
                best = value;
                place = here;
              }
            }
          }
          const o = (plane * p.oh + oy) * p.ow + ox;
          out[o] = best;
          if (places !== null) places[o] = place;
        }
      }
    }
  },

  /** Ignores values whose switch is outside the plane, such as the −1 of a window without elements. */
  maxUnpool2d(x, y, switches, { planes, inner, outer, overlap }) {
    const out = values(x);
    const pooled = values(y);
    const places = values(switches);
    const sums = new Float64Array(outer); // one plane, summed in float64 independent of the type of x
    for (let plane = 0; plane < planes; plane++) {
      sums.fill(0);
      for (let i = 0; i < inner; i++) {
        const place = places[plane * inner + i];
        if (place < 0 || place >= outer) continue;
        const value = pooled[plane * inner + i];
        if (overlap === 'sum') sums[place] += value;
        else sums[place] = value;
      }
      out.set(sums, plane * outer);
    }
  },

  maxUnpool2dGrad(dy, dx, switches, { planes, inner, outer }) {
    const out = values(dy);
    const gradient = values(dx);
    const places = values(switches);
    for (let plane = 0; plane < planes; plane++) {
      for (let i = 0; i < inner; i++) {
        const place = places[plane * inner + i];
        out[plane * inner + i] = place < 0 || place >= outer ? 0 : gradient[plane * outer + place];
      }
    }
  },

  /**
   * The divisor is the number of elements of the window within input and padding, or, without `countIncludePad`, within the input. The
   * part of a window beyond the padding, which `ceilMode` allows, is never counted. Both are as in PyTorch.
   */
  avgPool2d(y, x, p) {
    // y [planes, OH, OW]; x [planes, H, W]
    const out = values(y);
    const input = values(x);
    for (let plane = 0; plane < p.planes; plane++) {
      const origin = plane * p.h * p.w;
      for (let oy = 0; oy < p.oh; oy++) {
        const top = oy * p.strideH - p.padTop;
        const kyFrom = firstInside(top, p.dilationH);
        const kyEnd = endInside(top, p.dilationH, p.kh, p.h);
        const countY = p.countIncludePad ? endInside(top, p.dilationH, p.kh, p.h + p.padBottom) : kyEnd - kyFrom;
        for (let ox = 0; ox < p.ow; ox++) {
          const left = ox * p.strideW - p.padLeft;
          const kxFrom = firstInside(left, p.dilationW);
          const kxEnd = endInside(left, p.dilationW, p.kw, p.w);
          const countX = p.countIncludePad ? endInside(left, p.dilationW, p.kw, p.w + p.padRight) : kxEnd - kxFrom;
          let sum = 0;
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            const row = origin + (top + ky * p.dilationH) * p.w + left;
            for (let kx = kxFrom; kx < kxEnd; kx++) sum += input[row + kx * p.dilationW];
          }
          // A window without elements gives 0 instead of 0 / 0.
          out[(plane * p.oh + oy) * p.ow + ox] = countY > 0 && countX > 0 ? sum / (countY * countX) : 0;
        }
      }
    }
  },

  avgPool2dGrad(dx, dy, p) {
    // dx [planes, H, W]; dy [planes, OH, OW]
    const out = values(dx);
    const gradient = values(dy);
    const sums = new Float64Array(p.h * p.w); // one plane, summed in float64 independent of the type of dx
    for (let plane = 0; plane < p.planes; plane++) {
      sums.fill(0);
      for (let oy = 0; oy < p.oh; oy++) {
        const top = oy * p.strideH - p.padTop;
        const kyFrom = firstInside(top, p.dilationH);
        const kyEnd = endInside(top, p.dilationH, p.kh, p.h);
        const countY = p.countIncludePad ? endInside(top, p.dilationH, p.kh, p.h + p.padBottom) : kyEnd - kyFrom;
        for (let ox = 0; ox < p.ow; ox++) {
          const left = ox * p.strideW - p.padLeft;
          const kxFrom = firstInside(left, p.dilationW);
          const kxEnd = endInside(left, p.dilationW, p.kw, p.w);
          const countX = p.countIncludePad ? endInside(left, p.dilationW, p.kw, p.w + p.padRight) : kxEnd - kxFrom;
          const share = gradient[(plane * p.oh + oy) * p.ow + ox] / (countY * countX);
          for (let ky = kyFrom; ky < kyEnd; ky++) {
            const row = (top + ky * p.dilationH) * p.w + left;
            for (let kx = kxFrom; kx < kxEnd; kx++) sums[row + kx * p.dilationW] += share;
          }
        }
      }
      out.set(sums, plane * sums.length);
    }
  },
};
