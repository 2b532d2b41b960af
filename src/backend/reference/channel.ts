/** A bias per channel and its gradient, over [n, channels, inner]. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';

export const channel: Pick<Backend, 'channelSum' | 'channelAdd'> = {
  channelSum(db, dy, n, channels, inner) {
    const out = values(db);
    const gradient = values(dy);
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let item = 0; item < n; item++) {
        const start = (item * channels + c) * inner;
        for (let i = 0; i < inner; i++) sum += gradient[start + i];
      }
      out[c] = sum;
    }
  },

  channelAdd(y, b, n, channels, inner) {
    const out = values(y);
    const bias = values(b);
    for (let item = 0; item < n; item++) {
      for (let c = 0; c < channels; c++) {
        const start = (item * channels + c) * inner;
        for (let i = 0; i < inner; i++) out[start + i] += bias[c];
      }
    }
  },
};
