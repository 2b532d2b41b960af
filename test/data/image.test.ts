/** Decoding: every kind of file becomes upright 8-bit sRGB with the requested channels and size. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type Image, openDataset, readImage, resizeImage } from '../../src/data/index.js';
import { BLUE, everything, failure, farthest, GREEN, paint, pixel, plain, RED, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();
const WHITE = [255, 255, 255] as const;
/** Middles of the four quarters: top left, top right, bottom left, bottom right. */
function quarters(image: Image): number[][] {
  const [h, w] = [image.height, image.width];
  return [h / 4, (3 * h) / 4].flatMap((y) => [w / 4, (3 * w) / 4].map((x) => pixel(image, Math.floor(y), Math.floor(x))));
}
/** Red, green over blue, white; wider than high. */
const fourColours = (width = 48, height = 32) =>
  paint(width, height, (y, x) => [RED, GREEN, BLUE, WHITE][2 * Number(y >= height / 2) + Number(x >= width / 2)]);

describe('readImage decodes', () => {
  const [r, g, b, w] = [RED, GREEN, BLUE, WHITE];
  it.each([
    [1, [r, g, b, w]],
    [2, [g, r, w, b]],
    [3, [w, b, g, r]],
    [4, [b, w, r, g]],
    [5, [r, b, g, w]],
    [6, [b, r, w, g]],
    [7, [w, g, b, r]],
    [8, [g, w, r, b]],
  ])('a JPEG with EXIF orientation %i turned upright', async (orientation, expected) => {
    const bytes = await fourColours().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).withMetadata({ orientation }).toBuffer();
    const image = await readImage(bytes);
    expect([image.width, image.height]).toEqual(orientation < 5 ? [48, 32] : [32, 48]);
    for (const [i, colour] of quarters(image).entries()) expect(farthest(colour, expected[i])).toBeLessThanOrEqual(4);
  });

  it('a CMYK JPEG to red, green and blue', async () => {
    const colour = [150, 120, 100];
    const bytes = await paint(16, 16, () => colour)
      .toColourspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe('cmyk');
    expect(farthest(pixel(await readImage(bytes), 5, 5), colour)).toBeLessThanOrEqual(12);
  });

  it('a grey JPEG to three equal channels, or to one', async () => {
    const bytes = await paint(20, 10, (_, x) => [10 * x])
      .toColourspace('b-w')
      .jpeg({ quality: 100 })
      .toBuffer();
    expect((await sharp(bytes).metadata()).channels).toBe(1);
    const [three, one] = [await readImage(bytes), await readImage(bytes, { channels: 1 })];
    expect([three.channels, three.data.length, one.channels, one.data.length]).toEqual([3, 600, 1, 200]);
    for (const x of [0, 9, 19]) {
      const [grey] = pixel(one, 4, x);
      expect(Math.abs(grey - 10 * x)).toBeLessThanOrEqual(3);
      expect(pixel(three, 4, x)).toEqual([grey, grey, grey]);
    }
  });

  it('a colour image to one channel, by luma', async () => {
    const image = await readImage(await fourColours().png().toBuffer(), { channels: 1 });
    const [red, green, blue, white] = quarters(image).flat();
    expect([blue, red, green, white]).toEqual([blue, red, green, white].sort((a, c) => a - c));
    expect(white).toBe(255);
    expect(red - blue).toBeGreaterThan(5);
    expect(green - red).toBeGreaterThan(20);
  });

  it('a 16-bit PNG to 8 bits', async () => {
    const values = [60000, 20000, 1000];
    const bytes = await sharp(
      Uint16Array.from({ length: 8 * 8 * 3 }, (_, i) => values[i % 3]),
      { raw: { width: 8, height: 8, channels: 3 } },
    )
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(bytes).metadata()).depth).toBe('ushort');
    const expected = values.map((value) => value / 257);
    expect(farthest(pixel(await readImage(bytes), 3, 3), expected)).toBeLessThanOrEqual(1);
  });

  it.each([
    ['an 8-bit PNG', () => paint(8, 8, (y) => [200, 100, 0, y < 4 ? 0 : 51]).png()],
    [
      'a 16-bit PNG',
      () => {
        const data = Uint16Array.from({ length: 256 }, (_, i) => [200, 100, 0, i < 128 ? 0 : 51][i % 4] * 257);
        return sharp(data, { raw: { width: 8, height: 8, channels: 4 } })
          .toColourspace('rgb16')
          .png();
      },
    ],
    ['a WebP', () => paint(8, 8, (y) => [200, 100, 0, y < 4 ? 0 : 51]).webp({ lossless: true })],
  ])('transparent pixels of %s blended with white', async (_, picture) => {
    const image = await readImage(await picture().toBuffer());
    expect(image.channels).toBe(3);
    expect(pixel(image, 1, 3)).toEqual([255, 255, 255]);
    // 20 % of the colour, 80 % of white.
    expect(farthest(pixel(image, 6, 3), [244, 224, 204])).toBeLessThanOrEqual(1);
  });

  it('a grey image with transparent pixels, which become white', async () => {
    const bytes = await paint(8, 8, (y) => [40, y < 4 ? 0 : 255])
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect((await sharp(bytes).metadata()).channels).toBe(2);
    const image = await readImage(bytes);
    expect([pixel(image, 1, 1), pixel(image, 6, 6)]).toEqual([
      [255, 255, 255],
      [40, 40, 40],
    ]);
  });

  it('a PNG with a palette', async () => {
    const bytes = await fourColours().png({ palette: true, colours: 4 }).toBuffer();
    expect((await sharp(bytes).metadata()).isPalette).toBe(true);
    const got = quarters(await readImage(bytes));
    for (const [i, colour] of [r, g, b, w].entries()) expect(farthest(got[i], colour)).toBeLessThanOrEqual(2);
  });

  it.each(['webp', 'avif', 'tiff', 'gif', 'jpeg'] as const)('%s', async (format) => {
    const image = await readImage(await fourColours().toFormat(format).toBuffer());
    expect([image.width, image.height]).toEqual([48, 32]);
    for (const [i, colour] of [r, g, b, w].entries()) expect(farthest(quarters(image)[i], colour)).toBeLessThanOrEqual(16);
  });

  it('the first frame of an animation', async () => {
    const frame = (colour: readonly number[]) =>
      paint(12, 8, () => colour)
        .png()
        .toBuffer();
    const bytes = await sharp([await frame(RED), await frame(BLUE)], { join: { animated: true } })
      .gif()
      .toBuffer();
    expect((await sharp(bytes).metadata()).pages).toBe(2);
    const image = await readImage(bytes);
    expect([image.width, image.height]).toEqual([12, 8]);
    expect(farthest(pixel(image, 4, 4), RED)).toBeLessThanOrEqual(8);
  });

  it('no other files, which are refused with their name and the reason', async () => {
    expect((await failure(readImage('/no/such/picture.png'))).file).toBe('/no/such/picture.png');
    const named = await failure(readImage(text('just words'), { name: 'upload 7' }));
    expect(named.message).toMatch(/^upload 7: cannot be read as an image: .*unsupported image format/);
    expect((await failure(readImage(text('just words')))).message).toContain('image of 10 bytes: cannot be read');
  });
});

