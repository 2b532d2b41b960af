/** Decodes an image whose header was read: to 8-bit red, green and blue, whatever its samples are. */
import type { Metadata, Sharp } from 'sharp';
import { advised, type Header } from './image_header.js';
import { loadSharp } from './sharp.js';

type Pixels = { data: Uint8Array<ArrayBuffer>; width: number; height: number };

/** Red, green and blue of an image, upright and in the size asked for. */
export async function pixelsOf(header: Header, size: number | undefined): Promise<Pixels> {
  const { kind, blended, foreign, wide, open } = header;
  const opened = wide ? await narrowed(wide, open) : open;
  if (foreign) return advised(kind, () => coloursOf(opened(), size));
  const pixels = await advised(kind, () => finished(opened().rotate().flatten({ background: '#ffffff' }), size));
  if (!blended || wide || pixels.data.some((value) => value !== 255)) return pixels;
  // White everywhere: perhaps nothing but transparent. Then the fourth channel is likely to be another one, or was left empty.
  const { max } = (await open().stats()).channels.at(-1)!;
  if (max > 0) return pixels;
  const colours = await coloursOf(open(), size);
  return colours.data.some((value) => value !== 0) ? colours : pixels;
}

/** The colours without regard to a fourth channel, which resizing would multiply them by. */
async function coloursOf(pipeline: Sharp, size: number | undefined): Promise<Pixels> {
  const whole = await finished(pipeline.rotate().removeAlpha(), undefined);
  if (size === undefined) return whole;
  const { data, width, height } = whole;
  return finished((await loadSharp())(data, { raw: { width, height, channels: 3 } }), size);
}

async function finished(pipeline: Sharp, size: number | undefined): Promise<Pixels> {
  const sized = size === undefined ? pipeline : pipeline.resize(size, size, { fit: 'cover', position: 'centre' });
  const { data, info } = await sized.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`decoding gave ${info.channels} channels, expected 3`);
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length) };
}

/** A pipeline from the samples of a TIFF in 8 bits, which `sharp` would cut off at 255. Opacity is left out. */
async function narrowed({ space, depth }: Metadata, open: () => Sharp): Promise<() => Sharp> {
  const sharp = await loadSharp();
  // As they are stored: on the way to sRGB, the colours of floating-point images would be taken for linear light.
  const { data, info } = await open()
    .rotate()
    .removeAlpha()
    .toColourspace(space)
    .raw({ depth: 'float' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const values = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
  const narrow = narrow8(values, depth === 'float' || depth === 'double');
  return () => sharp(narrow, { raw: { width, height, channels } });
}

/** Samples in 8 bits: from 0 to 1 (floating-point numbers alone), from 0 to 255, or from 0 to 65,535. */
function narrow8(values: Float32Array, fractions: boolean): Uint8Array {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value))
      throw new Error(`it has the value ${value} among its pixels, expected finite numbers; convert it to 8 bits`);
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const range = [...(fractions ? [1] : []), 255, 65_535].find((most) => greatest <= most);
  if (least < 0 || range === undefined)
    throw new Error(`its values go from ${least} to ${greatest}, expected 0 to 1, 0 to 255 or 0 to 65535; convert it to 8 bits`);
  return Uint8Array.from(values, (value) => Math.round((value * 255) / range));
}

/** Bytes of decoded images that are under way at once in this thread; a larger image is decoded alone. */
const BUDGET_BYTES = 384 * 2 ** 20;
let underWay = 0;
const waiting: (() => void)[] = [];

/** Runs `task` when the images under way leave room for one of so many bytes, in the order of the calls. */
export async function withinBudget<T>(bytes: number, task: () => Promise<T>): Promise<T> {
  while (underWay > 0 && underWay + bytes > BUDGET_BYTES) await new Promise<void>((resolve) => waiting.push(resolve));
  underWay += bytes;
  try {
    return await task();
  } finally {
    underWay -= bytes;
    for (const wake of waiting.splice(0)) wake();
  }
}

/** Luma of pixels of red, green and blue, by ITU-R BT.601. */
export function greyOf(rgb: Uint8Array): Uint8Array<ArrayBuffer> {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < grey.length; i++) grey[i] = Math.round(0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2]);
  return grey;
}
