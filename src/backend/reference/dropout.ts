/** Dropout. The mask is a function of the Philox word of each element, so that the backward step can compute it again. */
import type { Backend } from '../backend.js';
import { philox } from '../philox.js';
import { inputValues, values } from './storage.js';

export const dropout: Pick<Backend, 'dropout'> = {
  dropout(y, x, p) {
    const out = values(y);
    const input = inputValues(x, y);
    const threshold = Math.floor(p.probability * 2 ** 32);
    const scale = 1 / (1 - p.probability);
    const words = new Uint32Array(4);
    for (let i = 0; i < out.length; i++) {
      if (i % 4 === 0) philox(p.seed, p.counter + i / 4, words);
      out[i] = words[i % 4] >= threshold ? input[i] * scale : 0;
    }
  },
};
