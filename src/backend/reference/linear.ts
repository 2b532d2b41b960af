/** Fully connected layer: each output feature is the dot product of the input with a row of the weights. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';

export const linear: Pick<Backend, 'linear'> = {
  linear(y, x, w, b, { n, inFeatures, outFeatures, relu }) {
    // y [n, out]; x [n, in]; w [out, in]; b [out]
    const out = values(y);
    const input = values(x);
    const weight = values(w);
    const bias = b === null ? null : values(b);
    for (let row = 0; row < n; row++) {
      for (let o = 0; o < outFeatures; o++) {
        let sum = bias === null ? 0 : bias[o];
        for (let i = 0; i < inFeatures; i++) sum += input[row * inFeatures + i] * weight[o * inFeatures + i];
        out[row * outFeatures + o] = relu ? Math.max(sum, 0) : sum;
      }
    }
  },
};
