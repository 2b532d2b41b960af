/** `idx:DIR`, MNIST's own format: four `-ubyte` files, gzipped or not; the `t10k` pair is `val`. */
import { type Dataset, type OpenOptions, Warnings } from './dataset.js';
import { DataError, reasonOf } from './errors.js';
import { fromPixels, type PixelSplit } from './pixels.js';

/** Type code of unsigned bytes in an idx header (http://yann.lecun.com/exdb/mnist/: two zeros, the type, the number of axes). */
const UNSIGNED_BYTE = 0x08;

interface IdxArray {
  readonly file: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Opens the four files of a folder. Throws `DataError` naming the file that is missing, truncated or not in the format. */
export async function openIdx(folder: string, options: OpenOptions = {}): Promise<Dataset> {
  const warnings = new Warnings(options.onWarning);
  const train = await readPair(folder, 'train');
  const val = await readPair(folder, 't10k');
  if (train.height !== val.height || train.width !== val.width || train.channels !== val.channels) {
    throw new DataError(
      `idx:${folder}: train images are ${train.height}×${train.width}×${train.channels}, t10k images ${val.height}×${val.width}×${val.channels}; expected one size`,
      folder,
    );
  }
  const counts = countLabels(train.labels);
  if (counts.filter((count) => count > 0).length < 2) {
    throw new DataError(`idx:${folder}: has images of one class only, ${counts.length - 1}; a classifier needs at least two`, folder);
  }
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

async function readPair(folder: string, prefix: string): Promise<Pair> {
  const images = await readIdx(folder, `${prefix}-images-idx3-ubyte`, [`${prefix}-images.idx3-ubyte`, `${prefix}-images-idx4-ubyte`]);
  const labels = await readIdx(folder, `${prefix}-labels-idx1-ubyte`, [`${prefix}-labels.idx1-ubyte`]);
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

/** Reads the first of the names that exists, plain or with `.gz`. */
async function readIdx(folder: string, name: string, others: readonly string[]): Promise<IdxArray> {
  const { readFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  for (const candidate of [name, ...others].flatMap((base) => [base, `${base}.gz`])) {
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
  throw new DataError(
    `idx:${folder}: has no ${name} or ${name}.gz; expected train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two with t10k`,
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
