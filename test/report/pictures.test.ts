/** Pictures from numbers: shades, crops, windows, sheets, labels, and encoding and decoding PNG. */
import { posix } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import type { Image } from '../../src/data/index.js';
import { FormatError, tensor, ValueError } from '../../src/index.js';
import {
  blank,
  contactSheet,
  contrastRange,
  cropPicture,
  cropPlanes,
  decodePng,
  encodePng,
  enlarge,
  pngDataUri,
  projectionSheet,
  signedPicture,
  windowAround,
} from '../../src/report/index.js';
import { columnsFor, filterPictures } from '../../src/report/pictures/index.js';
import { label } from '../../src/report/pictures/label.js';
import { below, reduce, toSide } from '../../src/report/pictures/pictures.js';
import { noise } from '../deconv/support.js';
import { importsOf } from '../support/imports.js';

/** A picture in which all pixels differ: channel c of (y, x) is y · 16 + x · 3 + c. */
const ramp = (width: number, height: number): Image => ({
  width,
  height,
  channels: 3,
  data: Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => Math.floor(i / 3 / width) * 16 + (Math.floor(i / 3) % width) * 3 + (i % 3),
  ),
});

const pixel = (image: Image, y: number, x: number) => [
  ...image.data.subarray((y * image.width + x) * image.channels, (y * image.width + x + 1) * image.channels),
];

describe('signed pictures', () => {
  it('show zero as grey, the range as the extremes, and clip beyond', () => {
    const picture = signedPicture([0, 2, -2, 1, -1, 5], [1, 2, 3], 2);
    expect(picture).toMatchObject({ width: 3, height: 2, channels: 1 });
    expect([...picture.data]).toEqual([128, 255, 1, 192, 65, 255]);
  });

  it('interleave channels', () => {
    const picture = signedPicture([1, 0, 0, 1, -1, -1], [3, 1, 2], 1);
    expect([...picture.data]).toEqual([255, 128, 1, 128, 255, 1]);
  });

  it('are scaled to the value that 99.5 % of the pixels stay within', () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? i + 1 : -i - 1));
    expect(contrastRange(values)).toBe(995);
    // If nearly all values are zero, the range is that of the others.
    const sparse = new Float32Array(1000);
    sparse[7] = -3;
    expect(contrastRange(sparse)).toBe(3);
    expect([...signedPicture(sparse, [1, 20, 50]).data].filter((shade) => shade !== 128)).toEqual([1]);
    expect(contrastRange(new Float32Array(8))).toBe(0);
    expect([...signedPicture(new Float32Array(4), [1, 2, 2]).data]).toEqual([128, 128, 128, 128]);
  });

  it('take one or three channels', () => {
    expect(() => signedPicture(new Float32Array(8), [2, 2, 2])).toThrow(/shape \[2,2,2\], expected \[1, H, W\] or \[3, H, W\]/);
  });
});

describe('crops and windows', () => {
  it('cut the same rectangle out of planes and pictures', () => {
    const image = ramp(5, 4);
    const planes = Float32Array.from({ length: 60 }, (_, i) => image.data[(i % 20) * 3 + Math.floor(i / 20)]);
    const crop = cropPicture(image, [1, 2, 3, 5]);
    expect(crop).toMatchObject({ width: 3, height: 2 });
    expect(pixel(crop, 0, 0)).toEqual(pixel(image, 1, 2));
    expect(pixel(crop, 1, 2)).toEqual(pixel(image, 2, 4));
    const { values, shape } = cropPlanes(planes, [3, 4, 5], [1, 2, 3, 5]);
    expect(shape).toEqual([3, 2, 3]);
    expect([...values]).toEqual([0, 1, 2].flatMap((c) => Array.from({ length: 6 }, (_, p) => crop.data[p * 3 + c])));
  });

  it('windows hold their patch, have one size and stay inside', () => {
    expect(windowAround([3, 4, 10, 11], [7, 7], 20, 30)).toEqual([3, 4, 10, 11]);
    expect(windowAround([0, 0, 5, 6], [7, 7], 20, 30)).toEqual([0, 0, 7, 7]);
    expect(windowAround([16, 25, 20, 30], [7, 7], 20, 30)).toEqual([13, 23, 20, 30]);
    expect(windowAround([0, 2, 8, 10], [9, 9], 8, 10)).toEqual([0, 1, 8, 10]);
  });
});

