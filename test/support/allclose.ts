/** Compares arrays of numbers and reports where they differ most. */

export interface Tolerance {
  /** A share of the expected number. */
  relative: number;
  /** A share of the scale: of 1, or of what each number was summed from. */
  absolute: number;
}

/**
 * Null where |a − b| ≤ absolute · scale + relative · |b| everywhere, else the worst place in words. NaN equals NaN.
 *
 * @param scale for each element, Σ |products| of the sum that it is; 1 where it is left out
 */
export function mismatch(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
  scale?: ArrayLike<number>,
): string | null {
  if (actual.length !== expected.length) return `${actual.length} numbers, expected ${expected.length}`;
  let off = 0;
  let worst = -1;
  let most = 1;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const excess = Math.abs(actual[i] - expected[i]) / allowed(expected[i], tolerance, scale?.[i]);
    if (excess <= 1) continue;
    off++;
    if (worst < 0 || !(excess <= most)) [worst, most] = [i, excess];
  }
  if (worst < 0) return null;
  const room = allowed(expected[worst], tolerance, scale?.[worst]).toExponential(1);
  return `${off} of ${expected.length} are off, most at ${worst}: ${actual[worst]}, expected ${expected[worst]} ± ${room}`;
}

const allowed = (expected: number, { relative, absolute }: Tolerance, scale = 1) => absolute * scale + relative * Math.abs(expected);