describe('the option size', () => {
  /** Three bands along the longer side. */
  const bands = (width: number, height: number) =>
    paint(width, height, (y, x) => [RED, GREEN, BLUE][Math.floor((width > height ? x / width : y / height) * 3)]);

  it.each([
    [90, 30],
    [30, 90],
  ])('gives the central square of a %i×%i image, reduced', async (width, height) => {
    const image = await readImage(await bands(width, height).png().toBuffer(), { size: 10 });
    expect([image.width, image.height, image.data.length]).toEqual([10, 10, 300]);
    for (const [y, x] of [
      [1, 1],
      [1, 8],
      [8, 1],
      [8, 8],
      [5, 5],
    ]) {
      expect(farthest(pixel(image, y, x), GREEN)).toBeLessThanOrEqual(8);
    }
  });

  it('keeps the whole shorter side of the upright image', async () => {
    const image = await readImage(
      await fourColours(64, 32).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).withMetadata({ orientation: 6 }).toBuffer(),
      { size: 16 },
    );
    const expected = [BLUE, RED, WHITE, GREEN];
    for (const [i, colour] of quarters(image).entries()) expect(farthest(colour, expected[i])).toBeLessThanOrEqual(6);
  });

  it('enlarges smaller images', async () => {
    const image = await readImage(await fourColours(12, 12).png().toBuffer(), { size: 48 });
    expect([image.width, image.height]).toEqual([48, 48]);
    for (const [i, colour] of [RED, GREEN, BLUE, WHITE].entries()) expect(farthest(quarters(image)[i], colour)).toBeLessThanOrEqual(4);
  });

  it('applies to all images of a folder', async () => {
    const folder = await tree(root, {
      'cat/wide.png': bands(90, 30).png().toBuffer(),
      'cat/high.png': bands(30, 90).png().toBuffer(),
      'dog/small.png': plain(GREEN),
      'dog/another.png': plain(GREEN),
    });
    const { splits, imageSize } = await openDataset(folder, { imageSize: 12 });
    expect(imageSize).toEqual([12, 12]);
    for (const { image } of [...(await everything(splits.train)), ...(await everything(splits.val))]) {
      expect([image.width, image.height]).toEqual([12, 12]);
      expect(farthest(pixel(image, 6, 2), GREEN)).toBeLessThanOrEqual(8);
    }
  });

  it('has the same effect as resizeImage, which returns an image that already has the size', async () => {
    const { data, info } = await bands(90, 30).raw().toBuffer({ resolveWithObject: true });
    const wide: Image = { width: info.width, height: info.height, channels: 3, data };
    const image = await resizeImage(wide, 10);
    expect([image.width, image.height, image.channels]).toEqual([10, 10, 3]);
    expect(farthest(pixel(image, 8, 1), GREEN)).toBeLessThanOrEqual(8);
    expect(await resizeImage(image, 10)).toBe(image);
  });
});
