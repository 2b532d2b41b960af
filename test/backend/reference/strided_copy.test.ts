/** The reference backend against values worked out by hand and central differences: stridedCopy. */
import { describe, expect, it } from 'vitest';
import { backend, get, output, put } from './support.js';

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
