/** Shared by the tests of the reference backend: storages, outputs filled with NaN beforehand, and central differences. */
import { expect } from 'vitest';
import type { DType, Storage } from '../../../src/backend/backend.js';
import type { ConvForwardParams, ConvParams } from '../../../src/backend/params.js';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';

export const backend = createReferenceBackend();

export function put(data: readonly number[], dtype: DType = 'float64'): Storage {
  const storage = backend.allocate(dtype, data.length);
  backend.write(storage, Float64Array.from(data));
  return storage;
}

/** An output: float elements begin as NaN. */
export function blank(size: number, dtype: DType = 'float64'): Storage {
  const storage = backend.allocate(dtype, size);
  backend.fill(storage, Number.NaN);
  return storage;
}

export const get = (storage: Storage): number[] => [...backend.readSync(storage)];

/** A convolution without ReLU. */
export const plain = (p: ConvParams): ConvForwardParams => ({ ...p, relu: false, inference: false });

/** Runs `kernel` on a new output and returns the output. */
export function output(size: number, kernel: (y: Storage) => void, dtype: DType = 'float64'): number[] {
  const y = blank(size, dtype);
  kernel(y);
  return get(y);
}

/** Numbers without order or symmetry, in about [-1, 1). */
export function noise(size: number, seed = 1): number[] {
  return output(size, (y) => backend.uniform(y, seed, 0, -1, 1));
}

/** Distinct numbers at least 0.1 apart, shuffled: no ties, and a small step changes no maximum. */
export function distinct(size: number, seed = 1): number[] {
  const keys = noise(size, seed);
  const order = keys.map((_, i) => i).sort((a, b) => keys[a] - keys[b]);
  return order.map((rank) => (rank - size / 2) * 0.1 + 0.03);
}

export const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
export const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
export const close = (digits: number) => (value: number) => expect.closeTo(value, digits);

export function expectClose(actual: readonly number[], expected: readonly number[], digits = 9): void {
  expect(actual).toEqual(expected.map(close(digits)));
}

/** d⟨dy, f(x)⟩ / dx by central differences. */
export function numericGrad(x: readonly number[], dy: readonly number[], forward: (x: Storage, y: Storage) => void): number[] {
  const step = 1e-5;
  const objective = (input: readonly number[]) =>
    dot(
      dy,
      output(dy.length, (y) => forward(put(input), y)),
    );
  return x.map((value, i) => {
    const up = objective(x.with(i, value + step));
    const down = objective(x.with(i, value - step));
    return (up - down) / (2 * step);
  });
}

export function expectGrad(actual: readonly number[], numeric: readonly number[]): void {
  expectClose(actual, numeric, 7);
  expect(actual.some((value) => Math.abs(value) > 1e-3)).toBe(true);
}
