/** Pictures written by other tools (test/fixtures/images.py): every kind of file shows the same four quarters. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Image, readImage } from '../../src/data/index.js';
import { BLUE, type Colour, farthest, GREEN, pixel, RED } from './support.js';

const FOLDER = join(import.meta.dirname, '../fixtures/images');
const WHITE: Colour = [255, 255, 255];
const COLOURS = [RED, GREEN, BLUE, WHITE];
/** Luma of ITU-R 601, by which Pillow turns colours grey. */
const grey = ([red, green, blue]: Colour): Colour => {
  const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
  return [luma, luma, luma];
};
const black: Colour = [0, 0, 0];
/** The four colours in print, by libvips' default profile: no ink is as bright as green and blue on a screen. */
const PRINTED: readonly Colour[] = [[228, 21, 24], [0, 128, 71], [16, 60, 133], WHITE];

/** Tolerance per colour, and the expected colours if they are not the four. */
const KINDS: Record<string, { off: number; colours?: readonly Colour[] }> = {
  'baseline.jpg': { off: 4 },
  'progressive.jpg': { off: 4 },
  'progressive-magick.jpg': { off: 4 },
  'subsampled.jpg': { off: 8 },
  'grey.jpg': { off: 3, colours: COLOURS.map(grey) },
  'cmyk-pillow.jpg': { off: 6, colours: PRINTED },
  'cmyk-magick.jpg': { off: 6, colours: PRINTED },
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => [`orientation-${orientation}.jpg`, { off: 4 }])),
  'rgb.png': { off: 0 },
  'interlaced.png': { off: 0 },
  'palette.png': { off: 1 },
  'rgb-16.png': { off: 0 },
  'alpha.png': { off: 0 },
  'alpha-16.png': { off: 1 },
  'palette-alpha.png': { off: 1 },
  'grey.png': { off: 1, colours: COLOURS.map(grey) },
  'bilevel.png': { off: 0, colours: [black, WHITE, black, WHITE] },
  'lossy.webp': { off: 10 },
  'lossless.webp': { off: 0 },
  'alpha.webp': { off: 0 },
};

/** Middles of the quarters: top left, top right, bottom left, bottom right. */
const quarters = (image: Image): number[][] => [8, 24].flatMap((y) => [12, 36].map((x) => pixel(image, y, x)));

describe('files by Pillow and ImageMagick', () => {
  it.each(Object.entries(KINDS))('%s', async (name, { off, colours = COLOURS }) => {
    const image = await readImage(join(FOLDER, name));
    expect([image.width, image.height, image.channels]).toEqual([48, 32, 3]);
    for (const [i, got] of quarters(image).entries()) expect(farthest(got, colours[i]), `quarter ${i}: ${got}`).toBeLessThanOrEqual(off);
  });

  it('are all covered by this list', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(Object.keys(KINDS).sort());
  });
});
