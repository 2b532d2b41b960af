/** Reads `cifar10:DIR`, the binary version of CIFAR-10; `test_batch` becomes the split `val`. */
import { neededNodeModule } from '../../backend/node_module.js';
import { firstNames } from '../../backend/validate.js';
import { type Dataset, type OpenOptions, Warnings } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { readWhole } from '../files/file_bytes.js';
import { fromPixels, type PixelSplit } from './pixels.js';

const SIDE = 32;
const PLANE = SIDE * SIDE;
const RECORD = 1 + 3 * PLANE;
const BATCHES = [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`);
const TEST = 'test_batch.bin';
/** Largest accepted batch file in bytes, ten times the size of the original files. */
const MOST_BYTES = 2 ** 29;
const CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

/**
 * Opens a folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
 *
 * @throws DataError naming the file that is missing or damaged
 */
export async function openCifar10(folder: string, options: OpenOptions = {}): Promise<Dataset> {
  const { readdir } = await neededNodeModule('node:fs/promises');
  const warnings = new Warnings(options.onWarning);
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw new DataError(`cifar10:${folder}: cannot be opened: ${reasonOf(error)}; expected the folder cifar-10-batches-bin`, folder, error);
  }
  if (names.includes('data_batch_1')) {
    throw new DataError(
      `cifar10:${folder}: contains the Python version; expected the binary version (cifar-10-binary.tar.gz, data_batch_1.bin …)`,
      folder,
    );
  }
  const batches = names.filter((name) => /^data_batch_\d+\.bin$/.test(name)).sort();
  const tested = names.includes(TEST);
  if ((options.divide ?? true) ? batches.length === 0 || !tested : batches.length === 0 && !tested) {
    throw new DataError(
      `cifar10:${folder}: expected data_batch_1.bin to data_batch_5.bin and test_batch.bin, got ${firstNames(names, 8) || 'an empty folder'}`,
      folder,
    );
  }
  const lacking = [...BATCHES, TEST].filter((name) => !names.includes(name));
  if (lacking.length > 0)
    warnings.add(
      `cifar10:${folder}: ${lacking.join(', ')} ${lacking.length === 1 ? 'is' : 'are'} missing; download the archive again to use all batches`,
    );
  const splits: Record<string, PixelSplit> = {};
  if (batches.length > 0) splits.train = await readBatches(folder, batches);
  if (tested) splits.val = await readBatches(folder, [TEST]);
  return fromPixels(
    { name: `cifar10:${folder}`, classes: CLASSES, channels: 3, height: SIDE, width: SIDE, splits, warnings: warnings.list },
    options,
  );
}

/** Reads batch files. A record is a label byte followed by the red, green and blue planes, which become interleaved pixels. */
async function readBatches(folder: string, names: readonly string[]): Promise<PixelSplit> {
  const { join } = await neededNodeModule('node:path');
  const read = async (file: string) => {
    try {
      return { file, bytes: await readWhole(file, MOST_BYTES) };
    } catch (error) {
      throw new DataError(`${file}: cannot be read: ${reasonOf(error)}`, file, error);
    }
  };
  const files = await Promise.all(names.map((name) => read(join(folder, name))));
  for (const { file, bytes } of files) {
    if (bytes.length === 0 || bytes.length % RECORD !== 0) {
      throw new DataError(
        `${file}: has ${bytes.length} bytes, expected a multiple of ${RECORD} (a label and 3×32×32 pixels); fetch it again`,
        file,
      );
    }
  }
  const count = files.reduce((sum, { bytes }) => sum + bytes.length / RECORD, 0);
  const pixels = new Uint8Array(count * 3 * PLANE);
  const labels = new Int32Array(count);
  let index = 0;
  for (const { file, bytes } of files) {
    for (let start = 0; start < bytes.length; start += RECORD, index++) {
      labels[index] = bytes[start];
      if (bytes[start] >= CLASSES.length)
        throw new DataError(`${file}: record ${start / RECORD} has the label ${bytes[start]}, expected 0 to 9`, file);
      const to = index * 3 * PLANE;
      for (let c = 0; c < 3; c++) for (let i = 0; i < PLANE; i++) pixels[to + 3 * i + c] = bytes[start + 1 + c * PLANE + i];
    }
  }
  return { pixels, labels };
}
