/** Reads the header of an image and rejects files that are too large, or not images, before their pixels are decoded. */
import type { Metadata, Sharp } from 'sharp';
import { readRange, readWhole, sizeOfFile } from '../files/file_bytes.js';
import { isStray, shownPath } from '../files/paths.js';
import { HEAD_BYTES, HEIC_ADVICE, hasForeignSamples, type ImageKind, imageKind } from './image_kind.js';
import { loadSharp } from './sharp.js';

/** Default of `pixelLimit`: images with more pixels are not decoded. */
export const DEFAULT_PIXEL_LIMIT = 100_000_000;
/**
 * Longest side in pixels (also the limit of JPEG and GIF). Decoders keep several rows in memory, and rows of millions of pixels would
 * take gigabytes.
 */
const MAX_SIDE = 65_535;

/** Options of `readImage`. */
export interface ReadImageOptions {
  /** Side of the square to return, in pixels: the shorter side is resized, then the central square is cropped. Default: no resizing. */
  size?: number;
  /** 3 (red, green, blue; default) or 1 (grey by ITU-R BT.601: 0.299 red + 0.587 green + 0.114 blue). */
  channels?: 1 | 3;
  /** Name of the image in error messages, if the input is bytes. */
  name?: string;
  /**
   * Images with more pixels (width × height) are not decoded. Default 100 million. The limit is compared with the header before
   * decoding, because a file of a few bytes can declare any size. It is lower for pixels of more than four bytes.
   */
  pixelLimit?: number;
  /** Whether to render SVG files (names that end in `.svg`). Default false: rendering an SVG can take arbitrarily long. */
  svg?: boolean;
}

/** An image whose header has been read and accepted. */
export interface Header {
  readonly kind: ImageKind;
  /** Creates a new `sharp` pipeline that reads the encoded image. */
  open(): Sharp;
  /** Size of the decoded image in bytes. */
  readonly bytes: number;
  /** Whether the image has an alpha channel to be blended with white. */
  readonly blended: boolean;
  /** Whether the image has a further channel that is not alpha, such as near infrared. */
  readonly foreign: boolean;
  /** The metadata, if the samples are of another type than unsigned 8-bit or 16-bit integers; otherwise undefined. */
  readonly wide: Metadata | undefined;
}

/** Files up to this size in bytes are read into memory; of larger files the decoder reads the parts that it needs. */
const READ_AT_ONCE = 64 * 2 ** 20;

/**
 * Reads the header of an image.
 *
 * @param whole whether the pixels will be decoded as well
 * @throws Error for an unsupported format, and for an image beyond the limits
 */
export async function readHeader(
  input: string | Uint8Array,
  { pixelLimit = DEFAULT_PIXEL_LIMIT, svg = false }: ReadImageOptions,
  whole: boolean,
): Promise<Header> {
  const sharp = await loadSharp();
  const source = await sourceOf(input, whole);
  const kind = imageKind(await source.read(0, HEAD_BYTES));
  const named = typeof input === 'string' && /\.svg$/i.test(input);
  if (kind === 'SVG' && !(svg && named)) throw new Error('it is an SVG drawing, an unsupported image format; convert it to PNG');
  const open = () => sharp(source.input, { failOn: 'error', limitInputPixels: pixelLimit });
  const found = await advised(kind, () => sharp(source.input, { failOn: 'error', limitInputPixels: false }).metadata());
  const { width = 0, height = 0, channels = 3, depth = 'uchar', space, hasAlpha = false } = found;
  if (Math.max(width, height) > MAX_SIDE)
    throw new Error(`it has ${width} × ${height} pixels, more than ${MAX_SIDE} on one side; cut it into parts`);
  const bytesAPixel = channels * SAMPLE_BYTES[depth];
  const most = Math.floor(pixelLimit / Math.max(1, bytesAPixel / 4));
  if (width * height > most)
    throw new Error(
      `it has ${width} × ${height} pixels, more than the limit of ${most}${most < pixelLimit ? ` for pixels of ${bytesAPixel} bytes` : ''}; make it smaller, or raise the limit (pixelLimit, --max-pixels)`,
    );
  if (channels > 4 && space !== 'cmyk') throw new Error(`it has ${channels} channels, expected 1 to 4; export red, green and blue alone`);
  const foreign = kind === 'TIFF' && hasAlpha && (await hasForeignSamples(source.read));
  const wide = depth === 'uchar' || depth === 'ushort' ? undefined : found;
  return { kind, open, bytes: width * height * bytesAPixel, blended: hasAlpha && !foreign, foreign, wide };
}

/** Bytes per sample, by sharp's name of the sample type. */
const SAMPLE_BYTES = { uchar: 1, char: 1, ushort: 2, short: 2, uint: 4, int: 4, float: 4, complex: 8, double: 8, dpcomplex: 16 } as const;

interface Source {
  /** The input of `sharp`. */
  readonly input: string | Uint8Array;
  /** Reads the bytes `start` to `end`, or up to the end of the file. */
  read(start: number, end: number): Promise<Uint8Array>;
}

async function sourceOf(input: string | Uint8Array, whole: boolean): Promise<Source> {
  let bytes = input;
  if (typeof bytes === 'string') {
    const file = bytes;
    const size = await sizeOfFile(file).catch((error) => {
      throw error.code === 'ENOENT' ? new Error(`Input file is missing: ${shownPath(file)}`) : error;
    });
    // `sharp` cannot open a path that is not valid UTF-8, so such a file is read here.
    if (size > READ_AT_ONCE || (!whole && !isStray(file)))
      return { input: file, read: (start, end) => readRange(file, start, Math.min(end, size)) };
    bytes = await readWhole(file);
  }
  const all = bytes;
  return { input: all, read: async (start, end) => all.subarray(start, end) };
}

/** Runs `read`; if it fails for a HEIC file, the error explains how to convert it. */
export async function advised<T>(kind: ImageKind, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw kind === 'HEIC' ? new Error(HEIC_ADVICE, { cause: error }) : error;
  }
}
