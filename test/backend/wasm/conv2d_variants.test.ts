/**
 * Every way to a convolution against the float64 reference, by the list's cases and by cases around Winograd's tiles; whether or not
 * the plan would take that way for the shape.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backend/backend.js';
import { type ConvParams, convParams } from '../../../src/backend/params.js';
import { type Conv2dVariant, conv2dPlan, winogradFits } from '../../../src/backend/wasm/conv2d_plan.js';
import { createWasmEngine, wasmBackend } from '../../../src/backend/wasm/index.js';
import { type Case, table } from '../../../src/testing/cases/case.js';
import { cases } from '../../../src/testing/cases/index.js';
import { conv } from '../../../src/testing/cases/rows.js';
import { reference } from '../../support/backends.js';
import { type Outcome, runCase } from '../../support/run.js';

/** The most that an element may be off, as a share of the root mean square of all. */
const TOLERANCES: Record<Conv2dVariant, number> = { direct: 3e-6, col2im: 3e-6, winograd2x2: 4e-6, winograd4x4: 6e-5 };

/** One variant wherever it fits. F(4×4) has no gradients: they go by F(2×2). */
const forced = (variant: Conv2dVariant): typeof conv2dPlan => {
  return (pass, p, context) => {
    if (variant === 'direct') return { variant: pass === 'inputGrad' && (p.strideH > 1 || p.strideW > 1) ? 'col2im' : 'direct' };
    if (!winogradFits(p)) return conv2dPlan(pass, p, context);
    return { variant: pass === 'forward' ? variant : 'winograd2x2' };
  };
};

const made: Backend[] = [];
afterAll(() => {
  for (const backend of made) backend.dispose();
});

async function backendOf(variant: Conv2dVariant, threads: number, mode: 'strict' | 'fast' = 'strict'): Promise<Backend> {
  const backend = wasmBackend(await createWasmEngine({ threads, mode }), forced(variant));
  made.push(backend);
  return backend;
}

const variants = ['direct', 'winograd2x2', 'winograd4x4'] as const;
const backends = {
  direct: { one: await backendOf('direct', 1), two: await backendOf('direct', 2), fast: await backendOf('direct', 1, 'fast') },
  winograd2x2: {
    one: await backendOf('winograd2x2', 1),
    two: await backendOf('winograd2x2', 2),
    fast: await backendOf('winograd2x2', 1, 'fast'),
  },
  winograd4x4: {
    one: await backendOf('winograd4x4', 1),
    two: await backendOf('winograd4x4', 2),
    fast: await backendOf('winograd4x4', 1, 'fast'),
  },
};

// biome-ignore format: a table
const tiles = table('conv2d', {}, [
  ...[[1, 1], [1, 2], [2, 3], [3, 1], [3, 3], [4, 5], [5, 8], [6, 6], [7, 9], [13, 13]].map(([h, w]) =>
    conv(`3×3 over ${h}×${w}, padded by 1`, [3, 4, h, w], [5, 4, 3, 3], { padding: 1, relu: h % 2 === 0 }),
  ),
  ...[0, 1, 2].map((padding) => conv(`3×3, padded by ${padding}`, [1, 6, 7, 13], [3, 6, 3, 3], { padding })),
  conv('3×3, four paddings', [3, 5, 6, 5], [4, 5, 3, 3], { padding: [0, 2, 1, 0], bias: false }),
  ...[1, 7, 8, 9, 16, 17].map((c) => conv(`3×3, ${c} channels to ${25 - c}`, [3, c, 5, 6], [25 - c, c, 3, 3], { padding: 1 })),
  conv('3×3, more channels than a block of the sum', [1, 521, 4, 5], [3, 521, 3, 3], { padding: 1 }),
  conv('3×3, more rows than a block', [1, 3, 34, 33], [200, 3, 3, 3], { padding: 1 }),
  conv('3×3, more tiles than a block', [3, 5, 26, 27], [4, 5, 3, 3], { padding: 1 }),
  ...[5, 6, 7, 13, 14, 15].map((h) => conv(`5×5 by 2 over ${h}×${h + 1}`, [3, 5, h, h + 1], [6, 5, 5, 5], { stride: 2, relu: h === 7 })),
  ...[1, 2, 3, 4].map((padding) => conv(`5×5 by 2, padded by ${padding}`, [2, 3, 6, 9], [4, 3, 5, 5], { stride: 2, padding })),
  conv('5×6 by 2, four paddings', [1, 9, 8, 7], [7, 9, 5, 6], { stride: 2, padding: [2, 5, 1, 0] }),
  conv('6×6 by 2', [3, 8, 11, 12], [9, 8, 6, 6], { stride: 2, padding: 2 }),
  conv('enough for threads', [2, 32, 26, 26], [48, 32, 3, 3], { padding: 1 }),
  conv('weights with sums in slices', [4, 3, 40, 39], [5, 3, 3, 3]),
  conv('weights with sums in slices, of many small maps', [41, 2, 12, 12], [6, 2, 3, 3]),
  conv('weights with sums in slices, in groups', [3, 6, 33, 34], [4, 3, 5, 4], { groups: 2, stride: [1, 2] }),
  conv('enough for threads, by 2', [2, 24, 31, 31], [32, 24, 5, 5], { stride: 2 }),
]);

