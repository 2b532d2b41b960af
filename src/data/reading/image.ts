/** Reads and resizes images through `sharp`. */
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
 * Decodes a file or the bytes of one (JPEG, PNG, WebP, GIF, TIFF, AVIF; the first frame of an animation) to 8-bit sRGB.
 * Turned upright by its EXIF tag; transparent places become white, but an image that is transparent everywhere keeps its colours;
 * CMYK, 16-bit and colour-managed images are converted, and so are TIFFs of floating-point values from 0 to 1, 255 or 65,535.
 * Throws `DataError` naming the file if it is missing, truncated, too large or no image.
 */
export async function readImage(input: string | Uint8Array, options: ReadImageOptions = {}): Promise<Image> {
  checkArgument('readImage', 'input', input, PATH_OR_BYTES, DataError);
  checkOptions('readImage', options, READ_RULES, DataError);
  const name = options.name ?? (typeof input === 'string' ? shownPath(input) : `image of ${input.length} bytes`);
  return decodeImage(input, options, name, typeof input === 'string' ? input : options.name);
}

const PATH_OR_BYTES = rule('the path of a file, or its bytes', (value) => typeof value === 'string' || value instanceof Uint8Array);

/** `readImage` for an image whose name for messages is not that of the file it lies in. */
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

/** Throws if the header of an image, or with `whole` any of its pixels, cannot be read. */
export async function checkImage(input: string | Uint8Array, whole: boolean, options: ReadImageOptions = {}): Promise<void> {
  const header = await readHeader(input, options, whole);
  if (!whole) return;
  await withinBudget(header.bytes, async () => {
    if (header.wide) await pixelsOf(header, undefined);
    // To fill, not to cover: what is cut away would not be decoded.
    else await advised(header.kind, () => header.open().resize(8, 8, { fit: 'fill' }).raw().toBuffer());
  });
}

/** Resizes the shortest side to `size` pixels and cuts out the middle square. An image that has that size already is returned as it is. */
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
