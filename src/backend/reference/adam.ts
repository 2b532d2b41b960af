/** Optimisers with an estimate of each gradient's square: a step of Adam, AdamW or RMSprop. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';

export const adam: Pick<Backend, 'adam' | 'rmsprop'> = {
  adam({ w, mean, square, maxSquare }, { grad }, p) {
    const [weight, m, s, g] = [values(w), values(mean), values(square), values(grad)];
    const largest = maxSquare === null ? null : values(maxSquare);
    for (let i = 0; i < weight.length; i++) {
      const gradient = g[i] + p.weightDecay * weight[i];
      const first = p.beta1 * m[i] + (1 - p.beta1) * gradient;
      const second = p.beta2 * s[i] + (1 - p.beta2) * gradient ** 2;
      m[i] = first;
      s[i] = second;
      const bound = largest === null ? second : Math.max(largest[i], second);
      if (largest !== null) largest[i] = bound;
      weight[i] = p.shrink * weight[i] - p.rate * (first / (Math.sqrt(bound) / p.correction + p.eps));
    }
  },

  rmsprop({ w, square, mean, buffer }, { grad }, p) {
    const [weight, s, g] = [values(w), values(square), values(grad)];
    const m = mean === null ? null : values(mean);
    const b = buffer === null ? null : values(buffer);
    for (let i = 0; i < weight.length; i++) {
      const gradient = g[i] + p.weightDecay * weight[i];
      const second = p.alpha * s[i] + (1 - p.alpha) * gradient ** 2;
      s[i] = second;
      let variance = second;
      if (m !== null) {
        const first = p.alpha * m[i] + (1 - p.alpha) * gradient;
        m[i] = first;
        variance = Math.max(second - first ** 2, 0); // rounding can make it negative
      }
      let step = gradient / (Math.sqrt(variance) + p.eps);
      if (b !== null) {
        step += p.momentum * b[i];
        b[i] = step;
      }
      weight[i] -= p.lr * step;
    }
  },
};