const isEmpty = (c: Case) => c.inputs.some(({ shape }) => shape.includes(0));
const all = [...cases.filter((c) => c.op === 'conv2d' && !isEmpty(c)), ...tiles];

const parts = ({ output, gradients }: Outcome) => [output, ...gradients.filter((gradient) => gradient !== null)];
const bits = (outcome: Outcome) => parts(outcome).map((data) => Buffer.from(data.buffer).toString('base64'));

/** The largest error as a share of the root mean square. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = 0;
  let squares = 0;
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs(actual[i] - expected[i]);
    if (!(off <= most)) most = off;
    squares += expected[i] ** 2;
  }
  return most === 0 ? 0 : most / Math.sqrt(squares / expected.length);
}

describe.each(all.map((c) => [c.name, c] as const))('%s', (_, c) => {
  const expected = runCase(c, reference, 'float64');

  it.each(variants)('by %s equals the reference, on one thread and in fast mode, and is the same on two threads', (variant) => {
    const { one, two, fast } = backends[variant];
    const outcome = runCase(c, one, 'float32');
    for (const [index, data] of parts(outcome).entries()) {
      const tolerance = TOLERANCES[index === 0 || variant === 'direct' ? variant : 'winograd2x2'];
      const wanted = parts(expected)[index];
      expect(worst(data, wanted), index === 0 ? 'output' : `gradient ${index}`).toBeLessThan(tolerance);
      expect(worst(parts(runCase(c, fast, 'float32'))[index], wanted), 'fast').toBeLessThan(tolerance);
    }
    expect(bits(runCase(c, two, 'float32'))).toEqual(bits(outcome));
  });
});

describe('the plan', () => {
  const shape = (n: number, c: number, size: number, o: number, kernel: number, stride: number, padding: number): ConvParams =>
    convParams('plan', [n, c, size, size], [o, c, kernel, kernel], { stride, padding });
  const conv4 = shape(16, 384, 13, 384, 3, 1, 1);
  const strict = { mode: 'strict', inference: false } as const;

  it('chooses Winograd where it is faster, and nowhere else', () => {
    const variantOf = (p: ConvParams) => conv2dPlan('forward', p, strict).variant;
    expect(variantOf(conv4)).toBe('winograd2x2');
    expect(variantOf(shape(16, 96, 55, 256, 5, 2, 0))).toBe('winograd2x2');
    expect(variantOf(shape(16, 3, 224, 96, 7, 2, 1))).toBe('direct');
    expect(variantOf(shape(16, 3, 64, 32, 3, 1, 1))).toBe('direct');
    expect(variantOf(shape(64, 96, 3, 96, 3, 1, 1))).toBe('direct');
    expect(variantOf({ ...conv4, dilationH: 2, dilationW: 2 })).toBe('direct');
    expect(variantOf({ ...conv4, groups: 2 })).toBe('direct');
    expect(conv2dPlan('inputGrad', conv4, strict).variant).toBe('winograd2x2');
    expect(conv2dPlan('weightGrad', conv4, strict).variant).toBe('winograd2x2');
    expect(conv2dPlan('inputGrad', shape(16, 3, 224, 96, 7, 2, 1), strict).variant).toBe('col2im');
  });

  it('chooses F(4×4) only for inference in fast mode, and otherwise depends only on the shape', () => {
    expect(conv2dPlan('forward', conv4, { mode: 'fast', inference: true }).variant).toBe('winograd4x4');
    for (const mode of ['strict', 'fast'] as const) {
      expect(conv2dPlan('forward', conv4, { mode, inference: false }).variant).toBe('winograd2x2');
      for (const pass of ['inputGrad', 'weightGrad'] as const)
        expect(conv2dPlan(pass, conv4, { mode, inference: true }).variant).toBe('winograd2x2');
    }
    expect(conv2dPlan('forward', conv4, { mode: 'strict', inference: true }).variant).toBe('winograd2x2');
  });

  it('is reported by the backend', () => {
    expect(backends.direct.one.conv2dPlan?.('forward', conv4)).toBe('direct');
    expect(backends.winograd4x4.one.conv2dPlan?.('forward', conv4)).toBe('winograd4x4');
  });
});
