/** Temporary folders, small pictures and the errors that are expected, for the tests of this folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll } from 'vitest';
import { DataError, type Image, type Split } from '../../src/data/index.js';

/** Creates a folder that is deleted after the tests of the calling file; to be called outside of tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zfnet-data-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files with their folders, and returns `root`; a path that ends in `/` becomes an empty folder. */
export async function tree(root: string, files: Readonly<Record<string, Uint8Array | Promise<Uint8Array>>>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(path.endsWith('/') ? file : dirname(file), { recursive: true });
    if (!path.endsWith('/')) writeFileSync(file, await content);
  }
  return root;
}

export const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Bytes that look random and are the same each time. */
export function noiseBytes(length: number, seed: number): Uint8Array {
  let state = (seed * 2654435761) >>> 0 || 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state >>> 24;
  });
}

export type Colour = readonly [red: number, green: number, blue: number];

/** A picture of 8-bit pixels given by place, with as many channels as the pixels have. */
export function paint(width: number, height: number, colour: (y: number, x: number) => readonly number[]): Sharp {
  const pixels = Array.from({ length: width * height }, (_, i) => [...colour(Math.floor(i / width), i % width)]);
  const channels = pixels[0].length as 1 | 2 | 3 | 4;
  return sharp(Uint8Array.from(pixels.flat()), { raw: { width, height, channels } });
}

/** A picture of noise, which no codec makes small. */
export const noisy = (width: number, height: number, seed: number): Sharp =>
  sharp(noiseBytes(width * height * 3, seed), { raw: { width, height, channels: 3 } });

/** A PNG of 6×5 pixels of one colour. */
export const plain = (colour: Colour): Promise<Uint8Array> =>
  paint(6, 5, () => colour)
    .png()
    .toBuffer();

export const RED: Colour = [250, 10, 20];
export const GREEN: Colour = [30, 200, 40];
export const BLUE: Colour = [10, 60, 240];

/** Red, green and blue (or only grey) of a pixel. */
export function pixel({ data, width, channels }: Image, y: number, x: number): number[] {
  const at = (y * width + x) * channels;
  return [...data.subarray(at, at + channels)];
}

/** The largest difference between two lists of numbers of one length. */
export function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** All examples of a split, in order. */
export const everything = (split: Split) => Promise.all(Array.from({ length: split.length }, (_, index) => split.get(index)));

export const namesOf = async (split: Split): Promise<string[]> => (await everything(split)).map((example) => example.name);

/** The `DataError` that `promise` ends in; anything else fails the test. */
export async function failure(promise: Promise<unknown>): Promise<DataError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DataError) return error;
    throw new Error(`expected a DataError, got ${error}`, { cause: error });
  }
  throw new Error('expected a DataError, got a result');
}
