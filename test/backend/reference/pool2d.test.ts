/** The reference backend against values worked out by hand and central differences: maxPool2d, maxUnpool2d, avgPool2d. */
import { describe, expect, it } from 'vitest';
import { ValueError } from '../../../src/backend/errors.js';
import { type PoolOptions, type PoolParams, poolParams } from '../../../src/backend/params.js';
import { backend, blank, distinct, dot, expectGrad, get, noise, numericGrad, output, put } from './support.js';

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
