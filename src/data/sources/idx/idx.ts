/** Reads `idx:DIR`, the format of MNIST: four `-ubyte` files, optionally gzipped. The `t10k` pair, if present, becomes `val`. */
import { firstNames } from '../../../backend/validate.js';
import { type Dataset, type OpenOptions, Warnings } from '../../dataset.js';
import { DataError } from '../../errors.js';
import { DEFAULT_VAL_FRACTION, holdOut } from '../holdout.js';
import { fromPixels, type PixelSplit } from '../pixels.js';
import { findIdxFiles, type IdxFiles, type IdxPart, readIdx } from './idx_files.js';

/**
 * Opens the four idx files of a folder. If there is only the `train` pair, some of its images are held out as `val`.
 *
 * @throws DataError naming the file that is missing, truncated or malformed
 */
export async function openIdx(folder: string, options: OpenOptions = {}): Promise<Dataset> {
  const warnings = new Warnings(options.onWarning);
  const divide = options.divide ?? true;
  const files = await findIdxFiles(folder);
  let train = await readPair(folder, files, 'train');
  let val = await readPair(folder, files, 't10k');
  const only = train ?? val;
  if (!only || (divide && !train)) throw missing(folder, files, 'train-images-idx3-ubyte');
  if (train && val && (train.height !== val.height || train.width !== val.width || train.channels !== val.channels)) {
    throw new DataError(
      `idx:${folder}: train images are ${train.height}×${train.width}×${train.channels}, t10k images ${val.height}×${val.width}×${val.channels}; expected one size`,
      folder,
    );
  }
  const counts = countLabels(only.labels);
  if (divide && counts.filter((count) => count > 0).length < 2) {
    throw new DataError(`idx:${folder}: has images of one class only, ${counts.length - 1}; a classifier needs at least two`, folder);
  }
  if (divide && train && !val) [train, val] = divided(train, options.valFraction ?? DEFAULT_VAL_FRACTION);
  const beyond = train && val?.labels.find((label) => label >= counts.length);
  if (beyond !== undefined)
    throw new DataError(`idx:${folder}: t10k has the label ${beyond}, train has labels 0 to ${counts.length - 1} only`, folder);
  const empty = counts.flatMap((count, label) => (count === 0 ? [label] : []));
  if (train && empty.length > 0) warnings.add(`idx:${folder}: train has no image of class ${firstNames(empty, 5)}`);
  const { height, width, channels } = only;
  const splits: Record<string, PixelSplit> = train && val ? { train, val } : train ? { all: train } : { val: only };
  const classes = counts.map((_, label) => String(label));
  return fromPixels({ name: `idx:${folder}`, classes, channels, height, width, splits, warnings: warnings.list }, options);
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

/** Holds out a fraction of the images. */
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

/** Reads the images and labels of a part; returns undefined if neither file exists. */
async function readPair(folder: string, files: IdxFiles, part: IdxPart): Promise<Pair | undefined> {
  const [imagesFile, labelsFile] = [files.find(part, 'images'), files.find(part, 'labels')];
  if (!imagesFile && !labelsFile) return undefined;
  if (!imagesFile || !labelsFile) throw missing(folder, files, `${part}-${imagesFile ? 'labels-idx1' : 'images-idx3'}-ubyte`);
  const [images, labels] = [await readIdx(imagesFile), await readIdx(labelsFile)];
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
  if (images.data.length === 0) throw new DataError(`${images.file}: has shape [${images.shape}], which contains no images`, images.file);
  return { pixels: images.data, labels: Int32Array.from(labels.data), height, width, channels };
}

function missing(folder: string, { prefix }: IdxFiles, name: string): DataError {
  return new DataError(
    `idx:${folder}: has no ${prefix}${name} or ${prefix}${name}.gz; expected train-images-idx3-ubyte, train-labels-idx1-ubyte and, if there are, the same two with t10k (or test)`,
    folder,
  );
}
