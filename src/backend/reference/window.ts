/**
 * The taps of a window that are inside an axis: the i in [0, count) with `start + i · step` in [0, size). Convolution and pooling loop
 * from `firstInside` to `endInside`, so that their inner loops need no test for padding.
 */

/** Returns the smallest i ≥ 0 with start + i · step ≥ 0. */
export const firstInside = (start: number, step: number): number => Math.max(0, Math.ceil(-start / step));

/** Returns one more than the largest i < count with start + i · step < size. Below `firstInside` if no tap is inside. */
export const endInside = (start: number, step: number, count: number, size: number): number =>
  Math.min(count, Math.ceil((size - start) / step));
