/**
 * Unusual image files: those that other programs read are decoded in the same way; those that claim more than they contain are refused.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DataError, readImage, resizeImage } from '../../src/data/index.js';
import { checkImage } from '../../src/data/reading/image.js';
import { LocalReader } from '../../src/data/reading/reader.js';
import { failure, noisy, paint, pixel, plain, RED, temporaryFolder, text, tree } from './support.js';
import { tiffFile } from './tiff.js';

const root = temporaryFolder();
const picture = () => noisy(40, 24, 7);
const jpeg = () => picture().jpeg({ quality: 95 }).toBuffer();
const size = 4 * 3;

/** A JPEG with bytes put in at the place of a marker, counted from its first byte 0xff. */
function withBytes(bytes: Buffer, marker: number, put: (at: number) => Buffer): Buffer {
  const at = bytes.indexOf(Buffer.from([0xff, marker]));
  expect(at).toBeGreaterThan(0);
  return put(at);
}

describe('JPEGs with deviations from the standard that decoders tolerate', () => {
  it.each<[string, (bytes: Buffer) => Buffer]>([
    [
      'two bytes before a marker',
      (bytes) => withBytes(bytes, 0xc0, (at) => Buffer.concat([bytes.subarray(0, at), Buffer.from([7, 7]), bytes.subarray(at)])),
    ],
    [
      'the spectral selection of a progressive scan in a sequential one',
      (bytes) =>
        withBytes(bytes, 0xda, (at) => {
          const changed = Buffer.from(bytes);
          const end = at + 2 + bytes.readUInt16BE(at + 2);
          changed[end - 2] = 0;
          return changed;
        }),
    ],
  ])('%s', async (_, change) => {
    const bytes = await jpeg();
    expect(await readImage(change(bytes))).toEqual(await readImage(bytes));
  });

  it('an unknown revision of JFIF', async () => {
    const bytes = await sharp(await jpeg())
      .jpeg({ quality: 95 })
      .toBuffer();
    const app0 = Buffer.from([0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 9, 1, 0, 0, 1, 0, 1, 0, 0]);
    const body = bytes.readUInt16BE(2) === 0xffe0 ? bytes.subarray(4 + bytes.readUInt16BE(4)) : bytes.subarray(2);
    expect(await readImage(Buffer.concat([bytes.subarray(0, 2), app0, body]))).toEqual(await readImage(bytes));
  });

  it('but a truncated file is refused', async () => {
    const bytes = await jpeg();
    for (const share of [0.3, 0.6, 0.95])
      expect((await failure(readImage(bytes.subarray(0, Math.floor(bytes.length * share))))).message).toMatch(/cannot be read as an image/);
  });
});

describe('conversion to one channel', () => {
  const grey = async (colour: readonly number[], length?: number) =>
    pixel(await readImage(await plain(colour as [number, number, number]), { channels: 1, size: length }), 0, 0)[0];
  it('is 0.299 red + 0.587 green + 0.114 blue, at any size', async () => {
    expect(await grey([255, 0, 0])).toBe(76);
    expect(await grey([0, 255, 0])).toBe(150);
    expect(await grey([0, 0, 255])).toBe(29);
    expect(await grey([255, 0, 0], 9)).toBe(76);
    expect(await grey([10, 200, 60])).toBe(Math.round(2.99 + 117.4 + 6.84));
    expect(await grey([123, 123, 123])).toBe(123);
  });
});

