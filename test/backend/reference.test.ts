/**
 * The reference backend against values worked out by hand, and each gradient kernel against central differences of its
 * forward kernel in float64. Outputs are filled with NaN beforehand, so that a kernel that leaves an element out is caught.
 */
import { describe, expect, it } from 'vitest';
import { type DType, IN_PLACE, type Storage } from '../../src/backend/backend.js';
import { BackendError, DisposedError, NonFiniteError, OutOfMemoryError, ShapeError, ValueError } from '../../src/backend/errors.js';
import {
  type ConvForwardParams,
  type ConvOptions,
  type ConvParams,
  convParams,
  type LrnParams,
  type PoolOptions,
  type PoolParams,
  poolParams,
  type ReduceParams,
  type SgdParams,
} from '../../src/backend/params.js';
import { philox } from '../../src/backend/philox.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';

const backend = createReferenceBackend();

function put(data: readonly number[], dtype: DType = 'float64'): Storage {
  const storage = backend.allocate(dtype, data.length);
  backend.write(storage, Float64Array.from(data));
  return storage;
}

/** An output: float elements begin as NaN. */
function blank(size: number, dtype: DType = 'float64'): Storage {
  const storage = backend.allocate(dtype, size);
  backend.fill(storage, Number.NaN);
  return storage;
}

const get = (storage: Storage): number[] => [...backend.readSync(storage)];

/** A convolution without ReLU. */
const plain = (p: ConvParams): ConvForwardParams => ({ ...p, relu: false, inference: false });

/** Runs `kernel` on a new output and returns the output. */
function output(size: number, kernel: (y: Storage) => void, dtype: DType = 'float64'): number[] {
  const y = blank(size, dtype);
  kernel(y);
  return get(y);
}

/** Numbers without order or symmetry, in about [-1, 1). */
function noise(size: number, seed = 1): number[] {
  return output(size, (y) => backend.uniform(y, seed, 0, -1, 1));
}

