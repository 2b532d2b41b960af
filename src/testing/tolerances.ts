/** How far the results of an operation may be from those of the reference backend. */

/** Tolerance of one operation. */
export interface OperationTolerance {
  /** Factor on the common tolerance of 2e-6. */
  factor: number;
  /** Why the operation rounds more often than others. */
  reason: string;
}

/**
 * Tolerance of every operation without an entry in `OPERATION_TOLERANCES`: 32 times the rounding error of float32 (6e-8), for kernels that
 * round once per term and add the terms in another order than the reference.
 */
export const COMMON_TOLERANCE = 2e-6;

/** Operations with a larger tolerance than 2e-6, each with the reason. */
export const OPERATION_TOLERANCES: Readonly<Record<string, OperationTolerance>> = {
  gelu: { factor: 2, reason: 'multiplies x by a sum of 1 and erf or tanh, which cancel for negative x' },
  batchNorm2d: { factor: 4, reason: 'subtracts a mean and divides by a deviation, which are rounded sums themselves' },
  groupNorm: { factor: 4, reason: 'subtracts a mean and divides by a deviation, which are rounded sums themselves' },
  layerNorm: { factor: 4, reason: 'subtracts a mean and divides by a deviation, which are rounded sums themselves' },
};

/** Returns the largest error allowed for an operation (see `compareValues`). */
export const toleranceOf = (operation: string): number =>
  COMMON_TOLERANCE * (Object.hasOwn(OPERATION_TOLERANCES, operation) ? OPERATION_TOLERANCES[operation].factor : 1);

/** Result of comparing two arrays. */
export interface Comparison {
  /** The largest error: |a − b| / (|b| + scale / 2); infinite where one value is NaN or infinite and the other is not equal to it. */
  error: number;
  /** The elements that exceed the tolerance, in words; null if there are none. */
  fault: string | null;
}

/**
 * Compares values with expected ones. NaN equals NaN, and an infinity equals the infinity of its sign, both at the same place only.
 *
 * @param scale for each element, the sum of the absolute products that it is the sum of; default 1
 */
export function compareValues(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  scale?: ArrayLike<number> | null,
): Comparison {
  if (actual.length !== expected.length)
    return { error: Number.POSITIVE_INFINITY, fault: `${actual.length} elements, expected ${expected.length}` };
  let [most, worst, count] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i], expected[i]];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const quotient = Math.abs(a - b) / (Math.abs(b) + (scale ? scale[i] : 1) / 2);
    const error = Number.isFinite(a) && Number.isFinite(b) && !Number.isNaN(quotient) ? quotient : Number.POSITIVE_INFINITY;
    if (error > tolerance) count++;
    if (error > most) [most, worst] = [error, i];
  }
  if (count === 0) return { error: most, fault: null };
  const fault = `${count} of ${expected.length} elements differ, most at element ${worst}: got ${actual[worst]}, expected ${expected[worst]}`;
  return { error: most, fault };
}
