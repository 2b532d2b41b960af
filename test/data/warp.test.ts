/** Translated, scaled and rotated images, against pixels computed by hand. */
import { describe, expect, it } from 'vitest';
import type { Image } from '../../src/data/index.js';
import { warpImage } from '../../src/data/index.js';

const image = (width: number, pixels: number[], channels: 1 | 3 = 1): Image => ({
  width,
  height: pixels.length / width / channels,
  channels,
  data: Uint8Array.from(pixels),
});
const pixels = ({ data }: Image) => [...data];

describe('warpImage', () => {
  const grey = image(3, [10, 20, 30, 40, 50, 60, 70, 80, 90]);

  it('returns the same pixels without a transformation', () => {
    expect(warpImage(grey, {})).toEqual(grey);
    expect(pixels(warpImage(grey, { rotation: 360 }))).toEqual(pixels(grey));
  });

  it('shifts down and right, repeating the edge', () => {
    expect(pixels(warpImage(grey, { shift: [1, 0] }))).toEqual([10, 20, 30, 10, 20, 30, 40, 50, 60]);
    expect(pixels(warpImage(grey, { shift: [0, -1] }))).toEqual([20, 30, 30, 50, 60, 60, 80, 90, 90]);
  });

  it('rotates clockwise', () => {
    expect(pixels(warpImage(grey, { rotation: 90 }))).toEqual([70, 40, 10, 80, 50, 20, 90, 60, 30]);
    expect(pixels(warpImage(grey, { rotation: 180 }))).toEqual([90, 80, 70, 60, 50, 40, 30, 20, 10]);
  });

  it('enlarges about the centre, with interpolation', () => {
    expect(pixels(warpImage(grey, { scale: 2 }))).toEqual([30, 35, 40, 45, 50, 55, 60, 65, 70]);
  });

  it('does not mix channels, nor height and width', () => {
    const colours = image(2, [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26], 3);
    const { width, height, data } = warpImage(colours, { shift: [-1, 0] });
    expect([width, height]).toEqual([2, 3]);
    expect([...data]).toEqual([11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26, 21, 22, 23, 24, 25, 26]);
  });
});
