/** Pictures as PNG files, and as data URIs that a page holds within itself. */
import { decode, encode } from 'fast-png';
import { checkArgument, instanceOf } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { image as imageRule } from '../../data/rules.js';
import { FormatError } from '../../formats/errors.js';
import { checkPng } from './png_chunks.js';

/** An 8-bit PNG file, grey or colour as the picture is. */
export function encodePng(picture: Image): Uint8Array {
  checkArgument('encodePng', 'picture', picture, imageRule);
  const { width, height, channels, data } = picture;
  return encode({ width, height, channels, data });
}

/**
 * The pixels of an 8-bit PNG file, grey or colour. Chunks that do not belong to the pixels are ignored.
 *
 * Nothing in the file is trusted: its size is checked against its compressed bytes before anything is allocated, and its pixels
 * are counted while they are inflated, so that a small file cannot ask for much memory or time.
 *
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

/** `data:image/png;base64,…` */
export function pngDataUri(picture: Image): string {
  const bytes = encodePng(picture);
  let binary = '';
  // String.fromCharCode takes a limited number of arguments.
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return `data:image/png;base64,${btoa(binary)}`;
}
