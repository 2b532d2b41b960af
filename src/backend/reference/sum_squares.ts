/** Sum of squares, for the norm of gradients. */
import type { Backend } from '../backend.js';
import { values } from './storage.js';

export const sumSquares: Pick<Backend, 'sumSquares'> = {
  sumSquares(y, x) {
    let sum = 0;
    for (const value of values(x)) sum += value * value;
    values(y)[0] = sum;
  },
};
