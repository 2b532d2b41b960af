/** The reference backend against values worked out by hand and central differences: random. */
import { describe, expect, it } from 'vitest';
import { philox } from '../../../src/backend/philox.js';
import { backend, expectClose, expectGrad, noise, numericGrad, output, put } from './support.js';

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
