// Compares the results of two runtimes: bit by bit by their digests, or within a tolerance by their values.
import { Digest, decode } from './program/digest.mjs';

/** Largest difference of a fallback, relative to the largest value of the array. Its kernels sum in float64 and in another order. */
const TOLERANCE = 1e-5;

/** One digest of all results. */
export const digestOf = ({ parts }) => new Digest().add([parts.map(([, digest]) => Number.parseInt(digest, 16))]).text();

/** Throws unless all digests are equal. */
export function checkSame(result, expected) {
  const different = expected.parts.filter(([, digest], i) => result.parts[i]?.[1] !== digest).map(([name]) => name);
  if (result.parts.length !== expected.parts.length) throw new Error(`${result.parts.length} results, expected ${expected.parts.length}`);
  if (different.length > 0)
    throw new Error(`${different.length} of ${expected.parts.length} results differ: ${different.slice(0, 8).join('; ')}`);
}

/** The largest difference of two arrays, relative to the largest finite value of the second. NaN and infinities must be equal. */
function differenceOf(values, expected) {
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [scale, most] = [0, 0];
  for (const value of expected) if (Number.isFinite(value)) scale = Math.max(scale, Math.abs(value));
  for (let i = 0; i < expected.length; i++) {
    if (values[i] === expected[i] || (Number.isNaN(values[i]) && Number.isNaN(expected[i]))) continue;
    const difference = Math.abs(values[i] - expected[i]);
    most = Math.max(most, Number.isFinite(difference) ? difference / (scale || 1) : Number.POSITIVE_INFINITY);
  }
  return most;
}

/** Returns the largest difference of a fallback's values and where it is; throws if it exceeds the tolerance. */
export function checkNear(result, expected) {
  const differences = expected.values
    .flatMap((arrays, part) =>
      arrays.map((text, i) => ({ name: expected.parts[part][0], by: differenceOf(decode(result.values[part]?.[i] ?? ''), decode(text)) })),
    )
    .sort((a, b) => b.by - a.by);
  const wrong = differences.filter(({ by }) => by > TOLERANCE);
  const text = ({ name, by }) => `${by.toExponential(1)} in ${name}`;
  if (wrong.length > 0)
    throw new Error(`${wrong.length} results differ by more than ${TOLERANCE}: ${wrong.slice(0, 8).map(text).join('; ')}`);
  return `at most ${text(differences[0])}`;
}