describe('TIFFs whose samples are not unsigned 8-bit integers', () => {
  const colours = Array.from({ length: 3 * size }, (_, i) => (i * 7) % 256);
  const greys = Array.from({ length: size }, (_, i) => 24 + 17 * i);
  const shape = { width: 4, height: 3 };
  const twin = async (values: readonly number[], channels: 1 | 3) =>
    readImage(
      await sharp(Uint8Array.from(values), { raw: { ...shape, channels } })
        .toColourspace(channels === 1 ? 'b-w' : 'srgb')
        .png()
        .toBuffer(),
    );

  it.each<[string, (values: readonly number[]) => Parameters<typeof tiffFile>[0]['samples']]>([
    ['floating-point numbers from 0 to 1', (values) => Float32Array.from(values, (value) => value / 255)],
    ['floating-point numbers from 0 to 255', (values) => Float32Array.from(values)],
    ['floating-point numbers from 0 to 65535', (values) => Float32Array.from(values, (value) => value * 257)],
    ['16 bits', (values) => Uint16Array.from(values, (value) => value * 257)],
    ['32 bits', (values) => Uint32Array.from(values)],
    ['16 bits with a sign', (values) => Int16Array.from(values)],
  ])('%s equal their 8-bit twin', async (_, stored) => {
    expect(await readImage(tiffFile({ ...shape, channels: 1, samples: stored(greys) }))).toEqual(await twin(greys, 1));
    if (stored(colours) instanceof Float32Array || stored(colours) instanceof Uint16Array)
      expect(await readImage(tiffFile({ ...shape, channels: 3, samples: stored(colours) }))).toEqual(await twin(colours, 3));
  });

  it.each([
    ['a negative number', -0.5],
    ['a number beyond 65535', 1e6],
    ['no number', Number.NaN],
    ['an infinite number', Number.POSITIVE_INFINITY],
  ])('with %s among them are refused', async (_, odd) => {
    const samples = Float32Array.from(greys, (value, i) => (i === 5 ? odd : value / 255));
    const bytes = tiffFile({ ...shape, channels: 1, samples });
    expect((await failure(readImage(bytes))).message).toMatch(/expected .*; convert it to 8 bits/);
    await expect(checkImage(bytes, true)).rejects.toThrow('convert it to 8 bits');
  });
});

describe('a fourth channel that is not opacity', () => {
  const rgb = [200, 100, 50];
  const filled = (fourth: number) => Uint8Array.from({ length: 4 * size }, (_, i) => [...rgb, fourth][i % 4]);
  const file = (fourth: number, extra: number | undefined) =>
    tiffFile({ width: 4, height: 3, channels: 4, samples: filled(fourth), extra });

  it('is ignored in a TIFF that does not declare it as opacity', async () => {
    for (const extra of [0, undefined])
      for (const fourth of [0, 90]) expect(pixel(await readImage(file(fourth, extra)), 1, 1)).toEqual(rgb);
  });

  it('is ignored if it is zero everywhere, at any size', async () => {
    expect(pixel(await readImage(file(0, 2)), 1, 1)).toEqual(rgb);
    expect(pixel(await readImage(file(0, 2), { size: 2 }), 1, 1)).toEqual(rgb);
    const png = await sharp(filled(0), { raw: { width: 4, height: 3, channels: 4 } })
      .png()
      .toBuffer();
    expect(pixel(await readImage(png), 1, 1)).toEqual(rgb);
  });

  it('but opacity is blended with white, so that fully transparent images become white', async () => {
    expect(pixel(await readImage(file(51, 2)), 1, 1)).toEqual([244, 224, 214]);
    const empty = await paint(3, 3, () => [0, 0, 0, 0])
      .png()
      .toBuffer();
    expect(pixel(await readImage(empty), 1, 1)).toEqual([255, 255, 255]);
  });
});

/** A GIF whose only frame claims a size, without the pixels. */
async function gifOf(width: number, height: number): Promise<Buffer> {
  const bytes = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } })
    .gif()
    .toBuffer();
  const frame = bytes.indexOf(Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0]));
  for (const at of [6, frame + 5]) {
    bytes.writeUInt16LE(width, at);
    bytes.writeUInt16LE(height, at + 2);
  }
  return bytes;
}

describe('the limit of pixels', () => {
  it('refuses an image by the size in its header', async () => {
    const before = process.memoryUsage().rss;
    const error = await failure(readImage(await gifOf(17929, 14648)));
    expect(error.message).toMatch(/it has 17929 × 14648 pixels, more than the limit of 100000000; .*--max-pixels/);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    await expect(checkImage(await gifOf(17929, 14648), false)).rejects.toThrow('more than the limit');
  });

  it('refuses an image with a side longer than decoders support, whatever its number of pixels', async () => {
    // Only the header of a PNG: reducing rows of this many pixels would need gigabytes.
    const png = await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    png.writeUInt32BE(3_000_000, 16);
    png.writeUInt32BE(33, 20);
    png.writeInt32BE(crc32(png.subarray(12, 29)), 29);
    const error = await failure(readImage(png, { size: 8 }));
    expect(error.message).toMatch(/3000000 × 33 pixels, more than 65535 on one side; cut it into parts/);
  });

  it('can be set, and is checked', async () => {
    const bytes = await jpeg();
    expect((await failure(readImage(bytes, { pixelLimit: 959 }))).message).toContain('40 × 24 pixels, more than the limit of 959;');
    expect((await readImage(bytes, { pixelLimit: 960 })).width).toBe(40);
    for (const pixelLimit of [0, 1.5, Number.NaN, null as unknown as number])
      expect((await failure(readImage(bytes, { pixelLimit }))).message).toContain('pixelLimit is');
  });

  it('counts pixels of more than four bytes as more than one', async () => {
    const samples = Uint16Array.from({ length: 4 * size }, () => 65535);
    const bytes = tiffFile({ width: 4, height: 3, channels: 4, samples, extra: 2 });
    expect((await failure(readImage(bytes, { pixelLimit: 23 }))).message).toContain('more than the limit of 11 for pixels of 8 bytes');
    expect((await readImage(bytes, { pixelLimit: 24 })).width).toBe(4);
  });

  it('holds for images that are checked at opening', async () => {
    const folder = await tree(join(root, 'limit'), { 'a.jpg': jpeg() });
    const place = { file: join(folder, 'a.jpg') };
    await expect(new LocalReader().check(place, false, { pixelLimit: 100 })).rejects.toThrow('more than the limit of 100;');
  });
});

