/** Reads and resizes images through `sharp`, an optional package that is loaded when the first image asks for it. */
import type Sharp from 'sharp';
import type { Image } from './dataset.js';
import { DataError, reasonOf } from './errors.js';
import { importOptional } from './packages.js';

let sharpModule: Promise<typeof Sharp> | undefined;

/** The `sharp` function. Throws `DataError` if the package is missing. */
export function loadSharp(): Promise<typeof Sharp> {
  sharpModule ??= importOptional<{ default: typeof Sharp }>('sharp', 'reading images').then((module) => module.default);
  return sharpModule;
}

export interface ReadImageOptions {
  /** Side of the square to return, in pixels: the shortest side is resized to it, then the middle is cut out. Left out: no resizing. */
  size?: number;
  /** 3 (red, green, blue; the default) or 1 (grey). */
  channels?: 1 | 3;
  /** Name for error messages where the input is bytes. */
  name?: string;
}

/**
 * Decodes a file or the bytes of one (JPEG, PNG, WebP, GIF, TIFF, AVIF; the first frame of an animation) to 8-bit sRGB.
 * Turned upright by its EXIF tag; transparent places become white; CMYK, 16-bit and colour-managed images are converted.
 * Throws `DataError` naming the file if it is missing, truncated or no image.
 */
export async function readImage(input: string | Uint8Array, options: ReadImageOptions = {}): Promise<Image> {
  const name = options.name ?? (typeof input === 'string' ? input : `image of ${input.length} bytes`);
  return decodeImage(input, options, name, typeof input === 'string' ? input : options.name);
}

/** `readImage` for an image whose name for messages is not that of the file it lies in. */
export async function decodeImage(
  input: string | Uint8Array,
  { size, channels = 3 }: ReadImageOptions,
  name: string,
  file: string | undefined,
): Promise<Image> {
  const sharp = await loadSharp();
  try {
    let pipeline = sharp(input, { failOn: 'warning' }).rotate().flatten({ background: '#ffffff' });
    if (size !== undefined) pipeline = pipeline.resize(size, size, { fit: 'cover', position: 'centre' });
    pipeline = pipeline.toColourspace(channels === 3 ? 'srgb' : 'b-w');
    const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== channels) throw new Error(`decoding gave ${info.channels} channels, expected ${channels}`);
    return { width: info.width, height: info.height, channels, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${name}: cannot be read as an image: ${reasonOf(error)}`, file, error);
  }
}

/** Throws if the header of an image, or with `whole` any of its pixels, cannot be read. */
export async function checkImage(input: string | Uint8Array, whole: boolean): Promise<void> {
  const image = (await loadSharp())(input, { failOn: 'warning' });
  // To fill, not to cover: what is cut away would not be decoded.
  await (whole ? image.resize(8, 8, { fit: 'fill' }).raw().toBuffer() : image.metadata());
}

/** Resizes the shortest side to `size` pixels and cuts out the middle square. An image that has that size already is returned as it is. */
export async function resizeImage(image: Image, size: number): Promise<Image> {
  const { width, height, channels } = image;
  if (width === size && height === size) return image;
  const sharp = await loadSharp();
  const data = await sharp(image.data, { raw: { width, height, channels } })
    .resize(size, size, { fit: 'cover', position: 'centre', kernel: 'linear' })
    .toColourspace(channels === 3 ? 'srgb' : 'b-w')
    .raw({ depth: 'uchar' })
    .toBuffer();
  return { width: size, height: size, channels, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}