/** Distinct numbers at least 0.1 apart, shuffled: no ties, and a small step changes no maximum. */
function distinct(size: number, seed = 1): number[] {
  const keys = noise(size, seed);
  const order = keys.map((_, i) => i).sort((a, b) => keys[a] - keys[b]);
  return order.map((rank) => (rank - size / 2) * 0.1 + 0.03);
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const close = (digits: number) => (value: number) => expect.closeTo(value, digits);

function expectClose(actual: readonly number[], expected: readonly number[], digits = 9): void {
  expect(actual).toEqual(expected.map(close(digits)));
}

/** d⟨dy, f(x)⟩ / dx by central differences. */
function numericGrad(x: readonly number[], dy: readonly number[], forward: (x: Storage, y: Storage) => void): number[] {
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

function expectGrad(actual: readonly number[], numeric: readonly number[]): void {
  expectClose(actual, numeric, 7);
  expect(actual.some((value) => Math.abs(value) > 1e-3)).toBe(true);
}

describe('storage', () => {
  it('counts bytes, buffers and the peak', () => {
    const own = createReferenceBackend();
    const a = own.allocate('float64', 4);
    const b = own.allocate('uint8', 3);
    expect(own.memory()).toEqual({ bytes: 35, buffers: 2, peakBytes: 35, reservedBytes: 35 });
    own.release(a);
    expect(own.memory()).toEqual({ bytes: 3, buffers: 1, peakBytes: 35, reservedBytes: 3 });
    own.resetPeak();
    expect(own.memory().peakBytes).toBe(3);
    own.release(b);
    expect(own.memory()).toMatchObject({ bytes: 0, buffers: 0 });
  });

  it('throws on use after release, and on a second release', async () => {
    const own = createReferenceBackend();
    const a = own.allocate('float32', 2);
    own.release(a);
    expect(() => own.fill(a, 1)).toThrow(DisposedError);
    expect(() => own.readSync!(a)).toThrow(DisposedError);
    expect(() => own.release(a)).toThrow(DisposedError);
    await expect(own.read(a)).rejects.toThrow(DisposedError);
  });

  it('stays usable after reaching its limit', () => {
    const own = createReferenceBackend({ limitBytes: 100 });
    const a = own.allocate('float32', 20);
    expect(() => own.allocate('float32', 6)).toThrow(OutOfMemoryError);
    expect(own.memory().bytes).toBe(80);
    expect(own.allocate('float32', 5).size).toBe(5);
    own.release(a);
    expect(own.allocate('float32', 20).size).toBe(20);
  });

  it('throws an OutOfMemoryError for a size beyond that of any array', () => {
    expect(() => createReferenceBackend().allocate('float64', 2 ** 50)).toThrow(OutOfMemoryError);
    expect(() => createReferenceBackend().allocate('float64', 1.5)).toThrow(ShapeError);
  });

  it('reads copies', async () => {
    const a = put([1, 2], 'float32');
    const read = await backend.read(a);
    expect(read).toEqual(new Float32Array([1, 2]));
    read[0] = 9;
    backend.readSync!(a)[1] = 9;
    expect(get(a)).toEqual([1, 2]);
  });

  it('refuses data of another length and tensors of another backend', () => {
    expect(() => backend.write(put([1, 2]), new Float64Array(3))).toThrow(ShapeError);
    expect(() => backend.fill({ dtype: 'float32', size: 1 }, 0)).toThrow(BackendError);
    expect(() => createReferenceBackend().release(put([1]))).toThrow(BackendError);
  });

  it('frees everything on dispose', () => {
    const own = createReferenceBackend();
    const a = own.allocate('int32', 2);
    own.dispose();
    expect(own.memory()).toMatchObject({ bytes: 0, buffers: 0 });
    expect(() => own.readSync!(a)).toThrow(DisposedError);
    expect(() => own.allocate('int32', 1)).toThrow(BackendError);
  });

  it('reports its name and properties', () => {
    expect(backend.info()).toEqual({
      backend: 'reference',
      variant: 'typescript float64',
      threads: 1,
      threadsOffBecause: 'the reference backend is single-threaded',
      mode: 'strict',
    });
    expect(createReferenceBackend({ fallbackBecause: 'no SIMD' }).info().fallbackBecause).toBe('no SIMD');
  });
});

describe('elementwise', () => {
  it('casts: truncates the fraction, saturates at the limits, NaN becomes 0', () => {
    const x = put([-1.9, 1.9, 300.5, 3e9, -3e9, Number.NaN, Number.POSITIVE_INFINITY]);
    expect(output(7, (y) => backend.cast(y, x), 'int32')).toEqual([-1, 1, 300, 2147483647, -2147483648, 0, 2147483647]);
    expect(output(7, (y) => backend.cast(y, x), 'uint8')).toEqual([0, 1, 255, 255, 0, 0, 255]);
    expect(output(1, (y) => backend.cast(y, put([0.1])), 'float32')).toEqual([Math.fround(0.1)]);
    expect(output(2, (y) => backend.cast(y, put([7, 255], 'uint8')), 'float32')).toEqual([7, 255]);
  });

  it.each([
    ['neg', [-2, 0.5], [2, -0.5]],
    ['abs', [-2, 0.5], [2, 0.5]],
    ['exp', [0, 1], [1, Math.E]],
    ['log', [1, Math.E], [0, 1]],
    ['sqrt', [4, 2.25], [2, 1.5]],
    ['sigmoid', [0, Math.log(3), -1000], [0.5, 0.75, 0]],
    ['tanh', [0, Math.log(3)], [0, 0.8]],
    ['square', [-3, 0.5], [9, 0.25]],
    ['reciprocal', [4, -0.5], [0.25, -2]],
    ['sign', [-3, 0, 2], [-1, 0, 1]],
  ] as const)('unary %s', (op, x, y) => {
    expectClose(
      output(x.length, (out) => backend.unary(out, put(x), op)),
      y,
    );
    const inPlace = put(x);
    backend.unary(inPlace, IN_PLACE, op);
    expectClose(get(inPlace), y);
  });

  it.each([
    ['add', [3, 1, -2], [2, 1, 4], [5, 2, 2]],
    ['sub', [3, 1, -2], [2, 1, 4], [1, 0, -6]],
    ['mul', [3, 1, -2], [2, 1, 4], [6, 1, -8]],
    ['div', [3, 1, -2], [2, 1, 4], [1.5, 1, -0.5]],
    ['pow', [3, 1, -2], [2, 1, 4], [9, 1, 16]],
    ['max', [3, 1, -2], [2, 1, 4], [3, 1, 4]],
    ['min', [3, 1, -2], [2, 1, 4], [2, 1, -2]],
    ['greater', [3, 1, -2], [2, 1, 4], [1, 0, 0]],
    ['equal', [3, 1, -2], [2, 1, 4], [0, 1, 0]],
  ] as const)('binary %s', (op, a, b, y) => {
    const p = { shape: [3], stridesA: [1], stridesB: [1] };
    expect(output(3, (out) => backend.binary(out, put(a), put(b), op, p))).toEqual(y);
    const inPlace = put(a);
    backend.binary(inPlace, IN_PLACE, put(b), op, p);
    expect(get(inPlace)).toEqual(y);
  });

  it('broadcasts a column with a row, a middle axis, and scalars', () => {
    const column = put([10, 20]);
    const row = put([1, 2, 3]);
    const outer = { shape: [2, 3], stridesA: [1, 0], stridesB: [0, 1] };
    expect(output(6, (y) => backend.binary(y, column, row, 'sub', outer))).toEqual([9, 8, 7, 19, 18, 17]);

    // a [2, 2, 2] times a bias per middle axis
    const a = put([1, 2, 3, 4, 5, 6, 7, 8]);
    const middle = { shape: [2, 2, 2], stridesA: [4, 2, 1], stridesB: [0, 1, 0] };
    expect(output(8, (y) => backend.binary(y, a, put([1, 10]), 'mul', middle))).toEqual([1, 2, 30, 40, 5, 6, 70, 80]);

    expect(output(1, (y) => backend.binary(y, put([2]), put([5]), 'add', { shape: [], stridesA: [], stridesB: [] }))).toEqual([7]);
  });

  it('affine, in place too', () => {
    const x = put([1, -2]);
    backend.affine(x, IN_PLACE, 3, 0.5);
    expect(get(x)).toEqual([3.5, -5.5]);
  });

  it('rounds only when storing', () => {
    const x = put([2 ** 24], 'float32');
    expect(output(1, (y) => backend.affine(y, x, 1, 1), 'float32')).toEqual([2 ** 24]);
    expect(output(1, (y) => backend.affine(y, x, 1, 1))).toEqual([2 ** 24 + 1]);
    // 2^24 + 1 − 2^24 is 1 in float64, 0 in float32
    const p = { keptShape: [], keptStrides: [], reducedShape: [3], reducedStrides: [1] };
    const terms = put([2 ** 24, 1, -(2 ** 24)], 'float32');
    expect(output(1, (y) => backend.reduce(y, terms, 'sum', p), 'float32')).toEqual([1]);
  });

  it('relu passes NaN', () => {
    expect(output(4, (y) => backend.relu(y, put([-1, 0, 2, Number.NaN])))).toEqual([0, 0, 2, Number.NaN]);
  });

  it.each([
    ['mask', [0, 0, 5, -5]],
    ['rectify', [5, 0, 5, 0]],
    ['mask-and-rectify', [0, 0, 5, 0]],
  ] as const)('reluGrad by the rule %s', (rule, dx) => {
    const dy = put([5, -5, 5, -5]);
    const y = put([0, 0, 2, 2]);
    expect(output(4, (out) => backend.reluGrad(out, dy, y, rule))).toEqual(dx);
    backend.reluGrad(dy, IN_PLACE, y, rule);
    expect(get(dy)).toEqual(dx);
  });

  it('leakyRelu and clamp', () => {
    const x = [-4, -1, 0.5, 3];
    expect(output(4, (y) => backend.leakyRelu(y, put(x), 0.25))).toEqual([-1, -0.25, 0.5, 3]);
    expect(output(5, (y) => backend.clamp(y, put([...x, Number.NaN]), -1, 2))).toEqual([-1, -1, 0.5, 2, Number.NaN]);
    // The borders belong to the range.
    expect(output(4, (dx) => backend.clampGrad(dx, put([5, 6, 7, 8]), put([-1, 2, -1.1, 2.1]), -1, 2))).toEqual([5, 6, 0, 0]);
  });

  it('the gradients of relu, leakyRelu and clamp equal the numeric ones', () => {
    const x = distinct(24);
    const dy = noise(24, 2);
    const y = put(output(24, (out) => backend.relu(out, put(x))));
    expectGrad(
      output(24, (dx) => backend.reluGrad(dx, put(dy), y, 'mask')),
      numericGrad(x, dy, (input, out) => backend.relu(out, input)),
    );
    expectGrad(
      output(24, (dx) => backend.leakyReluGrad(dx, put(dy), put(x), 0.2)),
      numericGrad(x, dy, (input, out) => backend.leakyRelu(out, input, 0.2)),
    );
    expectGrad(
      output(24, (dx) => backend.clampGrad(dx, put(dy), put(x), -0.5, 0.7)),
      numericGrad(x, dy, (input, out) => backend.clamp(out, input, -0.5, 0.7)),
    );
  });

  it('finds NaN and infinities', () => {
    const x = put([1, Number.NaN, Number.POSITIVE_INFINITY, -2, Number.NEGATIVE_INFINITY]);
    expect(() => backend.checkFinite(x, 'exp')).toThrow(new NonFiniteError('exp', 3, 5));
    expect(() => backend.checkFinite(put([1, -2, 0]), 'exp')).not.toThrow();
  });

  it('finds the first index outside a range', () => {
    const describe = (index: number, position: number) => `take: ${index} at ${position}`;
    expect(() => backend.checkIndices(put([0, 3, -1, 4], 'int32'), 4, describe)).toThrow(new ValueError('take: -1 at 2'));
    expect(() => backend.checkIndices(put([0, 3, 4], 'int32'), 4, describe)).toThrow(new ValueError('take: 4 at 2'));
    expect(() => backend.checkIndices(put([0, 3], 'int32'), 4, describe)).not.toThrow();
  });
});

describe('random', () => {
  const words = (seed: number, counter: number) => {
    const out = new Uint32Array(4);
    philox(seed, counter, out);
    return out;
  };

  it('uniform takes the upper 24 bits of each word', () => {
    // Philox at 0, 0 begins 6627e8d5 e169c58d bc57ac4c 9b00dbd8
    const expected = [0x6627e8, 0xe169c5, 0xbc57ac, 0x9b00db].map((bits) => -1 + (3 * bits) / 2 ** 24);
    expectClose(
      output(4, (y) => backend.uniform(y, 0, 0, -1, 2)),
      expected,
      14,
    );
  });

  it('element i is computed from counter + ⌊i / 4⌋, for any length', () => {
    const whole = output(11, (y) => backend.uniform(y, 7, 5, 0, 1));
    const rest = output(3, (y) => backend.uniform(y, 7, 7, 0, 1));
    expect(rest).toEqual(whole.slice(8));
    const normals = output(11, (y) => backend.normal(y, 7, 5, 0, 1));
    expect(output(3, (y) => backend.normal(y, 7, 7, 0, 1))).toEqual(normals.slice(8));
  });

  it('normal is Box-Muller over pairs of words', () => {
    const [w0, w1, w2, w3] = words(3, 9);
    const pair = (a: number, b: number) => {
      const radius = Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));
      return [radius * Math.cos((2 * Math.PI * b) / 2 ** 32), radius * Math.sin((2 * Math.PI * b) / 2 ** 32)];
    };
    const expected = [...pair(w0, w1), ...pair(w2, w3)].map((z) => 10 + 2 * z);
    expectClose(
      output(4, (y) => backend.normal(y, 3, 9, 10, 2)),
      expected,
      12,
    );
  });

  it('normal has the given mean and standard deviation', () => {
    const x = output(40_000, (y) => backend.normal(y, 1, 0, 2, 3));
    const mean = x.reduce((a, b) => a + b) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    expect(Math.abs(mean - 2)).toBeLessThan(0.06); // four standard errors
    expect(Math.abs(Math.sqrt(variance) - 3)).toBeLessThan(0.05);
  });

  it('dropout chooses by random words and scales the kept elements', () => {
    const p = { probability: 0.25, seed: 11, counter: 4 };
    const x = noise(10);
    const keep = [...words(11, 4), ...words(11, 5), ...words(11, 6)].map((word) => word >= 0.25 * 2 ** 32);
    const expected = x.map((value, i) => (keep[i] ? value / 0.75 : 0));
    expect(keep.slice(0, 10)).toContain(false);
    expectClose(
      output(10, (y) => backend.dropout(y, put(x), p)),
      expected,
    );
    // Its own gradient: the same mask.
    const dy = noise(10, 2);
    expectGrad(
      output(10, (dx) => backend.dropout(dx, put(dy), p)),
      numericGrad(x, dy, (input, y) => backend.dropout(y, input, p)),
    );
  });

  it('dropout with probability 0 and 1', () => {
    const x = put([1, 2, 3]);
    expect(output(3, (y) => backend.dropout(y, x, { probability: 0, seed: 1, counter: 0 }))).toEqual([1, 2, 3]);
    expect(output(3, (y) => backend.dropout(y, x, { probability: 1, seed: 1, counter: 0 }))).toEqual([0, 0, 0]);
  });
});

