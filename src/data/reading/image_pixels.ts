/** Decodes an image whose header has been read to 8-bit red, green and blue, from any sample type. */
import type { Metadata, Sharp } from 'sharp';
import { advised, type Header } from './image_header.js';
import { loadSharp } from './sharp.js';

type Pixels = { data: Uint8Array<ArrayBuffer>; width: number; height: number };

/** Decodes an image to red, green and blue, rotated upright, and resized if `size` is given. */
export async function pixelsOf(header: Header, size: number | undefined): Promise<Pixels> {
  const { kind, blended, foreign, wide, open } = header;
  const opened = wide ? await narrowed(wide, open) : open;
  if (foreign) return advised(kind, () => coloursOf(opened(), size));
  const pixels = await advised(kind, () => finished(opened().rotate().flatten({ background: '#ffffff' }), size));
  if (!blended || wide || pixels.data.some((value) => value !== 255)) return pixels;
  // The result is white everywhere. If alpha is 0 in all pixels, the fourth channel is probably not alpha, so keep the colours.
  const { max } = (await open().stats()).channels.at(-1)!;
  if (max > 0) return pixels;
  const colours = await coloursOf(open(), size);
  return colours.data.some((value) => value !== 0) ? colours : pixels;
}

/** Decodes the colours and ignores the fourth channel. It is removed before resizing, which would multiply the colours by it. */
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

/** Creates a pipeline with the samples of a TIFF scaled to 8 bits (`sharp` itself would clip them at 255). Alpha is removed. */
async function narrowed({ space, depth }: Metadata, open: () => Sharp): Promise<() => Sharp> {
  const sharp = await loadSharp();
  // Read in the stored colour space: in a conversion to sRGB, `sharp` would treat floating-point samples as linear light.
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

/** Scales samples to 8 bits from the smallest range that contains them: 0 to 1 (floating point only), 0 to 255 or 0 to 65,535. */
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

/** Total size in bytes of the images that this thread decodes concurrently; a larger image is decoded on its own. */
const BUDGET_BYTES = 384 * 2 ** 20;
let underWay = 0;
const waiting: (() => void)[] = [];

/** Runs `task` as soon as the concurrent tasks leave `bytes` of the budget free. Tasks start in the order of the calls. */
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

/** Converts interleaved red, green and blue to luma (ITU-R BT.601). */
export function greyOf(rgb: Uint8Array): Uint8Array<ArrayBuffer> {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < grey.length; i++) grey[i] = Math.round(0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2]);
  return grey;
}
