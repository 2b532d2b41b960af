/** Baselines on raw pixels to compare a network with: the nearest neighbour among the training images, and a linear classifier. */

import { type ClassifierErrors, type FitReport, fitLinear, linearErrors } from '../../analysis/linear_classifiers.js';
import { arrayOf, checkArgument, checkOptions, func, integer, type RulesFor } from '../../backend/validate.js';
import type { Image, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { batches } from '../../data/loader.js';
import { split as splitRule } from '../../data/rules.js';
import { samplePlaces } from '../../data/subset.js';
import { noGrad, ShapeError, type Tensor, tensor } from '../../tensor/index.js';

/** Options of `nearestNeighbour`. */
export interface NearestNeighbourOptions {
  /** Approximate side in pixels to which images are reduced, by averaging blocks. Default 32. */
  side?: number;
  /** Largest number of training images to compare with, sampled at random. Default: all of them. */
  trainExamples?: number;
  /** Test images per batch. Default 256. */
  batchSize?: number;
  /** Called with the number of images that are read, training images first, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each image that cannot be read; the image is then left out. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
}

const NEAREST_OPTIONS: RulesFor<NearestNeighbourOptions> = {
  side: integer(1),
  trainExamples: integer(1),
  batchSize: integer(1),
  onProgress: func,
  onBroken: func,
};

const LINEAR_OPTIONS: RulesFor<LinearOnPixelsOptions> = { side: integer(1), onFit: func, onProgress: func, onBroken: func };

/** Number of training images per tensor. */
const PIECE = 2048;

interface Piece {
  /** [count, pixels] */
  pixels: Tensor;
  /** −½ Σ x² of each image, [1, count]. */
  halfNorms: Tensor;
  labels: number[];
}

/**
 * Top-1 error of the nearest-neighbour classifier on pixels (k = 1, Euclidean distance) for each of some splits, as fractions.
 *
 * The training image t nearest to a test image x maximises x·t − ½ t·t, so most of the work is one matrix product. If several are equally
 * near, the first in the training split is used.
 *
 * @example const [error] = await nearestNeighbour(dataset.splits.train, [dataset.splits.val], { side: 8 });
 */
export async function nearestNeighbour(train: Split, tests: readonly Split[], options: NearestNeighbourOptions = {}): Promise<number[]> {
  checkArgument('nearestNeighbour', 'train', train, splitRule);
  checkArgument('nearestNeighbour', 'tests', tests, arrayOf(splitRule));
  checkOptions('nearestNeighbour', options, NEAREST_OPTIONS);
  const { side = 32, trainExamples = train.length, batchSize = 256, onProgress, onBroken } = options;
  const indices = samplePlaces(train.length, trainExamples);
  const total = indices.length + tests.reduce((sum, split) => sum + split.length, 0);
  let done = 0;
  const report = (count: number) => {
    done += count;
    onProgress?.(done, total);
  };
  const pieces: Piece[] = [];
  try {
    for await (const examples of batches(train, { batchSize: PIECE, indices, onBroken })) {
      pieces.push(
        makePiece(
          examples.map(({ image }) => shrink(image, side)),
          examples.map(({ label }) => label),
        ),
      );
      report(examples.length);
    }
    const errors: number[] = [];
    for (const split of tests) {
      let wrong = 0;
      let seen = 0;
      for await (const examples of batches(split, { batchSize, onBroken })) {
        const answers = await answer(
          pieces,
          examples.map(({ image }) => shrink(image, side)),
        );
        wrong += examples.filter(({ label }, i) => answers[i] !== label).length;
        seen += examples.length;
        report(examples.length);
      }
      errors.push(wrong / Math.max(seen, 1));
    }
    return errors;
  } finally {
    for (const { pixels, halfNorms } of pieces) {
      pixels.dispose();
      halfNorms.dispose();
    }
  }
}

/** Options of `linearOnPixels`. */
export interface LinearOnPixelsOptions {
  /** Approximate side in pixels to which images are reduced, by averaging blocks. Default 16; a finer grid does not help the classifier. */
  side?: number;
  /** Called after the classifier is trained, with the accuracy that its solver has reached. */
  onFit?: (fit: FitReport) => void;
  /** Called with the number of images read, and their total. The classifier is trained after the images of `train`. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each image that cannot be read; the image is then left out. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
}

/**
 * Errors of a linear classifier on pixels (softmax regression with C = 10) for each of some splits, as fractions.
 *
 * @example
 * const { train, val } = dataset.splits;
 * const [{ top1Error }] = await linearOnPixels(train, [val], dataset.classes.length, { side: 4 });
 */
export async function linearOnPixels(
  train: Split,
  tests: readonly Split[],
  classes: number,
  options: LinearOnPixelsOptions = {},
): Promise<ClassifierErrors[]> {
  checkArgument('linearOnPixels', 'train', train, splitRule);
  checkArgument('linearOnPixels', 'tests', tests, arrayOf(splitRule));
  checkArgument('linearOnPixels', 'classes', classes, integer(1));
  checkOptions('linearOnPixels', options, LINEAR_OPTIONS);
  const { side = 16, onFit, onProgress, onBroken } = options;
  const total = train.length + tests.reduce((sum, split) => sum + split.length, 0);
  let done = 0;
  const read = async (split: Split) => {
    const pixels: Float32Array[] = [];
    const labels: number[] = [];
    for await (const examples of batches(split, { batchSize: PIECE, onBroken })) {
      for (const { image, label } of examples) {
        pixels.push(shrink(image, side));
        labels.push(label);
      }
      done += examples.length;
      onProgress?.(done, total);
    }
    return { features: { rows: pixels.length, columns: pixels[0]?.length ?? 0, data: joined(pixels) }, labels };
  };
  const known = await read(train);
  const classifier = await fitLinear(known.features, known.labels, classes, { kind: 'softmax', strength: 10 });
  onFit?.(classifier.fit);
  const errors: ClassifierErrors[] = [];
  for (const split of tests) {
    const { features, labels } = await read(split);
    errors.push(linearErrors(classifier, features, labels));
  }
  return errors;
}

function makePiece(rows: readonly Float32Array[], labels: number[]): Piece {
  const halfNorms = Float32Array.from(rows, (row) => -0.5 * row.reduce((sum, value) => sum + value * value, 0));
  return { pixels: stack(rows), halfNorms: tensor(halfNorms, [1, rows.length]), labels };
}

async function answer(pieces: readonly Piece[], rows: readonly Float32Array[]): Promise<number[]> {
  const best = new Float64Array(rows.length).fill(Number.NEGATIVE_INFINITY);
  const answers = new Array<number>(rows.length).fill(-1);
  const tests = stack(rows);
  for (const { pixels, halfNorms, labels } of pieces) {
    const [nearness, place] = noGrad(() => {
      const scores = tests.matmul(pixels, { transposeB: true }).add(halfNorms);
      return [scores.max({ axes: 1 }), scores.argmax({ axis: 1 })];
    });
    const [values, places] = [await nearness.data(), await place.data()];
    nearness.dispose();
    place.dispose();
    for (let i = 0; i < rows.length; i++) {
      if (!(values[i] > best[i])) continue;
      best[i] = values[i];
      answers[i] = labels[places[i]];
    }
  }
  tests.dispose();
  return answers;
}

const stack = (rows: readonly Float32Array[]): Tensor => tensor(joined(rows), [rows.length, rows[0].length]);

function joined(rows: readonly Float32Array[]): Float32Array {
  const columns = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * columns);
  for (const [i, row] of rows.entries()) {
    if (row.length !== columns)
      throw new ShapeError(
        `pixels: got images of ${columns} and of ${row.length} numbers at this side, expected images of one size; open the data set with imageSize`,
      );
    all.set(row, i * columns);
  }
  return all;
}

/**
 * Reduces an image to about `side` × `side` block means and maps 0 … 255 to −1 … 1: [height · width · channels]. Incomplete blocks at the
 * right and bottom edges are dropped.
 */
function shrink({ width, height, channels, data }: Image, side: number): Float32Array {
  const block = Math.max(1, Math.floor(Math.min(width, height) / side));
  const [h, w] = [Math.floor(height / block), Math.floor(width / block)];
  const out = new Float32Array(h * w * channels);
  for (let y = 0; y < h * block; y++) {
    for (let x = 0; x < w * block; x++) {
      const from = (y * width + x) * channels;
      const to = (Math.floor(y / block) * w + Math.floor(x / block)) * channels;
      for (let c = 0; c < channels; c++) out[to + c] += data[from + c];
    }
  }
  const scale = 1 / (127.5 * block * block);
  return out.map((sum) => sum * scale - 1);
}
