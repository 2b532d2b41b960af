/**
 * Reads files with boxes around parts of images: `{ "images": [{ "file": "a.jpg", "parts": { "nose": [y0, x0, y1, x1] } }] }`, in pixels of
 * the upright image.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { inCentreCrop, type PreprocessOptions } from 'zfnet';
import { type Image, readImage } from 'zfnet/data';
import { UsageError } from '../command.js';
import { readRegular } from './confined_path.js';
import { parseJson } from './json.js';

type Box = [number, number, number, number];

export interface MarkedImage {
  name: string;
  /** A square of `side` pixels. */
  image: Image;
  /** Box of the whole object, if known, in pixels of the network's centre crop. */
  object?: Box;
  /** Boxes of the parts by name, in pixels of the network's centre crop. */
  parts: Record<string, Box>;
}

/** Reads a parts file and its images, whose paths are relative to it or to the working folder. Throws `UsageError` for an invalid file. */
export async function readParts(path: string, options: PreprocessOptions): Promise<MarkedImage[]> {
  const marked: MarkedImage[] = [];
  for (const { file, parts } of await parse(path)) {
    const beside = resolve(dirname(path), file);
    const found = existsSync(beside) ? beside : file;
    const { channels, side } = options;
    const { width, height } = await readImage(found, { channels });
    const image = await readImage(found, { size: side, channels });
    // Boxes are transformed like the image: the shorter side is resized to `side`, the longer one is cropped at the centre.
    const scale = side / Math.min(width, height);
    const [down, across] = [(height * scale - side) / 2, (width * scale - side) / 2];
    const boxes = Object.entries(parts).map(([part, [y0, x0, y1, x1]]): [string, Box] => {
      const box = inCentreCrop(options, [y0 * scale - down, x0 * scale - across, y1 * scale - down, x1 * scale - across]);
      if (!box) throw new UsageError(`${path}: the ${part} of ${file} lies outside the centre crop that the network sees`);
      return [part, box];
    });
    marked.push({ name: file, image, parts: Object.fromEntries(boxes) });
  }
  return marked;
}

async function parse(path: string): Promise<{ file: string; parts: Record<string, Box> }[]> {
  const wrong = (what: string) =>
    new UsageError(`${path}: ${what}; expected { "images": [{ "file": "a.jpg", "parts": { "nose": [y0, x0, y1, x1] } }] }`);
  const bytes = await readRegular(path).catch((error) => {
    throw new UsageError(`${path}: cannot be read (${error.code ?? error.message})`);
  });
  const { value, error } = parseJson(bytes);
  if (error) throw wrong('is not JSON');
  const { images } = (value ?? {}) as { images?: unknown };
  if (!Array.isArray(images) || images.length < 2) throw wrong('has no list of at least two images');
  for (const [i, image] of images.entries()) {
    if (typeof image?.file !== 'string' || typeof image.parts !== 'object' || image.parts === null || Array.isArray(image.parts))
      throw wrong(`image ${i} has no "file" or no "parts"`);
    for (const [part, box] of Object.entries(image.parts))
      if (!Array.isArray(box) || box.length !== 4 || !box.every(Number.isFinite) || box[2] <= box[0] || box[3] <= box[1])
        throw wrong(`the ${part} of ${image.file} is ${JSON.stringify(box)}, not a box of four numbers with y0 < y1 and x0 < x1`);
  }
  return images;
}
