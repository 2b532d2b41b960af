/** Decodes and resizes images with the `sharp` package. */
import { boolean, checkArgument, checkOptions, integer, oneOf, type Rules, rule, text } from '../../backend/validate.js';
import type { Image } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { shownPath } from '../files/paths.js';
import { advised, type ReadImageOptions, readHeader } from './image_header.js';
import { greyOf, pixelsOf, withinBudget } from './image_pixels.js';
import { loadSharp } from './sharp.js';

export { DEFAULT_PIXEL_LIMIT, type ReadImageOptions } from './image_header.js';

const READ_RULES: Rules = {
  size: integer(1, 65_535),
  channels: oneOf(1, 3),
  name: text,
  pixelLimit: integer(1),
  svg: boolean,
};

/**
 * Decodes an image file, or its bytes, to 8-bit sRGB: JPEG, PNG, WebP, GIF, TIFF or AVIF (the first frame of an animation).
 *
 * - The image is rotated upright according to its EXIF orientation.
 * - Transparent pixels become white, except in an image that is transparent everywhere, which keeps its colours.
 * - CMYK, 16-bit and colour-managed images are converted; so are TIFFs with floating-point values up to 1, 255 or 65,535.
 *
 * @example const image = await readImage('dog.png', { size: 64 });
 * @throws DataError naming the file, if it is missing, truncated, too large or not an image
 */
export async function readImage(input: string | Uint8Array, options: ReadImageOptions = {}): Promise<Image> {
  checkArgument('readImage', 'input', input, PATH_OR_BYTES, DataError);
  checkOptions('readImage', options, READ_RULES, DataError);
  const name = options.name ?? (typeof input === 'string' ? shownPath(input) : `image of ${input.length} bytes`);
  return decodeImage(input, options, name, typeof input === 'string' ? input : options.name);
}

const PATH_OR_BYTES = rule('the path of a file, or its bytes', (value) => typeof value === 'string' || value instanceof Uint8Array);

/**
 * Decodes an image like `readImage`, without checking the arguments.
 *
 * @param name name of the image in messages, such as a row of a parquet file
 * @param file path of the file that contains the image, for `DataError.file`
 */
export async function decodeImage(
  input: string | Uint8Array,
  options: ReadImageOptions,
  name: string,
  file: string | undefined,
): Promise<Image> {
  const { size, channels = 3 } = options;
  try {
    const header = await readHeader(input, options, true);
    const { data, width, height } = await withinBudget(header.bytes, () => pixelsOf(header, size));
    if (channels === 3) return { width, height, channels, data };
    return { width, height, channels, data: greyOf(data) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`${name}: cannot be read as an image: ${reasonOf(error)}`, file, error);
  }
}

/** Throws if an image cannot be read: its header, or with `whole` also its pixels. */
export async function checkImage(input: string | Uint8Array, whole: boolean, options: ReadImageOptions = {}): Promise<void> {
  const header = await readHeader(input, options, whole);
  if (!whole) return;
  await withinBudget(header.bytes, async () => {
    if (header.wide) await pixelsOf(header, undefined);
    // `fill` instead of `cover`, because the decoder would skip the parts that `cover` crops.
    else await advised(header.kind, () => header.open().resize(8, 8, { fit: 'fill' }).raw().toBuffer());
  });
}

/**
 * Resizes the shorter side to `size` pixels and crops the central square. An image of that size is returned unchanged.
 *
 * @example const small = await resizeImage(example.image, 32);
 */
export async function resizeImage(image: Image, size: number): Promise<Image> {
  checkArgument('resizeImage', 'image', image, IMAGE, DataError);
  checkArgument('resizeImage', 'size', size, integer(1, 65_535), DataError);
  const { width, height, channels } = image;
  if (width === size && height === size) return image;
  const sharp = await loadSharp();
  const resized = await sharp(image.data, { raw: { width, height, channels } })
    .resize(size, size, { fit: 'cover', position: 'centre', kernel: 'linear' })
    .toColourspace(channels === 3 ? 'srgb' : 'b-w')
    .raw({ depth: 'uchar' })
    .toBuffer();
  return { width: size, height: size, channels, data: new Uint8Array(resized.buffer, resized.byteOffset, resized.length) };
}

const IMAGE = rule('{ width, height, channels: 1 or 3, data } with a Uint8Array of height × width × channels', (value) => {
  const { width, height, channels, data } = (value ?? {}) as Image;
  return (channels === 1 || channels === 3) && data instanceof Uint8Array && data.length > 0 && data.length === width * height * channels;
});