describe('files that are not images, and images of unsupported formats, are refused by name:', () => {
  const heif = (brand: string) => Buffer.concat([Buffer.from([0, 0, 0, 20]), Buffer.from(`ftyp${brand}\0\0\0\0mif1`), Buffer.alloc(100)]);
  it.each<[string, Uint8Array, RegExp]>([
    ['HEIC', heif('heic'), /HEIC.*convert it to JPEG/],
    ['BMP', Buffer.concat([Buffer.from('BM'), Buffer.alloc(52)]), /BMP file, an unsupported image format; convert it to JPEG or PNG/],
    ['a web page', text('<!DOCTYPE html><html>'), /web page/],
    ['JPEG XL', Buffer.from([0xff, 0x0a, 1, 2, 3]), /JPEG XL/],
    ['nothing', new Uint8Array(0), /the file is empty/],
  ])('%s', async (_, bytes, message) => {
    expect((await failure(readImage(bytes, { name: 'upload' }))).message).toMatch(message);
  });

  it('SVG, unless its name ends in .svg and the option svg is set', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="3" height="2"><rect width="3" height="2" fill="#f00"/></svg>';
    const folder = await tree(join(root, 'svg'), { 'a.svg': text(svg), 'a.png': text(svg), 'b.png': text(`<?xml version="1.0"?>${svg}`) });
    for (const [name, options] of [
      ['a.svg', {}],
      ['a.png', {}],
      ['b.png', {}],
      ['a.png', { svg: true }],
    ] as const)
      expect((await failure(readImage(join(folder, name), options))).message).toContain('SVG drawing');
    expect(pixel(await readImage(join(folder, 'a.svg'), { svg: true }), 1, 1)).toEqual([...RED.map((value) => (value > 128 ? 255 : 0))]);
  });

  it('a named pipe, a folder and a device, without waiting for them', async () => {
    const pipe = join(root, 'pipe.jpg');
    execFileSync('mkfifo', [pipe]);
    expect((await failure(readImage(pipe))).message).toContain('it is a named pipe, expected a regular file');
    await expect(new LocalReader().check({ file: pipe }, false)).rejects.toThrow('it is a named pipe');
    expect((await failure(readImage(root))).message).toContain('it is a folder, expected a regular file');
    expect((await failure(readImage('/dev/zero'))).message).toContain('it is a device, expected a regular file');
  });

  it('options and inputs of other types', async () => {
    for (const junk of [null, 7, {}, [1, 2]]) await expect(readImage(junk as never)).rejects.toBeInstanceOf(DataError);
    for (const options of [{ size: 0.5 }, { channels: 2 }, { sizes: 3 }])
      await expect(readImage(await jpeg(), options as never)).rejects.toBeInstanceOf(DataError);
    for (const junk of [null, {}, { width: 2, height: 2, channels: 3, data: new Uint8Array(5) }])
      await expect(resizeImage(junk as never, 4)).rejects.toBeInstanceOf(DataError);
    await expect(resizeImage({ width: 1, height: 1, channels: 1, data: new Uint8Array(1) }, 0)).rejects.toBeInstanceOf(DataError);
  });
});

it('images are read from files whose name is not UTF-8', async () => {
  const bytes = await jpeg();
  writeFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9]), Buffer.from('.jpg')]), bytes);
  expect(await readImage(`${root}/caf\udce9.jpg`)).toEqual(await readImage(bytes));
  expect((await failure(readImage(`${root}/no\udce9.jpg`))).message).toContain(`${root}/no\\xe9.jpg: cannot be read`);
});

/** The checksum of PNG's chunks, bit by bit. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc;
}
