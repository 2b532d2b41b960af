/** The reference backend against values worked out by hand and central differences: matmul and linear. */
import { describe, expect, it } from 'vitest';
import { backend, output, put } from './support.js';

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