describe('sheets', () => {
  it('put pictures in rows with gaps and a margin', () => {
    const pictures = [blank(2, 3, 10), blank(2, 3, 20), blank(2, 3, 30)];
    const sheet = contactSheet(pictures, { columns: 2, gap: 1, margin: 2, background: [1, 2, 3] });
    expect(sheet).toMatchObject({ width: 2 * 2 + 2 * 2 + 1, height: 2 * 2 + 2 * 3 + 1 });
    expect(pixel(sheet, 0, 0)).toEqual([1, 2, 3]);
    expect(pixel(sheet, 2, 2)).toEqual([10, 10, 10]);
    expect(pixel(sheet, 2, 4)).toEqual([1, 2, 3]);
    expect(pixel(sheet, 4, 5)).toEqual([20, 20, 20]);
    expect(pixel(sheet, 6, 3)).toEqual([30, 30, 30]);
    expect(pixel(sheet, 6, 6)).toEqual([1, 2, 3]);
  });

  it('enlarge by squares', () => {
    const image = ramp(3, 2);
    const large = enlarge(image, 3);
    expect(large).toMatchObject({ width: 9, height: 6 });
    for (const [y, x] of [
      [0, 0],
      [2, 5],
      [3, 8],
      [5, 6],
    ])
      expect(pixel(large, y, x)).toEqual(pixel(image, Math.floor(y / 3), Math.floor(x / 3)));
  });

  it('label numbers', () => {
    const { width, height } = label('17', { scale: 1 });
    expect([width, height]).toEqual([7, 5]);
    const ink = (text: string) => [...label(text, { scale: 1 }).data].filter((shade) => shade !== 255).length / 3;
    expect(ink('8')).toBe(13);
    expect(ink('1.5')).toBe(ink('1') + ink('.') + ink('5'));
    expect(ink('→')).toBe(0);
  });

  it('set projections beside their patches', () => {
    const image = ramp(16, 16);
    const projection = new Float32Array(3 * 256);
    projection[5 * 16 + 6] = 4;
    const sheet = projectionSheet({
      image,
      field: [4, 4],
      projections: [
        { map: 3, value: 1.25, patch: [4, 4, 8, 8], projection },
        { map: 11, value: 0.5, patch: [0, 0, 2, 3], projection },
      ],
    });
    // The image at 8 times its size, two pairs of crops at 32 times theirs.
    expect(sheet.width).toBe(128 + 2 * (2 * 128 + 2) + 12 + 3 * 12);
    expect(pixel(sheet, 12, 12)).toEqual(pixel(image, 0, 0));
    const left = 128 + 24;
    expect(pixel(sheet, 12, left)).toEqual([128, 128, 128]);
    expect(pixel(sheet, 12 + 32 + 5, left + 64 + 5)).toEqual([255, 128, 128]);
    expect(pixel(sheet, 12, left + 128 + 2)).toEqual(pixel(image, 4, 4));
  });
});

/** A chunk with its length and its checksum. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

/** The checksum of PNG and gzip, bit by bit. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** A PNG whose header may contradict its compressed pixels. `kind` is depth, colour type, compression, filter and interlace. */
function png(width: number, height: number, compressed: Uint8Array, kind = [8, 2, 0, 0, 0]): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set(kind, 8);
  const signature = encodePng(ramp(1, 1)).subarray(0, 8);
  return Uint8Array.from([...signature, ...chunk('IHDR', header), ...chunk('IDAT', compressed), ...chunk('IEND', new Uint8Array())]);
}

describe('PNG', () => {
  it('decodes to the encoded picture, in colour and in grey', () => {
    const colour: Image = { width: 13, height: 7, channels: 3, data: Uint8Array.from(noise(273, 1), (v) => 128 + 127 * v) };
    const grey: Image = { width: 5, height: 9, channels: 1, data: Uint8Array.from(noise(45, 2), (v) => 128 + 127 * v) };
    for (const image of [colour, grey]) expect(decodePng(encodePng(image))).toEqual(image);
  });

  it('is encoded as a PNG file and as a data URI', () => {
    const bytes = encodePng(ramp(4, 4));
    expect([...bytes.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const uri = pngDataUri(ramp(4, 4));
    expect(uri).toMatch(/^data:image\/png;base64,/);
    expect(new Uint8Array(Buffer.from(uri.split(',')[1], 'base64'))).toEqual(new Uint8Array(bytes));
  });

  it('refuses transparency, palettes and 16 bits by a typed error', async () => {
    const { encode } = await import('fast-png');
    const clear = encode({ width: 1, height: 1, channels: 4, data: Uint8Array.of(1, 2, 3, 0) });
    expect(() => decodePng(clear)).toThrow(/4 channels, expected 1 or 3/);
    expect(() => decodePng(clear)).toThrow(FormatError);
    const palette = png(1, 1, deflateSync(Uint8Array.of(0, 1)), [8, 3, 0, 0, 0]);
    expect(() => decodePng(palette)).toThrow(/a palette, expected 1 or 3 channels/);
    const deep = encode({ width: 1, height: 1, depth: 16, channels: 1, data: Uint16Array.of(40_000) });
    expect(() => decodePng(deep)).toThrow(/16 bits per channel, expected 8/);
    expect(() => decodePng('picture.png' as never)).toThrow(ValueError);
  });

  it('refuses every prefix and every changed byte of its chunks', () => {
    const bytes = encodePng(ramp(5, 4));
    for (let length = 0; length < bytes.length; length++) expect(() => decodePng(bytes.slice(0, length))).toThrow(FormatError);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] ^= 0x10;
      expect(() => decodePng(changed), `byte ${at}`).toThrow(FormatError);
    }
  });

  it('decodes interlaced pictures, and ignores text and colour profiles', () => {
    const plain = encodePng(ramp(5, 4));
    // The colour profile is not compressed data; the decoder ignores it.
    const profile = chunk('iCCP', Uint8Array.of(65, 0, 0, 1, 2, 3));
    const marked = Uint8Array.from([...plain.subarray(0, 33), ...profile, ...plain.subarray(33)]);
    expect(decodePng(marked)).toEqual(decodePng(plain));
    // A single pixel belongs to the first pass, so its bytes are the same with and without interlacing.
    const single = png(1, 1, deflateSync(Uint8Array.of(0, 10, 20, 30)), [8, 2, 0, 0, 1]);
    expect(decodePng(single)).toEqual({ width: 1, height: 1, channels: 3, data: Uint8Array.of(10, 20, 30) });
  });

  it('refuses at once a size that its bytes cannot hold, and endless pixel data', () => {
    const few = deflateSync(new Uint8Array(100));
    expect(() => decodePng(png(0x7fffffff, 0x7fffffff, few))).toThrow(/2147483647×2147483647 pixels, expected at most/);
    expect(() => decodePng(png(9_000, 9_000, few))).toThrow(/more than its \d+ compressed bytes can inflate to/);
    const bomb = deflateSync(new Uint8Array(256 * 2 ** 20));
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decodePng(png(1_000, 1_000, bomb))).toThrow(/inflate to more than 3001000 bytes/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20);
    expect(() => decodePng(png(0, 4, few))).toThrow(/0×4 pixels/);
  });
});

