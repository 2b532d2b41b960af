/** Log-sum-exp of a row, used by softmax, log-softmax and cross-entropy. */
import type { TypedArray } from '../backend.js';

/** Returns log Σ exp(x) over `length` elements from `start`; subtracts the maximum first to avoid overflow. */
export function logSumExp(x: TypedArray, start: number, length: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i++) max = Math.max(max, x[start + i]);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += Math.exp(x[start + i] - max);
  return max + Math.log(sum);
}
