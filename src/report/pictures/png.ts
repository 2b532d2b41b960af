/** Encodes pictures as PNG files and as data URIs, and decodes PNG files. */
import { decode, encode } from 'fast-png';
import { checkArgument, instanceOf } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { image as imageRule } from '../../data/rules.js';
import { FormatError } from '../../formats/errors.js';
import { checkPng } from './png_chunks.js';

/**
 * Encodes a picture as an 8-bit PNG file, grey or in colour.
 *
 * @example await writeFile('example.png', encodePng(example.image));
 */
export function encodePng(picture: Image): Uint8Array {
  checkArgument('encodePng', 'picture', picture, imageRule);
  const { width, height, channels, data } = picture;
  return encode({ width, height, channels, data });
}

/**
 * Decodes an 8-bit PNG file, grey or in colour. Chunks other than those of the pixels are ignored.
 *
 * The file is not trusted: its dimensions are checked against the number of compressed bytes before anything is allocated, and the pixels
 * are counted while they are inflated, so that a small file cannot take much memory or time.
 *
 * @example const { width, height, channels } = decodePng(await readFile('dog.png'));
 * @throws FormatError for a file that is truncated or damaged, that has a palette, transparency or 16-bit channels, or more than
 *   100 million pixels
 */
export function decodePng(bytes: Uint8Array): Image {
  checkArgument('decodePng', 'bytes', bytes, instanceOf(Uint8Array));
  const { width, height, channels, plain } = checkPng(bytes);
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(plain, { checkCrc: true });
  } catch (error) {
    throw new FormatError(`decodePng: the file is damaged: ${(error as Error).message}; write or fetch it again`, { cause: error });
  }
  return { width, height, channels, data: Uint8Array.from(decoded.data) };
}

/** Encodes a picture as a data URI: `data:image/png;base64,…`. */
export function pngDataUri(picture: Image): string {
  const bytes = encodePng(picture);
  let binary = '';
  // String.fromCharCode accepts a limited number of arguments.
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return `data:image/png;base64,${btoa(binary)}`;
}
