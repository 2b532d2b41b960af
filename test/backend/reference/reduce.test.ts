/** The reference backend against values worked out by hand and central differences: reduce. */
import { describe, expect, it } from 'vitest';
import type { ReduceParams } from '../../../src/backend/params.js';
import { backend, output, put } from './support.js';

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
