/** Measures of filters whose spectrum is known: waves of one frequency. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { bandOf, DOMINATES, filterMeasures, standingOut } from '../../src/deconv/index.js';
import { setDefaultBackend, tensor } from '../../src/tensor/index.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

/** [3, size, size]: a wave along x (or y) under a bell, stronger in one colour. */
function wave(size: number, frequency: number, along: 'x' | 'y' = 'x', height = 1): number[] {
  const middle = (size - 1) / 2;
  return Array.from({ length: 3 * size * size }, (_, i) => {
    const [c, y, x] = [Math.floor(i / size / size), Math.floor(i / size) % size, i % size];
    const bell = Math.exp(-((y - middle) ** 2 + (x - middle) ** 2) / (0.08 * size * size));
    return height * (c + 1) * bell * Math.cos(2 * Math.PI * frequency * ((along === 'x' ? x : y) - middle));
  });
}

const measuresOf = (filters: number[][], size: number, stride: [number, number]) =>
  filterMeasures(tensor(filters.flat(), [filters.length, 3, size, size]), stride);

describe('filterMeasures', () => {
  it.each([7, 11])('separates low, middle and high frequencies in filters of %i×%i', async (size) => {
    const found = await measuresOf([wave(size, 0), wave(size, 0.18), wave(size, 0.4, 'y')], size, [2, 2]);
    expect(found.map(({ frequency }) => bandOf(frequency))).toEqual(['low', 'mid', 'high']);
    expect(found[1].frequency).toBeCloseTo(0.18, 1);
    expect(found[2].frequency).toBeCloseTo(0.4, 1);
    for (const { bands } of found) expect(bands.low + bands.mid + bands.high).toBeCloseTo(1, 10);
    expect(found[0].bands.low).toBeGreaterThan(0.6);
    expect(found[2].bands.high).toBeGreaterThan(0.6);
  });

  it('finds aliasing above the Nyquist frequency of the stride, per axis', async () => {
    const across = [wave(11, 0.2), wave(11, 0.4)];
    const shares = async (stride: [number, number]) => (await measuresOf(across, 11, stride)).map(({ aliasing }) => aliasing);
    // A stride of 1 follows everything; 2 follows up to 0.25 cycles a pixel, 4 up to 0.125.
    expect(await shares([1, 1])).toEqual([0, 0]);
    const [coarse2, fine2] = await shares([2, 2]);
    expect(coarse2).toBeLessThan(0.35);
    expect(fine2).toBeGreaterThan(0.8);
    const [coarse4] = await shares([4, 4]);
    expect(coarse4).toBeGreaterThan(0.6);
    // The waves run along x.
    expect((await shares([4, 1]))[0]).toBeLessThan(0.3);
  });

  it('measures the root mean square, and accepts a filter of zeros', async () => {
    const [empty, full] = await measuresOf([wave(7, 0, 'x', 0), wave(7, 0.1)], 7, [2, 2]);
    expect(empty).toMatchObject({ rms: 0, frequency: 0, aliasing: 0 });
    const values = wave(7, 0.1);
    expect(full.rms).toBeCloseTo(Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length), 6);
  });
});

describe('standingOut', () => {
  it('finds exactly the dead and the dominating maps', () => {
    expect(standingOut([1, 0, 1.2, 0, 0.8, DOMINATES * 1 + 0.1, 1, -3])).toEqual({ dead: [1, 3, 7], dominating: [5] });
    expect(standingOut([1, 1.1, 0.9])).toEqual({ dead: [], dominating: [] });
    expect(standingOut([0, 0])).toEqual({ dead: [0, 1], dominating: [] });
  });
});
