/** The arithmetic ceiling of the machine: which figure is used for a backend. Its value is the subject of the benchmarks. */
import { expect, it } from 'vitest';
import { ceilingFor, createCeiling } from '../../src/backend/wasm/runtime/ceiling.js';
import { strict, strictThreads } from '../support/backends.js';

it('measures both kinds of arithmetic, and keeps the best result', async () => {
  const ceiling = await createCeiling();
  const first = ceiling();
  const second = ceiling();
  expect(first.mulAdd).toBeGreaterThan(0);
  expect(second.mulAdd).toBeGreaterThanOrEqual(first.mulAdd);
  // The tests switch relaxed SIMD on where the runtime hides it.
  expect(first.fma).toBeGreaterThan(0);
});

it('counts the arithmetic that the kernels use, over all threads', () => {
  const ceiling = { mulAdd: 40, fma: 70 };
  expect(ceilingFor(strict.backend.info(), ceiling)).toBe(40);
  expect(ceilingFor(strictThreads.backend.info(), ceiling)).toBe(80);
  const fused = { ...strictThreads.backend.info(), variant: 'relaxed f32_gemm_fma_6x8' };
  expect(ceilingFor(fused, ceiling)).toBe(140);
  expect(ceilingFor(fused, { mulAdd: 40 })).toBe(80);
});
