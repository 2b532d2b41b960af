/** Top-k errors: ties, NaN, and few classes. */
import { describe, expect, it } from 'vitest';
import { batchErrors, countErrors, topK } from '../../src/nn/index.js';
import { tensor } from '../../src/tensor/index.js';
import { reference } from '../support/backends.js';

const errors = (logits: number[], label: number, k: number) => countErrors(Float64Array.from(logits), [label], logits.length, k);

describe('countErrors', () => {
  it('counts the rows whose label is not among the k largest', () => {
    const logits = Float64Array.of(3, 1, 2, 0, 9, 8);
    expect([1, 2, 3].map((k) => countErrors(logits, [2, 0], 3, k))).toEqual([2, 1, 0]);
  });

  it('ranks equal scores by index', () => {
    expect([0, 1, 2].map((label) => errors([5, 5, 5], label, 1))).toEqual([0, 1, 1]);
    expect([0, 1, 2].map((label) => errors([5, 5, 5], label, 2))).toEqual([0, 0, 1]);
  });

  it('counts a row with a NaN as missed', () => {
    expect(errors([1, Number.NaN, 0], 0, 1)).toBe(1);
    expect(errors([Number.NaN, 1, 0], 0, 3)).toBe(1);
  });
});

describe('batchErrors', () => {
  it('counts the top-1 and top-5 errors of a batch', async () => {
    const logits = tensor(
      [
        [9, 1, 2, 3, 4, 5],
        [9, 1, 2, 3, 4, 5],
        [9, 1, 2, 3, 4, 5],
      ],
      undefined,
      { backend: reference },
    );
    expect(await batchErrors(logits, [0, 5, 1])).toEqual({ top1: 2, top5: 1 });
  });
});

describe('topK', () => {
  it('returns indices by descending value; of equal values the first comes first', () => {
    expect(topK([1, 3, 3, 2], 3)).toEqual([1, 2, 3]);
    expect(topK([1], 5)).toEqual([0]);
  });
});
