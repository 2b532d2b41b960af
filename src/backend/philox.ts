/**
 * Philox 4x32-10, the counter-based random number generator of this package: a function from (seed, counter) to four 32-bit words.
 *
 * Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). A random number depends only on its seed and its
 * counter, and is therefore the same on all backends and with any number of threads.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;
const TWO_32 = 2 ** 32;

/** Returns the upper 32 bits of a · b. Uses 16-bit halves, since a float64 cannot represent the 64-bit product exactly. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}

/** The generator: computes four words in `out` from four counter words and two key words, all unsigned 32-bit integers. */
export function philox4x32(c0: number, c1: number, c2: number, c3: number, key0: number, key1: number, out: Uint32Array): void {
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ key0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ key1) >>> 0;
    c3 = low0;
    key0 = (key0 + WEYL_0) >>> 0;
    key1 = (key1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Computes the four random words at (seed, counter). Both are safe integers of at least 0, split into a low and a high word. */
export function philox(seed: number, counter: number, out: Uint32Array): void {
  philox4x32(counter >>> 0, Math.floor(counter / TWO_32), 0, 0, seed >>> 0, Math.floor(seed / TWO_32), out);
}
