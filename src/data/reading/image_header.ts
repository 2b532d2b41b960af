/** Reads the header of an image and refuses what is too large, or no image, before anything is decoded. */
import type { Metadata, Sharp } from 'sharp';
import { readRange, readWhole, sizeOfFile } from '../files/file_bytes.js';
import { isStray, shownPath } from '../files/paths.js';
import { HEAD_BYTES, HEIC_ADVICE, hasForeignSamples, type ImageKind, imageKind } from './image_kind.js';
import { loadSharp } from './sharp.js';

/** Pixels of the largest image that is decoded unless another limit is given. */
export const DEFAULT_PIXEL_LIMIT = 100_000_000;
/** The longest side, which JPEG and GIF cannot exceed either: decoders hold several rows, and rows of millions of pixels take gigabytes. */
const MAX_SIDE = 65_535;

export interface ReadImageOptions {
  /** Side of the square to return, in pixels: the shortest side is resized to it, then the middle is cut out. Left out: no resizing. */
  size?: number;
  /** 3 (red, green, blue; the default) or 1 (grey, by ITU-R BT.601: 0.299 red + 0.587 green + 0.114 blue). */
  channels?: 1 | 3;
  /** Name for error messages where the input is bytes. */
  name?: string;
  /**
   * Pixels (width × height) of the largest image that is decoded; 100 million unless given. The header is compared with it before
   * anything is decoded: a file of a few bytes may claim any size. Pixels of more than four bytes count as more than one.
   */
  pixelLimit?: number;
  /** Draw an SVG file. Its name must end in `.svg`. False unless given: an SVG is a program, and may take long to draw. */
  svg?: boolean;
}

/** An image whose header was read and found acceptable. */
export interface Header {
  readonly kind: ImageKind;
  /** A new pipeline from the encoded image. */
  open(): Sharp;
  /** Bytes of the decoded image. */
  readonly bytes: number;
  /** Opacity is among the samples, and is to be blended. */
  readonly blended: boolean;
  /** Samples beyond the colours that are no opacity. */
  readonly foreign: boolean;
  /** Its samples are floating-point numbers, or whole ones of other types than 8 and 16 bits without a sign. */
  readonly wide: Metadata | undefined;
}

/** Files up to this size are read at once; of larger ones the decoder takes what it needs. */
const READ_AT_ONCE = 64 * 2 ** 20;

/** @param whole the pixels will be read too, not the header alone */
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

/** Bytes of a sample by the type that `sharp` tells. */
const SAMPLE_BYTES = { uchar: 1, char: 1, ushort: 2, short: 2, uint: 4, int: 4, float: 4, complex: 8, double: 8, dpcomplex: 16 } as const;

interface Source {
  /** What `sharp` is given. */
  readonly input: string | Uint8Array;
  /** Bytes `start` to `end`, or up to the end of the file. */
  read(start: number, end: number): Promise<Uint8Array>;
}

async function sourceOf(input: string | Uint8Array, whole: boolean): Promise<Source> {
  let bytes = input;
  if (typeof bytes === 'string') {
    const file = bytes;
    const size = await sizeOfFile(file).catch((error) => {
      throw error.code === 'ENOENT' ? new Error(`Input file is missing: ${shownPath(file)}`) : error;
    });
    // A path that is not UTF-8 can be opened here alone.
    if (size > READ_AT_ONCE || (!whole && !isStray(file)))
      return { input: file, read: (start, end) => readRange(file, start, Math.min(end, size)) };
    bytes = await readWhole(file);
  }
  const all = bytes;
  return { input: all, read: async (start, end) => all.subarray(start, end) };
}

/** Runs what reads an image; of a HEIC file that cannot be read, the error says what to do. */
export async function advised<T>(kind: ImageKind, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw kind === 'HEIC' ? new Error(HEIC_ADVICE, { cause: error }) : error;
  }
}