describe('stridedCopy', () => {
  const x = put([1, 2, 3, 4, 5, 6]); // [2, 3]

  it('transposes', () => {
    const p = { shape: [3, 2], yOffset: 0, yStrides: [2, 1], xOffset: 0, xStrides: [1, 3] };
    expect(output(6, (y) => backend.stridedCopy(y, x, p))).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it('copies a block into a larger one and leaves the rest unchanged', () => {
    const y = put(new Array(12).fill(0)); // [3, 4]
    backend.stridedCopy(y, x, { shape: [2, 2], yOffset: 5, yStrides: [4, 1], xOffset: 1, xStrides: [3, 1] });
    expect(get(y)).toEqual([0, 0, 0, 0, 0, 2, 3, 0, 0, 5, 6, 0]);
  });

  it('expands with stride 0, flips with a negative stride, copies a scalar', () => {
    const expand = { shape: [2, 3], yOffset: 0, yStrides: [3, 1], xOffset: 3, xStrides: [0, 1] };
    expect(output(6, (y) => backend.stridedCopy(y, x, expand))).toEqual([4, 5, 6, 4, 5, 6]);
    const flip = { shape: [6], yOffset: 0, yStrides: [1], xOffset: 5, xStrides: [-1] };
    expect(output(6, (y) => backend.stridedCopy(y, x, flip))).toEqual([6, 5, 4, 3, 2, 1]);
    const scalar = { shape: [], yOffset: 0, yStrides: [], xOffset: 2, xStrides: [] };
    expect(output(1, (y) => backend.stridedCopy(y, x, scalar))).toEqual([3]);
  });
});

describe('matmul and linear', () => {
  it('multiplies [2, 3] · [3, 2], transposed or not', () => {
    const c = [58, 64, 139, 154];
    const a = put([1, 2, 3, 4, 5, 6]);
    const aT = put([1, 4, 2, 5, 3, 6]);
    const b = put([7, 8, 9, 10, 11, 12]);
    const bT = put([7, 9, 11, 8, 10, 12]);
    const p = { batch: 1, m: 2, n: 2, k: 3, strideA: 0, strideB: 0 };
    expect(output(4, (y) => backend.matmul(y, a, b, { ...p, transposeA: false, transposeB: false }))).toEqual(c);
    expect(output(4, (y) => backend.matmul(y, aT, b, { ...p, transposeA: true, transposeB: false }))).toEqual(c);
    expect(output(4, (y) => backend.matmul(y, a, bT, { ...p, transposeA: false, transposeB: true }))).toEqual(c);
    expect(output(4, (y) => backend.matmul(y, aT, bT, { ...p, transposeA: true, transposeB: true }))).toEqual(c);
  });

  it('multiplies a batch, or repeats one operand', () => {
    // a: two [1, 2]; b: one [2, 2]
    const p = { batch: 2, m: 1, n: 2, k: 2, transposeA: false, transposeB: false, strideA: 2, strideB: 0 };
    expect(output(4, (y) => backend.matmul(y, put([1, 2, 3, 4]), put([1, 10, 100, 1000]), p))).toEqual([201, 2010, 403, 4030]);
    const q = { ...p, strideA: 0, strideB: 4 };
    const b = put([1, 10, 100, 1000, 2, 3, 4, 5]);
    expect(output(4, (y) => backend.matmul(y, put([1, 2]), b, q))).toEqual([201, 2010, 10, 13]);
  });

  it('linear: x · wᵀ + b, with or without bias and ReLU', () => {
    const x = put([1, 2, 3, 4]); // [2, 2]
    const w = put([1, -1, 2, 0, -3, 1]); // [3, 2]
    const b = put([0.5, -1, 0]);
    expect(output(6, (y) => backend.linear(y, x, w, null, { n: 2, inFeatures: 2, outFeatures: 3, relu: false }))).toEqual([
      -1, 2, -1, -1, 6, -5,
    ]);
    expect(output(6, (y) => backend.linear(y, x, w, b, { n: 2, inFeatures: 2, outFeatures: 3, relu: false }))).toEqual([
      -0.5, 1, -1, -0.5, 5, -5,
    ]);
    expect(output(6, (y) => backend.linear(y, x, w, b, { n: 2, inFeatures: 2, outFeatures: 3, relu: true }))).toEqual([0, 1, 0, 0, 5, 0]);
  });
});

describe('conv2d', () => {
  it('a 2×3 kernel over 4×5 with asymmetric padding and a stride that leaves a remainder', () => {
    // Padded by 1 above and 2 on the left: 5×7 places, windows at rows 0, 2 and columns 0, 2, 4 (row 4 is left over).
    //   . . . . . . .
    //   . . 1 2 3 4 5
    //   . . 6 7 8 9 10
    //   . . 11 12 13 14 15
    //   . . 16 17 18 19 20
    const p = convParams('conv2d', [1, 1, 4, 5], [1, 1, 2, 3], { stride: 2, padding: [1, 2, 0, 0] });
    expect([p.oh, p.ow]).toEqual([2, 3]);
    const x = put(Array.from({ length: 20 }, (_, i) => i + 1));
    const w = put([1, 2, 3, -1, 10, 100]);
    const y = [
      100 * 1, // [0 0 0; 0 0 1]
      -1 + 20 + 300, // [0 0 0; 1 2 3]
      -3 + 40 + 500, // [0 0 0; 3 4 5]
      3 * 6 + 100 * 11, // [0 0 6; 0 0 11]
      6 + 14 + 24 - 11 + 120 + 1300, // [6 7 8; 11 12 13]
      8 + 18 + 30 - 13 + 140 + 1500, // [8 9 10; 13 14 15]
    ];
    expect(output(6, (out) => backend.conv2d(out, x, w, null, plain(p)))).toEqual(y);
    const bias = put([-330]);
    const biased = y.map((value) => value - 330);
    expect(output(6, (out) => backend.conv2d(out, x, w, bias, plain(p)))).toEqual(biased);
    expect(output(6, (out) => backend.conv2d(out, x, w, bias, { ...plain(p), relu: true }))).toEqual(
      biased.map((value) => Math.max(value, 0)),
    );
  });

  it('sums over channels, for each image and output channel', () => {
    const p = convParams('conv2d', [2, 2, 1, 2], [2, 2, 1, 1]);
    const x = put([1, 2, 3, 4, 5, 6, 7, 8]);
    const w = put([1, 10, 2, -1]);
    expect(output(8, (y) => backend.conv2d(y, x, w, put([0, 100]), plain(p)))).toEqual([31, 42, 99, 100, 75, 86, 103, 104]);
  });

  it('dilation spreads the taps, groups separate the channels', () => {
    const dilated = convParams('conv2d', [1, 1, 1, 5], [1, 1, 1, 2], { dilation: [1, 3] });
    expect(output(2, (y) => backend.conv2d(y, put([1, 2, 3, 4, 5]), put([1, 10]), null, plain(dilated)))).toEqual([41, 52]);

    const grouped = convParams('conv2d', [1, 4, 1, 1], [2, 2, 1, 1], { groups: 2 });
    expect(output(2, (y) => backend.conv2d(y, put([1, 2, 3, 4]), put([1, 10, 100, 1000]), null, plain(grouped)))).toEqual([21, 4300]);
  });

  it('a dilated kernel in padding on all sides', () => {
    // Taps at oy − 2 and oy: only one of them ever meets the single pixel.
    const p = convParams('conv2d', [1, 1, 1, 1], [1, 1, 2, 2], { dilation: 2, padding: 2 });
    expect([p.oh, p.ow]).toEqual([3, 3]);
    const y = output(9, (out) => backend.conv2d(out, put([2]), put([1, 2, 3, 4]), null, plain(p)));
    expect(y).toEqual([8, 0, 6, 0, 0, 0, 4, 0, 2]);
  });

  const cases: { name: string; x: number[]; w: number[]; options: ConvOptions }[] = [
    { name: 'plain', x: [2, 3, 5, 4], w: [4, 3, 3, 2], options: {} },
    { name: 'stride remainder, asymmetric padding', x: [2, 2, 6, 7], w: [3, 2, 3, 2], options: { stride: [2, 3], padding: [1, 0, 2, 1] } },
    { name: 'dilation', x: [1, 2, 6, 7], w: [3, 2, 2, 3], options: { dilation: [3, 2], padding: [2, 3] } },
    { name: 'groups', x: [2, 4, 5, 5], w: [6, 2, 3, 3], options: { groups: 2, stride: 2, padding: 1 } },
    { name: 'depthwise', x: [2, 3, 4, 5], w: [3, 1, 3, 3], options: { groups: 3, padding: 1 } },
    { name: 'stride beyond the kernel', x: [1, 2, 7, 8], w: [2, 2, 1, 2], options: { stride: 3 } },
  ];
  it.each(cases)('gradients equal the numeric ones: $name', ({ x: xShape, w: wShape, options }) => {
    const p = convParams('conv2d', xShape, wShape, options);
    const x = noise(product(xShape), 1);
    const w = noise(product(wShape), 2);
    const b = noise(p.o, 3);
    const dy = noise(p.n * p.o * p.oh * p.ow, 4);
    expectGrad(
      output(x.length, (dx) => backend.conv2dInputGrad(dx, put(dy), put(w), p)),
      numericGrad(x, dy, (input, y) => backend.conv2d(y, input, put(w), put(b), plain(p))),
    );
    expectGrad(
      output(w.length, (dw) => backend.conv2dWeightGrad(dw, put(x), put(dy), p)),
      numericGrad(w, dy, (weight, y) => backend.conv2d(y, put(x), weight, put(b), plain(p))),
    );
    expectGrad(
      output(p.o, (db) => backend.channelSum(db, put(dy), p.n, p.o, p.oh * p.ow)),
      numericGrad(b, dy, (bias, y) => backend.conv2d(y, put(x), put(w), bias, plain(p))),
    );
  });

  it('the gradient check catches a kernel that is not flipped', () => {
    const p = convParams('conv2d', [1, 1, 4, 4], [1, 1, 2, 2]);
    const x = noise(16);
    const w = noise(4, 2);
    const dy = noise(9, 3);
    const wrong = output(16, (dx) => backend.conv2dInputGrad(dx, put(dy), put(w.toReversed()), p));
    const numeric = numericGrad(x, dy, (input, y) => backend.conv2d(y, input, put(w), null, plain(p)));
    expect(() => expectGrad(wrong, numeric)).toThrow();
  });

  it('channelSum and channelAdd', () => {
    const x = [1, 2, 3, 4, 5, 6, 7, 8]; // [2, 2, 2]
    expect(output(2, (db) => backend.channelSum(db, put(x), 2, 2, 2))).toEqual([14, 22]);
    const y = put(x);
    backend.channelAdd(y, put([10, 20]), 2, 2, 2);
    expect(get(y)).toEqual([11, 12, 23, 24, 15, 16, 27, 28]);
  });
});

describe('maxPool2d', () => {
  const pooled = (x: readonly number[], p: PoolParams) => {
    const y = blank(p.planes * p.oh * p.ow);
    const switches = blank(p.planes * p.oh * p.ow, 'int32');
    backend.maxPool2d(y, switches, put(x), p);
    return { y: get(y), switches: get(switches) };
  };

  it('overlapping windows with ties: the first maximum in row-major order is the switch', () => {
    const x = [
      [1, 5, 5, 2, 2],
      [5, 0, 3, 2, 2],
      [4, 9, 9, 9, 1],
    ].flat();
    const p = poolParams('maxPool2d', [1, 1, 3, 5], { kernelSize: [2, 3], stride: [1, 2] });
    expect(pooled(x, p)).toEqual({ y: [5, 5, 9, 9], switches: [1, 2, 11, 12] });
  });

  it('planes have separate indices, and a window of equal values has its first index', () => {
    const p = poolParams('maxPool2d', [1, 2, 2, 4], { kernelSize: 2 });
    const x = [0, 0, 0, 0, 0, 0, 0, 0, -1, -2, -3, -4, -5, -6, -7, -3];
    expect(pooled(x, p)).toEqual({ y: [0, 0, -1, -3], switches: [0, 2, 0, 2] });
  });

  it('padding is never the maximum, nor a switch', () => {
    const p = poolParams('maxPool2d', [1, 1, 3, 3], { kernelSize: 2, padding: 1 });
    const x = [-1, -2, -3, -4, -5, -6, -7, -8, -9];
    expect(pooled(x, p)).toEqual({ y: [-1, -2, -4, -5], switches: [0, 1, 3, 4] });
    const infinite = new Array(9).fill(Number.NEGATIVE_INFINITY);
    expect(pooled(infinite, p).switches).toEqual([0, 1, 3, 4]);
  });

  it('accepts the old names of its options, and refuses both names with different values', () => {
    const p = poolParams('maxPool2d', [1, 1, 1, 5], { kernelSize: [1, 2], ceilMode: true });
    expect(poolParams('maxPool2d', [1, 1, 1, 5], { kernel: [1, 2], ceil: true })).toEqual(p);
    expect(poolParams('maxPool2d', [1, 1, 1, 5], { kernel: [1, 2], kernelSize: [1, 2], ceil: true, ceilMode: true })).toEqual(p);
    expect(() => poolParams('maxPool2d', [1, 1, 4, 4], { kernelSize: 2, kernel: 3 })).toThrow(/kernelSize is 2 and kernel is 3/);
    expect(() => poolParams('maxPool2d', [1, 1, 4, 4], { kernelSize: 2, ceil: true, ceilMode: false })).toThrow(ValueError);
  });

  it('ceil mode adds an incomplete window, and dilation skips positions', () => {
    const ceil = poolParams('maxPool2d', [1, 1, 1, 5], { kernelSize: [1, 2], ceilMode: true });
    expect(pooled([1, 2, 4, 3, -7], ceil)).toEqual({ y: [2, 4, -7], switches: [1, 2, 4] });
    const dilated = poolParams('maxPool2d', [1, 1, 1, 5], { kernelSize: [1, 2], stride: 1, dilation: [1, 3] });
    expect(pooled([1, 9, 9, 4, -7], dilated)).toEqual({ y: [4, 9], switches: [3, 1] });
  });

  it('NaN is the maximum, and the last one is the switch', () => {
    const p = poolParams('maxPool2d', [1, 1, 1, 4], { kernelSize: [1, 4] });
    expect(pooled([1, Number.NaN, 7, 2], p)).toEqual({ y: [Number.NaN], switches: [1] });
    expect(pooled([Number.NaN, 3, Number.NaN, 9], p)).toEqual({ y: [Number.NaN], switches: [2] });
  });

  it('a dilated window without pixels has the value −∞, no switch and no gradient', () => {
    const p = poolParams('maxPool2d', [1, 1, 1, 1], { kernelSize: [1, 2], dilation: 2, padding: [0, 1] });
    expect(pooled([3], p)).toEqual({ y: [Number.NEGATIVE_INFINITY], switches: [-1] });
    expect(
      output(1, (x) =>
        backend.maxUnpool2d(x, put([5]), put([-1], 'int32'), { planes: 1, inner: 1, outer: 1, overlap: 'sum', window: null }),
      ),
    ).toEqual([0]);
    expect(output(1, (dy) => backend.maxUnpool2dGrad(dy, put([5]), put([-1], 'int32'), { planes: 1, inner: 1, outer: 1 }))).toEqual([0]);
  });

  it('works without switches', () => {
    const p = poolParams('maxPool2d', [1, 1, 2, 2], { kernelSize: 2 });
    expect(output(1, (y) => backend.maxPool2d(y, null, put([1, 3, 2, 0]), p))).toEqual([3]);
  });
});

describe('maxUnpool2d', () => {
  it('puts values at their switches and zeros elsewhere; values with the same switch are added, or the last is kept', () => {
    const y = put([1, 2, 4, 8, 16, 32]); // two planes of three
    const switches = put([3, 0, 3, 1, 1, 1], 'int32');
    expect(output(8, (x) => backend.maxUnpool2d(x, y, switches, { planes: 2, inner: 3, outer: 4, overlap: 'sum', window: null }))).toEqual([
      2, 0, 0, 5, 0, 56, 0, 0,
    ]);
    expect(output(8, (x) => backend.maxUnpool2d(x, y, switches, { planes: 2, inner: 3, outer: 4, overlap: 'last', window: null }))).toEqual(
      [2, 0, 0, 4, 0, 32, 0, 0],
    );
  });

  it('has a gradient that reads at the switches', () => {
    const dx = put([1, 2, 3, 4, 5, 6, 7, 8]);
    const switches = put([3, 0, 3, 1, 1, 2], 'int32');
    expect(output(6, (dy) => backend.maxUnpool2dGrad(dy, dx, switches, { planes: 2, inner: 3, outer: 4 }))).toEqual([4, 1, 4, 6, 6, 7]);
  });

  const cases: { name: string; x: number[]; options: PoolOptions }[] = [
    { name: 'apart', x: [2, 2, 4, 6], options: { kernelSize: 2 } },
    { name: 'overlapping, as in the paper', x: [1, 2, 7, 5], options: { kernelSize: 3, stride: 2 } },
    { name: 'padded, not square', x: [1, 2, 5, 6], options: { kernelSize: [3, 2], stride: [2, 1], padding: [1, 0, 0, 1] } },
    { name: 'ceil', x: [1, 1, 6, 8], options: { kernelSize: 3, stride: 2, ceilMode: true } },
  ];
  it.each(cases)('is the gradient of pooling, and its adjoint: $name', ({ x: shape, options }) => {
    const p = poolParams('maxPool2d', shape, options);
    const inner = p.oh * p.ow;
    const outer = p.h * p.w;
    const x = distinct(p.planes * outer);
    const dy = noise(p.planes * inner, 2);
    const switches = blank(p.planes * inner, 'int32');
    const y = output(p.planes * inner, (out) => backend.maxPool2d(out, switches, put(x), p));
    const unpooled = output(x.length, (out) =>
      backend.maxUnpool2d(out, put(dy), switches, { planes: p.planes, inner, outer, overlap: 'sum', window: null }),
    );
    expectGrad(
      unpooled,
      numericGrad(x, dy, (input, out) => backend.maxPool2d(out, null, input, p)),
    );
    // ⟨pool(x), dy⟩ = ⟨x, unpool(dy)⟩, and pooling by the switches gives what pooling gave.
    expect(dot(y, dy)).toBeCloseTo(dot(x, unpooled), 10);
    expect(output(y.length, (out) => backend.maxUnpool2dGrad(out, put(x), switches, { planes: p.planes, inner, outer }))).toEqual(y);
    // The same of unpooling's own gradient, by differences.
    const dx = noise(x.length, 3);
    expectGrad(
      output(y.length, (out) => backend.maxUnpool2dGrad(out, put(dx), switches, { planes: p.planes, inner, outer })),
      numericGrad(dy, dx, (input, out) =>
        backend.maxUnpool2d(out, input, switches, { planes: p.planes, inner, outer, overlap: 'sum', window: null }),
      ),
    );
  });
});

describe('avgPool2d', () => {
  const average = (x: readonly number[], shape: readonly number[], options: PoolOptions) => {
    const p = poolParams('avgPool2d', shape, options);
    return output(p.planes * p.oh * p.ow, (y) => backend.avgPool2d(y, put(x), p));
  };

  it('averages', () => {
    expect(average([1, 2, 3, 4, 5, 6, 7, 9], [1, 1, 2, 4], { kernelSize: 2 })).toEqual([3.5, 5.75]);
  });

  it('includes padding in the mean or not', () => {
    const x = [4, 8, 12, 16];
    const options = { kernelSize: 2, stride: 1, padding: [1, 0, 0, 1] as const };
    // Windows: [· ·; 4 8] [· ·; 8 ·] / [4 8; 12 16] [8 ·; 16 ·]
    expect(average(x, [1, 1, 2, 2], { ...options, countIncludePad: true })).toEqual([3, 2, 10, 6]);
    expect(average(x, [1, 1, 2, 2], { ...options, countIncludePad: false })).toEqual([6, 8, 10, 12]);
  });

  it('never counts the part of a ceil-mode window beyond the padding', () => {
    const row = { kernelSize: [1, 3] as const, stride: [1, 2] as const, ceilMode: true };
    // Without padding: [1 2 3] [3 6] → 2, 9/2
    expect(average([1, 2, 3, 6], [1, 1, 1, 4], row)).toEqual([2, 4.5]);
    // With one on either side: [· 1 2] [2 3 6] [6 ·] and one place beyond, not counted
    const padded = { ...row, padding: [0, 1] as const };
    expect(average([1, 2, 3, 6], [1, 1, 1, 4], padded)).toEqual([1, 11 / 3, 3]);
    expect(average([1, 2, 3, 6], [1, 1, 1, 4], { ...padded, countIncludePad: false })).toEqual([1.5, 11 / 3, 6]);
  });

  it('a dilated window without pixels gives 0', () => {
    const options = { kernelSize: [1, 2] as const, dilation: 2, padding: [0, 1] as const };
    expect(average([3], [1, 1, 1, 1], { ...options, countIncludePad: false })).toEqual([0]);
    expect(average([3], [1, 1, 1, 1], { ...options, countIncludePad: true })).toEqual([0]);
  });

  const cases: { name: string; x: number[]; options: PoolOptions }[] = [
    { name: 'overlapping', x: [1, 2, 7, 5], options: { kernelSize: 3, stride: 2 } },
    { name: 'padding counted', x: [2, 1, 5, 6], options: { kernelSize: [3, 2], stride: 2, padding: [1, 0, 2, 1] } },
    { name: 'padding left out', x: [2, 1, 5, 6], options: { kernelSize: 3, stride: 2, padding: 1, countIncludePad: false } },
    { name: 'ceil', x: [1, 1, 6, 8], options: { kernelSize: 3, stride: 2, padding: 1, ceilMode: true } },
    { name: 'dilation', x: [1, 2, 6, 7], options: { kernelSize: 2, stride: 1, dilation: [2, 3], padding: 1, countIncludePad: false } },
  ];
  it.each(cases)('the gradient equals the numeric one: $name', ({ x: shape, options }) => {
    const p = poolParams('avgPool2d', shape, options);
    const x = noise(p.planes * p.h * p.w);
    const dy = noise(p.planes * p.oh * p.ow, 2);
    const dx = output(x.length, (out) => backend.avgPool2dGrad(out, put(dy), p));
    expectGrad(
      dx,
      numericGrad(x, dy, (input, y) => backend.avgPool2d(y, input, p)),
    );
    const y = output(dy.length, (out) => backend.avgPool2d(out, put(x), p));
    expect(dot(y, dy)).toBeCloseTo(dot(x, dx), 10);
  });
});

describe('localResponseNorm', () => {
  const normed = (x: readonly number[], p: LrnParams) => output(x.length, (y) => backend.localResponseNorm(y, put(x), p));
  const sized = (size: number) => ({ before: Math.floor((size - 1) / 2), after: Math.ceil((size - 1) / 2) });
  const across = { n: 1, h: 1, w: 1, alphaOverSize: 0.5, k: 2, beta: 1, region: 'across' } as const;

  it('three channels of one pixel', () => {
    // s = 2 + (1 + 4) / 2, 2 + (1 + 4 + 9) / 2, 2 + (4 + 9) / 2
    expectClose(normed([1, 2, 3], { ...across, c: 3, ...sized(3) }), [1 / 4.5, 2 / 9, 3 / 8.5]);
    expectClose(normed([1, 2, 3], { ...across, c: 3, ...sized(3), beta: 0.75 }), [4.5 ** -0.75, 2 * 9 ** -0.75, 3 * 8.5 ** -0.75]);
  });

  it('an even window has one channel more after the centre than before it', () => {
    // size 2: this channel and the next; size 4: one back, two ahead
    expectClose(normed([1, 2, 3, 4], { ...across, c: 4, ...sized(2) }), [1 / 4.5, 2 / 8.5, 3 / 14.5, 4 / 10]);
    expectClose(normed([1, 2, 3, 4], { ...across, c: 4, ...sized(4) }), [1 / 9, 2 / 17, 3 / 16.5, 4 / 14.5]);
  });

  it('within one channel: a square of pixels', () => {
    const p = { n: 1, c: 2, h: 2, w: 3, ...sized(3), alphaOverSize: 1, k: 1, beta: 1, region: 'within' } as const;
    const x = [1, 2, 3, 4, 5, 6, 0, 1, 0, 1, 0, 2];
    const s = [47, 92, 75, 47, 92, 75, 3, 7, 6, 3, 7, 6];
    expectClose(
      normed(x, p),
      x.map((value, i) => value / s[i]),
    );
    // size 2 looks right and down only
    const even = [47, 75, 46, 42, 62, 37, 3, 6, 5, 2, 5, 5];
    expectClose(
      normed(x, { ...p, ...sized(2) }),
      x.map((value, i) => value / even[i]),
    );
  });

  it('normalises images independently', () => {
    const p = { ...across, n: 2, c: 3, ...sized(3) };
    expectClose(normed([1, 2, 3, 0, 2, 0], p), [1 / 4.5, 2 / 9, 3 / 8.5, 0, 0.5, 0]);
  });

  const cases: (LrnParams & { size: number })[] = (['across', 'within'] as const).flatMap((region) =>
    [1, 2, 3, 4, 5].map((size) => ({ n: 2, c: 4, h: 3, w: 4, size, ...sized(size), alphaOverSize: 0.3, beta: 0.75, k: 1.5, region })),
  );
  it.each(cases)('the gradient equals the numeric one: $region, size $size', (p) => {
    const x = noise(96);
    const dy = noise(96, 2);
    expectGrad(
      output(96, (dx) => backend.localResponseNormGrad(dx, put(dy), put(x), p)),
      numericGrad(x, dy, (input, y) => backend.localResponseNorm(y, input, p)),
    );
  });
});

describe('reduce', () => {
  const x = put([1, -2, 3, 4, 0, 6]); // [2, 3]
  const rows: ReduceParams = { keptShape: [2], keptStrides: [3], reducedShape: [3], reducedStrides: [1] };
  const columns: ReduceParams = { keptShape: [3], keptStrides: [1], reducedShape: [2], reducedStrides: [3] };
  const all: ReduceParams = { keptShape: [], keptStrides: [], reducedShape: [2, 3], reducedStrides: [3, 1] };

  it.each([
    ['sum', [2, 10], [5, -2, 9], [12]],
    ['mean', [2 / 3, 10 / 3], [2.5, -1, 4.5], [2]],
    ['max', [3, 6], [4, 0, 6], [6]],
    ['min', [-2, 0], [1, -2, 3], [-2]],
  ] as const)('%s over rows, columns and everything', (op, byRow, byColumn, whole) => {
    expect(output(2, (y) => backend.reduce(y, x, op, rows))).toEqual(byRow);
    expect(output(3, (y) => backend.reduce(y, x, op, columns))).toEqual(byColumn);
    expect(output(1, (y) => backend.reduce(y, x, op, all))).toEqual(whole);
  });

  it('reduces outer and inner axes around a kept one', () => {
    const cube = put([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]); // [2, 3, 2]
    const p = { keptShape: [3], keptStrides: [2], reducedShape: [2, 2], reducedStrides: [6, 1] };
    expect(output(3, (y) => backend.reduce(y, cube, 'sum', p))).toEqual([18, 26, 34]);
    expect(output(3, (y) => backend.argmax(y, cube, p), 'int32')).toEqual([3, 3, 3]);
  });

  it('extremes of NaN are NaN', () => {
    const p = { keptShape: [], keptStrides: [], reducedShape: [3], reducedStrides: [1] };
    const bad = put([5, Number.NaN, 1]);
    expect(output(1, (y) => backend.reduce(y, bad, 'max', p))).toEqual([Number.NaN]);
    expect(output(1, (y) => backend.reduce(y, bad, 'min', p))).toEqual([Number.NaN]);
  });

  it('argmax returns the first maximum, and counts NaN as the greatest value', () => {
    const p = { keptShape: [3], keptStrides: [4], reducedShape: [4], reducedStrides: [1] };
    const ties = put([1, 7, 7, 0, -5, -3, -3, -4, 9, Number.NaN, 10, Number.NaN]);
    expect(output(3, (y) => backend.argmax(y, ties, p), 'int32')).toEqual([1, 1, 1]);
    expect(output(3, (y) => backend.argmax(y, x, columns), 'int32')).toEqual([1, 1, 1]);
  });
});

describe('softmax and cross-entropy', () => {
  const p = { rows: 2, columns: 3 };
  const logs = [1, 2, 5, 4, 1, 3].map(Math.log); // the softmax is these values divided by 8

  it('softmax and logSoftmax of logarithms', () => {
    expectClose(
      output(6, (y) => backend.softmax(y, put(logs), p)),
      [0.125, 0.25, 0.625, 0.5, 0.125, 0.375],
    );
    expectClose(
      output(6, (y) => backend.logSoftmax(y, put(logs), p)),
      [0.125, 0.25, 0.625, 0.5, 0.125, 0.375].map(Math.log),
    );
  });

  it('large logits do not overflow', () => {
    const x = put([1000, 1000, -1000, -1000, -1000 + Math.log(3), -5000]);
    expectClose(
      output(6, (y) => backend.softmax(y, x, p)),
      [0.5, 0.5, 0, 0.25, 0.75, 0],
    );
    expect(output(1, (loss) => backend.crossEntropy(loss, x, put([2, 0], 'int32'), p))[0]).toBeCloseTo(
      (2000 + Math.log(2) + Math.log(4)) / 2,
      9,
    );
  });

  it('cross-entropy is the mean of −log probability', () => {
    const labels = put([2, 0], 'int32');
    expectClose(
      output(1, (loss) => backend.crossEntropy(loss, put(logs), labels, p)),
      [-(Math.log(0.625) + Math.log(0.5)) / 2],
    );
    expectClose(
      output(6, (dx) => backend.crossEntropyGrad(dx, put([4]), put(logs), labels, p)),
      [0.25, 0.5, -0.75, -1, 0.25, 0.75],
    );
  });

  it('refuses a label outside the classes', () => {
    const x = put(logs);
    for (const labels of [put([0, 3], 'int32'), put([-1, 0], 'int32')]) {
      expect(() => backend.crossEntropy(blank(1), x, labels, p)).toThrow(ValueError);
      expect(() => backend.crossEntropyGrad(blank(6), put([1]), x, labels, p)).toThrow(ValueError);
    }
  });

  it('gradients equal the numeric ones', () => {
    const q = { rows: 3, columns: 5 };
    const x = noise(15).map((value) => 3 * value);
    const dy = noise(15, 2);
    const labels = put([4, 0, 2], 'int32');
    for (const [forward, backward] of [
      [backend.softmax, backend.softmaxGrad],
      [backend.logSoftmax, backend.logSoftmaxGrad],
    ] as const) {
      const y = put(output(15, (out) => forward(out, put(x), q)));
      expectGrad(
        output(15, (dx) => backward(dx, put(dy), y, q)),
        numericGrad(x, dy, (input, out) => forward(out, input, q)),
      );
    }
    expectGrad(
      output(15, (dx) => backend.crossEntropyGrad(dx, put([-1.7]), put(x), labels, q)),
      numericGrad(x, [-1.7], (input, loss) => backend.crossEntropy(loss, input, labels, q)),
    );
  });
});

describe('sgd', () => {
  const plain: SgdParams = { lr: 0.5, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, first: true };
  /** Two steps from w = 1 with gradients 2 and 4; gives [w, velocity] after each. */
  const steps = (p: Partial<SgdParams>) => {
    const w = put([1]);
    const v = blank(1);
    return [2, 4].map((g, step) => {
      backend.sgd(w, v, put([g]), { ...plain, ...p, first: step === 0 });
      return [get(w)[0], get(v)[0]];
    });
  };

  it('without momentum, with weight decay', () => {
    const w = put([1, -2]);
    backend.sgd(w, null, put([2, 4]), { ...plain, weightDecay: 0.5 });
    expect(get(w)).toEqual([1 - 0.5 * 2.5, -2 - 0.5 * 3]);
  });

  it('momentum starts with the gradient and decays afterwards', () => {
    // v = 2, then 0.5 · 2 + 4 = 5
    expect(steps({ momentum: 0.5 })).toEqual([
      [0, 2],
      [-2.5, 5],
    ]);
  });

  it('dampening applies from the second step on', () => {
    // v = 2, then 0.5 · 2 + 0.75 · 4 = 4
    expect(steps({ momentum: 0.5, dampening: 0.25 })).toEqual([
      [0, 2],
      [-2, 4],
    ]);
  });

  it('nesterov uses the velocity after the step', () => {
    // steps of 2 + 0.5 · 2 = 3, then 4 + 0.5 · 5 = 6.5
    expect(steps({ momentum: 0.5, nesterov: true })).toEqual([
      [-0.5, 2],
      [-3.75, 5],
    ]);
  });

  it('momentum and weight decay together', () => {
    // g = 2 + 0.1 · 1 = 2.1, w = −0.05; g = 4 − 0.005 = 3.995, v = 1.05 + 3.995
    const [first, second] = steps({ momentum: 0.5, weightDecay: 0.1 });
    expectClose(first, [-0.05, 2.1]);
    expectClose(second, [-0.05 - 0.5 * 5.045, 5.045]);
  });

  it('clipRms rescales only the rows above the limit', () => {
    // root mean squares 5, 1 and 0
    const w = put([5, -5, 1, -1, 0, 0]);
    backend.clipRms(w, 3, 2, 1);
    expect(get(w)).toEqual([1, -1, 1, -1, 0, 0]);
    const uneven = put([6, 8, 0, 0]); // squares mean 25
    backend.clipRms(uneven, 1, 4, 0.1);
    expectClose(get(uneven), [0.12, 0.16, 0, 0]);
  });
});
