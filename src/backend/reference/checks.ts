/** Checks of elements: that all are finite, or that all are indices. */
import type { Backend } from '../backend.js';
import { NonFiniteError, ValueError } from '../errors.js';
import { values } from './storage.js';

export const checks: Pick<Backend, 'checkFinite' | 'checkIndices'> = {
  checkFinite(x, op) {
    const input = values(x);
    let found = 0;
    for (let i = 0; i < input.length; i++) {
      if (!Number.isFinite(input[i])) found++;
    }
    if (found > 0) throw new NonFiniteError(op, found, input.length);
  },

  checkIndices(indices, size, describe) {
    const input = values(indices);
    for (let i = 0; i < input.length; i++) {
      if (input[i] < 0 || input[i] >= size) throw new ValueError(describe(input[i], i));
    }
  },
};
