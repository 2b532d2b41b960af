/** `idx:DIR`, MNIST's own format: four `-ubyte` files, gzipped or not; the `t10k` pair, where there is one, is `val`. */
import { type Dataset, type OpenOptions, Warnings } from './dataset.js';
import { DataError, reasonOf } from './errors.js';
import { DEFAULT_VAL_FRACTION, holdOut } from './holdout.js';
import { fromPixels, type PixelSplit } from './pixels.js';

/** Type code of unsigned bytes in an idx header (http://yann.lecun.com/exdb/mnist/: two zeros, the type, the number of axes). */
const UNSIGNED_BYTE = 0x08;

interface IdxArray {
  readonly file: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Opens the four files of a folder, or the two of `train`, of which some are then held out. Throws `DataError` naming the file
 * that is missing, truncated or not in the format.
 */
export async function openIdx(folder: string, options: OpenOptions = {}): Promise<Dataset> {
  const warnings = new Warnings(options.onWarning);
  let train = await readPair(folder, 'train');
  if (!train) throw missing(folder, names('train').images[0]);
  let val = await readPair(folder, 't10k');
  if (val && (train.height !== val.height || train.width !== val.width || train.channels !== val.channels)) {
    throw new DataError(
      `idx:${folder}: train images are ${train.height}×${train.width}×${train.channels}, t10k images ${val.height}×${val.width}×${val.channels}; expected one size`,
      folder,
    );
  }
  const counts = countLabels(train.labels);
  if (counts.filter((count) => count > 0).length < 2) {
    throw new DataError(`idx:${folder}: has images of one class only, ${counts.length - 1}; a classifier needs at least two`, folder);
  }
  if (!val) [train, val] = divided(train, options.valFraction ?? DEFAULT_VAL_FRACTION);
  const beyond = val.labels.find((label) => label >= counts.length);
  if (beyond !== undefined)
    throw new DataError(`idx:${folder}: t10k has the label ${beyond}, train has labels 0 to ${counts.length - 1} only`, folder);
  const empty = counts.flatMap((count, label) => (count === 0 ? [label] : []));
  if (empty.length > 0) warnings.add(`idx:${folder}: train has no image of class ${empty.join(', ')}`);
  const { height, width, channels } = train;
  const classes = counts.map((_, label) => String(label));
  return fromPixels({ name: `idx:${folder}`, classes, channels, height, width, train, val, warnings: warnings.list }, options);
}

function countLabels(labels: Int32Array): number[] {
  const counts: number[] = [];
  for (const label of labels) {
    while (counts.length <= label) counts.push(0);
    counts[label]++;
  }
  return counts;
}

interface Pair extends PixelSplit {
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Holds out a share of the images. */
function divided(pair: Pair, fraction: number): [train: Pair, val: Pair] {
  const area = pair.height * pair.width * pair.channels;
  const places = Array.from(pair.labels, (_, place) => place);
  const [train, val] = holdOut(places, fraction, (place) => ({ label: pair.labels[place], name: String(place) }));
  const part = (kept: readonly number[]): Pair => {
    const pixels = new Uint8Array(kept.length * area);
    for (const [i, place] of kept.entries()) pixels.set(pair.pixels.subarray(place * area, (place + 1) * area), i * area);
    return { ...pair, pixels, labels: Int32Array.from(kept, (place) => pair.labels[place]) };
  };
  return [part(train), part(val)];
}

/** What the files of a pair may be called, without `.gz`. */
const names = (prefix: 'train' | 't10k') => ({
  images: [`${prefix}-images-idx3-ubyte`, `${prefix}-images.idx3-ubyte`, `${prefix}-images-idx4-ubyte`],
  labels: [`${prefix}-labels-idx1-ubyte`, `${prefix}-labels.idx1-ubyte`],
});

/** Undefined where neither file is there. */
async function readPair(folder: string, prefix: 'train' | 't10k'): Promise<Pair | undefined> {
  const called = names(prefix);
  const images = await readIdx(folder, called.images);
  const labels = await readIdx(folder, called.labels);
  if (!images && !labels) return undefined;
  if (!images || !labels) throw missing(folder, images ? called.labels[0] : called.images[0]);
  const [count, height, width, channels = 1] = images.shape;
  if (images.shape.length < 3 || images.shape.length > 4 || (channels !== 1 && channels !== 3)) {
    throw new DataError(
      `${images.file}: has shape [${images.shape}], expected [count, rows, columns] or [count, rows, columns, 3]`,
      images.file,
    );
  }
  if (labels.shape.length !== 1) throw new DataError(`${labels.file}: has shape [${labels.shape}], expected [count]`, labels.file);
  if (labels.shape[0] !== count) {
    throw new DataError(
      `${labels.file}: has ${labels.shape[0]} labels, ${images.file} has ${count} images; expected as many of both`,
      labels.file,
    );
  }
  if (images.data.length === 0) throw new DataError(`${images.file}: has shape [${images.shape}], which holds no images`, images.file);
  return { pixels: images.data, labels: Int32Array.from(labels.data), height, width, channels };
}

/** Reads the first of the names that exists, plain or with `.gz`; undefined where none does. */
async function readIdx(folder: string, names: readonly string[]): Promise<IdxArray | undefined> {
  const { readFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  for (const candidate of names.flatMap((base) => [base, `${base}.gz`])) {
    const file = join(folder, candidate);
    let bytes: Uint8Array;
    try {
      bytes = await readFile(file);
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') continue;
      throw new DataError(`${file}: cannot be read: ${reasonOf(error)}`, file, error);
    }
    return parseIdx(file, await unzipped(file, bytes));
  }
  return undefined;
}

function missing(folder: string, name: string): DataError {
  return new DataError(
    `idx:${folder}: has no ${name} or ${name}.gz; expected train-images-idx3-ubyte, train-labels-idx1-ubyte and, if there are, the same two with t10k`,
    folder,
  );
}

async function unzipped(file: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const { gunzipSync } = await import('node:zlib');
  try {
    return gunzipSync(bytes);
  } catch (error) {
    throw new DataError(`${file}: cannot be unpacked: ${reasonOf(error)}; it may be truncated, fetch it again`, file, error);
  }
}

function parseIdx(file: string, bytes: Uint8Array): IdxArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0) {
    const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new DataError(`${file}: starts with ${start || 'nothing'}, expected an idx header (00 00 08 and the number of axes)`, file);
  }
  if (bytes[2] !== UNSIGNED_BYTE)
    throw new DataError(`${file}: holds values of type 0x${bytes[2].toString(16)}, expected unsigned bytes (0x08)`, file);
  const axes = bytes[3];
  const header = 4 + 4 * axes;
  if (axes < 1 || axes > 4 || bytes.length < header)
    throw new DataError(`${file}: has ${axes} axes in a file of ${bytes.length} bytes, expected 1 to 4 and their sizes`, file);
  const shape = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== header + size) {
    throw new DataError(
      `${file}: has ${bytes.length} bytes, its header [${shape}] means ${header + size}; it is truncated or damaged, fetch it again`,
      file,
    );
  }
  return { file, shape, data: bytes.subarray(header) };
}
