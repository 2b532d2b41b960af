/** Random numbers from Philox: element i uses word i mod 4 at (seed, counter + ⌊i / 4⌋). */
import type { Backend } from '../backend.js';
import { philox } from '../philox.js';
import { values } from './storage.js';

export const random: Pick<Backend, 'uniform' | 'normal'> = {
  uniform(y, seed, counter, low, high) {
    const out = values(y);
    const words = new Uint32Array(4);
    for (let i = 0; i < out.length; i++) {
      if (i % 4 === 0) philox(seed, counter + i / 4, words);
      // 24 bits, the precision of float32, so that the stored number is below 1.
      const unit = (words[i % 4] >>> 8) / 2 ** 24;
      out[i] = low + unit * (high - low);
    }
  },

  normal(y, seed, counter, mean, std) {
    const out = values(y);
    const words = new Uint32Array(4);
    for (let i = 0; i < out.length; i++) {
      if (i % 4 === 0) philox(seed, counter + i / 4, words);
      // Box-Muller: words 0 and 1 give elements 0 and 1 by cosine and sine, words 2 and 3 give elements 2 and 3.
      const isSecond = i % 2 === 1;
      const first = (i % 4) - (isSecond ? 1 : 0);
      const u1 = (words[first] + 1) / 2 ** 32; // in (0, 1], so that the logarithm is finite
      const u2 = words[first + 1] / 2 ** 32;
      const radius = Math.sqrt(-2 * Math.log(u1));
      const angle = 2 * Math.PI * u2;
      out[i] = mean + std * radius * (isSecond ? Math.sin(angle) : Math.cos(angle));
    }
  },
};
