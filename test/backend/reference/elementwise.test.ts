/** The reference backend against values worked out by hand and central differences: elementwise. */
import { describe, expect, it } from 'vitest';
import { IN_PLACE } from '../../../src/backend/backend.js';
import { NonFiniteError, ValueError } from '../../../src/backend/errors.js';
import { backend, distinct, expectClose, expectGrad, get, noise, numericGrad, output, put } from './support.js';

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
