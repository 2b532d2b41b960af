/** Numbers that tests and the PyTorch scripts beside the fixtures both compute: the same as test/fixtures/formula.py. */

/** `size` numbers in [0, 1) with 24 bits: a linear congruential generator. */
export function units(size: number, seed: number): number[] {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  });
}

/** In [-1, 1). */
export const noise = (size: number, seed: number): number[] => units(size, seed).map((u) => 2 * u - 1);

/** In [0.5, 2). */
export const positive = (size: number, seed: number): number[] => units(size, seed).map((u) => Math.fround(0.5 + 1.5 * u));

/** In (-1, 1), at least 0.1 away from 0. */
export const apart = (size: number, seed: number): number[] =>
  noise(size, seed).map((v) => Math.fround((v < 0 ? -1 : 1) * (0.1 + 0.9 * Math.abs(v))));

/** In (-1, 1), no two alike: places of the sorted noise. */
export function distinct(size: number, seed: number): number[] {
  const keys = noise(size, seed);
  const order = keys.map((_, i) => i).sort((i, j) => keys[i] - keys[j] || i - j);
  return order.map((place) => Math.fround((2 * place + 0.6) / size - 1));
}

/** -1, 0 or 1: full of ties. */
export const steps = (size: number, seed: number): number[] => units(size, seed).map((u) => Math.floor(u * 3) - 1);

export const labels = (size: number, seed: number, classes: number): number[] => units(size, seed).map((u) => Math.floor(u * classes));
