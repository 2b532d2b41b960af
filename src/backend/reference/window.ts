/**
 * Which places of a progression lie inside an axis: of `start + i · step`, i in [0, count), those in [0, size).
 * Convolution and pooling loop from `firstInside` to `endInside` and so need no test for padding inside their loops.
 */

/** The least i ≥ 0 with start + i · step ≥ 0. */
export const firstInside = (start: number, step: number): number => Math.max(0, Math.ceil(-start / step));

/** One beyond the greatest i < count with start + i · step < size. May be below `firstInside`: then nothing lies inside. */
export const endInside = (start: number, step: number, count: number, size: number): number =>
  Math.min(count, Math.ceil((size - start) / step));
