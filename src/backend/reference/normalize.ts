/**
 * Local response normalisation, y = x / s^beta with s = k + alphaOverSize · Σ x² over a window, and its exact gradient.
 *
 * The window contains `before` elements before and `after` elements after its centre, along the channels or along both axes of the image,
 * and is cut off at the border.
 */
import type { Backend, TypedArray } from '../backend.js';
import type { LrnParams } from '../params.js';
import { values } from './storage.js';

/** Sums one image [C, H, W] over the window of each element: from `back` elements before it to `ahead` elements after it. */
function windowSum(image: Float64Array, back: number, ahead: number, p: LrnParams): Float64Array {
  return p.region === 'across' ? sumAcross(image, back, ahead, p) : sumWithin(image, back, ahead, p);
}

function sumAcross(image: Float64Array, back: number, ahead: number, p: LrnParams): Float64Array {
  const sums = new Float64Array(image.length);
  const pixels = p.h * p.w;
  for (let c = 0; c < p.c; c++) {
    const last = Math.min(p.c - 1, c + ahead);
    for (let other = Math.max(0, c - back); other <= last; other++) {
      for (let i = 0; i < pixels; i++) sums[c * pixels + i] += image[other * pixels + i];
    }
  }
  return sums;
}

function sumWithin(image: Float64Array, back: number, ahead: number, p: LrnParams): Float64Array {
  const sums = new Float64Array(image.length);
  for (let c = 0; c < p.c; c++) {
    for (let y = 0; y < p.h; y++) {
      const top = Math.max(0, y - back);
      const bottom = Math.min(p.h - 1, y + ahead);
      for (let x = 0; x < p.w; x++) {
        const left = Math.max(0, x - back);
        const right = Math.min(p.w - 1, x + ahead);
        let sum = 0;
        for (let iy = top; iy <= bottom; iy++) {
          for (let ix = left; ix <= right; ix++) sum += image[(c * p.h + iy) * p.w + ix];
        }
        sums[(c * p.h + y) * p.w + x] = sum;
      }
    }
  }
  return sums;
}

/** Computes s = k + alphaOverSize · Σ x² for the image that begins at index `start`. */
function scales(input: TypedArray, start: number, p: LrnParams): Float64Array {
  const squares = new Float64Array(p.c * p.h * p.w);
  for (let i = 0; i < squares.length; i++) squares[i] = input[start + i] ** 2;
  const s = windowSum(squares, p.before, p.after, p);
  for (let i = 0; i < s.length; i++) s[i] = p.k + p.alphaOverSize * s[i];
  return s;
}

export const normalize: Pick<Backend, 'localResponseNorm' | 'localResponseNormGrad'> = {
  localResponseNorm(y, x, p) {
    const out = values(y);
    const input = values(x);
    const size = p.c * p.h * p.w;
    for (let n = 0; n < p.n; n++) {
      const start = n * size;
      const s = scales(input, start, p);
      for (let i = 0; i < size; i++) out[start + i] = input[start + i] / s[i] ** p.beta;
    }
  },

  /**
   * dx[j] = dy[j] / s[j]^beta − 2 · alphaOverSize · beta · x[j] · Σ of dy[i] · x[i] / s[i]^(beta + 1) over all i whose
   * window contains j. These i form a window around j with `before` and `after` exchanged.
   */
  localResponseNormGrad(dx, dy, x, p) {
    const out = values(dx);
    const gradient = values(dy);
    const input = values(x);
    const size = p.c * p.h * p.w;
    const terms = new Float64Array(size);
    for (let n = 0; n < p.n; n++) {
      const start = n * size;
      const s = scales(input, start, p);
      for (let i = 0; i < size; i++) terms[i] = (gradient[start + i] * input[start + i]) / s[i] ** (p.beta + 1);
      const sums = windowSum(terms, p.after, p.before, p);
      const factor = 2 * p.alphaOverSize * p.beta;
      for (let i = 0; i < size; i++) out[start + i] = gradient[start + i] / s[i] ** p.beta - factor * input[start + i] * sums[i];
    }
  },
};