describe('reduced pictures', () => {
  it('contain the mean of each square per colour, and omit incomplete squares', () => {
    const picture = reduce(ramp(5, 4), 2);
    expect(picture).toMatchObject({ width: 2, height: 2, channels: 3 });
    // Of (0,0), (0,1), (1,0), (1,1): 0, 3, 16, 19 in red.
    expect(pixel(picture, 0, 0)).toEqual([10, 11, 12]);
    expect(pixel(picture, 1, 1)).toEqual([48, 49, 50]);
    expect(reduce(ramp(3, 3), 1).data).toEqual(ramp(3, 3).data);
  });

  it('approach a given side by whole factors, up or down', () => {
    const sides = [
      [7, 64],
      [80, 64],
      [139, 48],
      [3, 2],
    ].map(([own, wanted]) => toSide(ramp(own, own), wanted).width);
    expect(sides).toEqual([63, 80, 46, 1]);
  });

  it('stand above their text', () => {
    const both = below(blank(4, 3, 90), blank(6, 2, 30));
    expect(both).toMatchObject({ width: 6, height: 9 });
    expect(pixel(both, 0, 0)).toEqual([90, 90, 90]);
    expect(pixel(both, 0, 5)).toEqual([255, 255, 255]);
    expect(pixel(both, 8, 5)).toEqual([30, 30, 30]);
  });
});

describe('zfnet/pictures', () => {
  it('loads neither charts nor pages nor another package than the PNG encoder', () => {
    const reached = new Set<string>();
    const packages = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { specifier, kind } of importsOf(path)) {
        if (kind === 'type') continue;
        if (specifier.startsWith('.')) visit(posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts'));
        else if (kind === 'static') packages.add(specifier);
      }
    };
    visit('src/report/pictures/index.ts');
    expect([...reached].filter((path) => /^src\/(report\/(charts|page|sections|experiments)|zfnet|nn|deconv)\//.test(path))).toEqual([]);
    expect([...packages].sort()).toEqual(['fast-png', 'fflate']);
  });

  it('renders filters whose channels are colours, and refuses other tensors', async () => {
    const backend = createReferenceBackend();
    const weight = tensor([1, -1, 0, 0.5, 0, 0], [2, 3, 1, 1], { backend });
    const pictures = await filterPictures(weight);
    expect(pictures?.map(({ picture }) => [...picture.data])).toEqual([
      [255, 1, 128],
      [255, 128, 128],
    ]);
    expect(pictures?.map(({ rms }) => rms)).toEqual([Math.sqrt(2 / 3), Math.sqrt(0.25 / 3)]);
    expect(await filterPictures(tensor([1, 2], [1, 2, 1, 1], { backend }))).toBeNull();
    await expect(filterPictures(tensor([1], [1], { backend }))).rejects.toThrow(/filterPictures: got weights of shape \[1\]/);
    await expect(filterPictures(null as never)).rejects.toThrow(ValueError);
    expect(columnsFor(96)).toBe(12);
    expect(() => columnsFor(-1)).toThrow(ValueError);
  });

  it('refuses invalid arguments of reduce and toSide', () => {
    expect(() => reduce(ramp(4, 3), 4)).toThrow(/reduce: factor is 4/);
    expect(() => reduce({} as never, 1)).toThrow(/reduce: picture is/);
    expect(() => toSide(ramp(4, 3), 0)).toThrow(/toSide: side is 0/);
    expect(toSide(ramp(40, 2), 4)).toMatchObject({ width: 20, height: 1 });
  });
});
