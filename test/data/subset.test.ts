/** Samples of a split: they must represent periodic lists, in particular lists with alternating classes. */
import { describe, expect, it } from 'vitest';
import { samplePlaces, sampleSubset } from '../../src/data/index.js';
import { noiseSplit } from '../deconv/support.js';

const distinct = (values: readonly number[]) => new Set(values).size;

describe('samplePlaces', () => {
  it.each([2, 3, 5, 8, 24, 25])('does not repeat the period of a list: %i classes in turn', (classes) => {
    for (const rounds of [4, 10, 50]) {
      const length = classes * rounds;
      // Evenly spaced places at these counts meet one class only.
      const places = samplePlaces(length, rounds);
      expect(distinct(places.map((place) => place % classes))).toBeGreaterThan(1);
      // All classes appear once the sample is several times their number.
      if (rounds === 50) {
        const many = samplePlaces(length, Math.min(length - 1, 12 * classes));
        expect(distinct(many.map((place) => place % classes))).toBe(classes);
      }
    }
  });

  it('gives every class its share of a list sorted by class', () => {
    const labels = samplePlaces(10_000, 1000).map((place) => Math.floor(place / 1000));
    for (let label = 0; label < 10; label++) {
      const share = labels.filter((each) => each === label).length;
      // 100 expected, with a standard deviation of 9.
      expect(Math.abs(share - 100)).toBeLessThan(45);
    }
  });

  it('returns different indices in ascending order that depend only on the seed; smaller samples are contained in larger ones', () => {
    const places = samplePlaces(500, 60);
    expect(distinct(places)).toBe(60);
    expect([...places].sort((a, b) => a - b)).toEqual(places);
    expect(Math.max(...places)).toBeLessThan(500);
    expect(samplePlaces(500, 60)).toEqual(places);
    expect(samplePlaces(500, 60, 1)).not.toEqual(places);
    const larger = new Set(samplePlaces(500, 200));
    expect(places.every((place) => larger.has(place))).toBe(true);
  });

  it('returns all indices if there are no more than requested', () => {
    expect(samplePlaces(4)).toEqual([0, 1, 2, 3]);
    expect(samplePlaces(4, 9)).toEqual([0, 1, 2, 3]);
    expect(samplePlaces(0, 3)).toEqual([]);
    const split = noiseSplit(3, 4, 4);
    expect(sampleSubset(split, 3)).toBe(split);
    expect(sampleSubset(split, 2).length).toBe(2);
  });
});
