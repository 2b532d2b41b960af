/** Log-sum-exp of a row: what softmax, log-softmax and cross-entropy all rest on. */
import type { TypedArray } from '../backend.js';

/** log Σ exp(x) over `length` elements from `start`, with the maximum taken out first, so that nothing overflows. */
export function logSumExp(x: TypedArray, start: number, length: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i++) max = Math.max(max, x[start + i]);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += Math.exp(x[start + i] - max);
  return max + Math.log(sum);
}
