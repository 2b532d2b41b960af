/**
 * Every micro-kernel of the matrix product against the float64 reference, around its tiles. The engine itself would use only the one
 * that it measures as the fastest.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { GEMM_KERNELS, gemmKernelName, useGemmKernel } from '../../../src/backend/wasm/gemm.js';
import { createWasmEngine, wasmBackend } from '../../../src/backend/wasm/index.js';
import { chooseBuild } from '../../../src/backend/wasm/runtime/builds.js';
import { table } from '../../../src/testing/cases/case.js';
import { conv, fc, mm } from '../../../src/testing/cases/rows.js';
import { mismatch } from '../../support/allclose.js';
import { reference } from '../../support/backends.js';
import { runCase } from '../../support/run.js';

const engines = await Promise.all(GEMM_KERNELS.map(() => createWasmEngine({ threads: 1, mode: 'fast' })));
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

// biome-ignore format: a table
const cases = table('product', { sums: true }, [
  ...[5, 6, 7, 11, 12, 13, 25].flatMap((m) => [7, 8, 9, 15, 16, 17, 41].map((n) => mm([m, 20], [20, n]))),
  mm([13, 255], [255, 24]), mm([13, 256], [256, 24]), mm([13, 257], [257, 24]), mm([6, 600], [600, 40]),
  mm([97, 30], [33, 30], { transposeB: true }), mm([30, 13], [30, 33], { transposeA: true }),
  fc(9, 260, 50), fc(17, 33, 97),
  conv('3×3', [2, 13, 9, 7], [14, 13, 3, 3], { padding: 1 }),
  conv('5×5 by 2', [2, 13, 15, 14], [15, 13, 5, 5], { stride: 2 }),
  conv('1×1, more taps than a block', [2, 260, 3, 5], [13, 260, 1, 1]),
]);

describe.each(GEMM_KERNELS.map((name, kernel) => [name, kernel] as const))('%s', (name, kernel) => {
  const engine = engines[kernel];
  useGemmKernel(engine, kernel);
  const backend = wasmBackend(engine);

  it('exists, and is used', () => {
    expect(chooseBuild('fast', false)).toBe('relaxed');
    expect(gemmKernelName(engine)).toBe(name);
    expect(backend.info().variant).toBe(`relaxed ${name}`);
  });

  it.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => {
    const [actual, expected, scale] = [
      runCase(c, backend, 'float32'),
      runCase(c, reference, 'float64'),
      runCase(c, reference, 'float64', true),
    ];
    const tolerance = { relative: 2e-6, absolute: 1e-6 };
    expect(mismatch(actual.output, expected.output, tolerance, scale.output), 'output').toBeNull();
    expected.gradients.forEach((gradient, i) => {
      expect(mismatch(actual.gradients[i]!, gradient!, tolerance, scale.gradients[i]!), `gradient of input ${i}`).toBeNull();
    });
  });
});
