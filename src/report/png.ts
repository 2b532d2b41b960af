/** Pictures as PNG files, and as data URIs that a page holds within itself. */
import { decode, encode } from 'fast-png';
import type { Image } from '../data/dataset.js';

/** An 8-bit PNG file, grey or colour as the picture is. */
export const encodePng = ({ width, height, channels, data }: Image): Uint8Array => encode({ width, height, channels, data });

/** The pixels of an 8-bit PNG file, grey or colour; transparency is not looked at. */
export function decodePng(bytes: Uint8Array): Image {
  const { width, height, channels, data } = decode(bytes);
  if (channels !== 1 && channels !== 3) throw new RangeError(`decodePng: the picture has ${channels} channels, expected 1 or 3`);
  return { width, height, channels, data: Uint8Array.from(data) };
}

/** `data:image/png;base64,…` */
export function pngDataUri(picture: Image): string {
  const bytes = encodePng(picture);
  let binary = '';
  // String.fromCharCode takes a limited number of arguments.
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return `data:image/png;base64,${btoa(binary)}`;
}
