/** Sine and cosine of angles in degrees that have the same bits in every runtime, which `Math.sin` and `Math.cos` do not promise. */

/** Reduces an angle in degrees to [-180, 180). */
export function wrap(degrees: number): number {
  return degrees - 360 * Math.floor((degrees + 180) / 360);
}

/**
 * Returns the sine of an angle in degrees from its Taylor series, with an error below 6e-8.
 */
export function sine(degrees: number): number {
  let angle = wrap(degrees);
  if (angle > 90) angle = 180 - angle;
  else if (angle < -90) angle = -180 - angle;
  const x = angle * (Math.PI / 180);
  const x2 = x * x;
  return x * (1 - (x2 / 6) * (1 - (x2 / 20) * (1 - (x2 / 42) * (1 - (x2 / 72) * (1 - x2 / 110)))));
}

/** Returns the cosine of an angle in degrees; see `sine`. */
export const cosine = (degrees: number): number => sine(degrees + 90);
