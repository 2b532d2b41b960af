/** Reads the output of the PyTorch scripts in test/fixtures: samples of tensors. */
import { readFileSync } from 'node:fs';
import { noise } from '../../src/testing/cases/formula.js';
import { mismatch, type Tolerance } from './allclose.js';

/** A tensor as test/fixtures/formula.py keeps it: every so many numbers, and the product of all with noise. */
export interface Sampled {
  shape: number[];
  every: number;
  values: number[];
  product: number;
}

export const readFixture = <T>(name: string): T => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'));

/** Null where a tensor's numbers agree with its sample, else the difference in words. */
export function mismatchOfSample(
  actual: ArrayLike<number>,
  shape: readonly number[],
  expected: Sampled,
  tolerance: Tolerance,
): string | null {
  if (shape.join() !== expected.shape.join()) return `shape [${shape}], expected [${expected.shape}]`;
  const weights = noise(actual.length, 77);
  const product = Array.from(actual).reduce((sum, value, i) => sum + value * weights[i], 0);
  const kept = Array.from(actual).filter((_, i) => i % expected.every === 0);
  return mismatch([...kept, product], [...expected.values, expected.product], tolerance);
}

/** Names of PyTorch's options in camel case: `weight_decay` becomes `weightDecay`. */
export const camelCased = <T>(options: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(options).map(([key, value]) => [key.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()), value]));
