/**
 * Transfer learning (paper, section 5.1, Tables 4 and 5, Fig. 9): how well the features of a trained network serve on another data set. A
 * new softmax is trained on the features of a kept layer with k images per class, and the same network is trained from scratch on the same
 * images.
 */

import { fitLinear, linearErrors } from '../../analysis/linear_classifiers.js';
import { selectRows } from '../../analysis/matrix.js';
import {
  abortSignal,
  arrayOf,
  checkArgument,
  checkFields,
  finite,
  func,
  integer,
  isPlainObject,
  objectWith,
  oneOf,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import type { Dataset, Split } from '../../data/dataset.js';
import { DataError } from '../../data/errors.js';
import { dataset as datasetRule, split as splitRule } from '../../data/rules.js';
import { sampleByClass, takeByClass } from '../../data/sample.js';
import { subset } from '../../data/subset.js';
import type { InitScheme } from '../../nn/index.js';
import { type Classifier, evaluate } from '../evaluation/evaluate.js';
import { type Architecture, architectureOf, zfnet } from '../model/model.js';
import { initScheme, preparedNetwork } from '../rules.js';
import { type TrainingOptions, trainingOptions } from '../training/recipe/training_options.js';
import { type TrainingListener, train } from '../training/train.js';
import { type ExtractOptions, extractFeatures } from './features.js';

/** Methods that transfer learning compares: a new softmax on kept layers, and a network trained from scratch. */
export const METHODS = ['kept layers', 'from scratch'] as const;
/** How a network is applied to another data set. */
export type TransferMethod = (typeof METHODS)[number];

/** Result of one training: a method, a number of images per class, and one random sample of them. */
export interface TransferFold {
  /** Whether the learnt layers were kept, or a network was trained from scratch. */
  method: TransferMethod;
  /** Number of training images per class. */
  perClass: number;
  /** Index of the random sample, from 0. */
  fold: number;
  /** Top-1 error on the fold's training images, as a fraction. */
  trainTop1Error: number;
  /** Top-1 error on the fold's test images, as a fraction. */
  valTop1Error: number;
  /** Top-5 error on the fold's test images, as a fraction. */
  valTop5Error: number;
  /** Whether the solver of the classifier on kept layers has converged. Absent for networks trained from scratch. */
  converged?: boolean;
}

/** Accuracies published in the paper for a number of images per class, in per cent. */
export interface PublishedTransfer {
  /** Accuracy on Caltech-101; absent where the paper has none for this number of images. */
  caltech101?: number;
  /** Accuracy on Caltech-256; absent where the paper has none for this number of images. */
  caltech256?: number;
}

/** Results of a method for a number of images per class, over the folds. */
export interface TransferRow {
  /** Description such as `kept layers, 10 per class`. */
  name: string;
  /** Whether the learnt layers were kept, or networks were trained from scratch. */
  method: TransferMethod;
  /** Number of training images per class. */
  perClass: number;
  /** Number of folds that the means are over. */
  folds: number;
  /** Accuracy on test images (1 − top-1 error) as a fraction: mean over the folds and sample standard deviation (n − 1). */
  mean: number;
  /** Sample standard deviation (n − 1) of the accuracy over the folds; 0 for a single fold. */
  deviation: number;
  /** Means over the folds. */
  trainTop1Error: number;
  /** Mean top-1 error on test images, 1 − `mean`. */
  valTop1Error: number;
  /** Mean top-5 error on test images. */
  valTop5Error: number;
  /** Number of folds whose classifier has not converged; absent if all have. */
  unconverged?: number;
  /** Accuracies of the paper's Tables 4 and 5 for this method and number of images, in per cent. */
  paper?: PublishedTransfer;
}

const PUBLISHED: Readonly<Record<TransferMethod, Readonly<Record<number, PublishedTransfer>>>> = {
  'kept layers': {
    15: { caltech101: 83.8, caltech256: 65.7 },
    30: { caltech101: 86.5, caltech256: 70.6 },
    45: { caltech256: 72.7 },
    60: { caltech256: 74.2 },
  },
  'from scratch': {
    15: { caltech101: 22.8, caltech256: 9.0 },
    30: { caltech101: 46.5, caltech256: 22.5 },
    45: { caltech256: 31.2 },
    60: { caltech256: 38.8 },
  },
};

/** Options of the networks that are trained from scratch. */
export interface ScratchOptions {
  /** Architecture of the networks; classes and channels are those of the data set. */
  architecture: Architecture;
  /** Scheme of the initial weights. Default: the default of `zfnet`. */
  init?: InitScheme;
  /** Training options, except `epochs` and `seed`, which the experiment sets. */
  training?: Partial<TrainingOptions>;
  /** Number of training steps, for any number of images. Default 400. */
  steps?: number;
}

/** Arguments of `transfer`. */
export interface TransferJob {
  /** The network whose layers are kept. */
  network: Pick<Classifier, 'model' | 'preprocess'>;
  /** The last layer that is kept, whose outputs are the features: `relu7`. See `stages`. */
  layer: string;
  /** The other data set: its classes and channels. Its images have `preprocess.options.side` pixels. */
  dataset: Dataset;
  /** Split from which training images are sampled. */
  pool: Split;
  /** Split from which test images are sampled. Default: the images of `pool` that are not used for training. */
  test?: Split;
  /** Numbers of training images per class. */
  perClass: readonly number[];
  /** Number of random samples of the images. */
  folds: number;
  /** Largest number of test images per class. Default 50, as in the paper. */
  testPerClass?: number;
  /** Networks trained from scratch for comparison. Default: none. */
  scratch?: ScratchOptions;
  /** Seed of the samples and of the networks from scratch. Default 0. */
  seed?: number;
  /** Folds from an earlier call with the same job, which are not computed again. */
  done?: readonly TransferFold[];
  /** Called after each fold with its result, the number of folds that are done, and their total. */
  onFold?: (fold: TransferFold, done: number, total: number) => void | Promise<void>;
  /** Called while features are computed. */
  onProgress?: (phase: 'features', done: number, total: number) => void;
  /** Called after each step of a training from scratch. */
  onStep?: TrainingListener['onStep'];
  /** Called for each image that cannot be read; the image is then left out. Without it, the error is thrown. */
  onBroken?: ExtractOptions['onBroken'];
  /** Aborting it makes `transfer` throw the signal's reason; pass the folds of `onFold` as `done` to continue. */
  signal?: AbortSignal;
}

const foldRule = objectWith('a fold of transfer(), as onFold receives it', {
  method: oneOf(...METHODS),
  perClass: integer(1),
  fold: integer(),
  trainTop1Error: finite(0, 1),
  valTop1Error: finite(0, 1),
  valTop5Error: finite(0, 1),
});

/** Whether a value, such as one read back from a file, is a fold as `onFold` is given it. */
export const isTransferFold = (value: unknown): value is TransferFold => foldRule.test(value);

const JOB: RulesFor<TransferJob> = {
  network: preparedNetwork,
  layer: text,
  dataset: datasetRule,
  pool: splitRule,
  test: splitRule,
  perClass: arrayOf(integer(1), 1),
  folds: integer(1),
  testPerClass: integer(1),
  scratch: rule('an object { architecture }', isPlainObject),
  seed: integer(),
  done: arrayOf(foldRule),
  onFold: func,
  onProgress: func,
  onStep: func,
  onBroken: func,
  signal: abortSignal,
};

const SCRATCH: RulesFor<ScratchOptions> = {
  architecture: rule('an architecture, such as model.architecture', isPlainObject),
  init: initScheme,
  training: rule('an object of training options', isPlainObject),
  steps: integer(1),
};

function checkScratch(scratch: ScratchOptions): void {
  checkFields('transfer: scratch', scratch, SCRATCH, ['architecture']);
  architectureOf(scratch.architecture.preset, scratch.architecture);
  trainingOptions(scratch.training);
}

/**
 * Trains on few images per class, with kept layers and from scratch, on the same random samples. Within a fold, a larger training sample
 * contains the smaller ones, and all methods use the same test images.
 *
 * @example
 * const [{ mean, deviation }] = await transfer({
 *   network: run,
 *   layer: 'relu7',
 *   dataset,
 *   pool: dataset.splits.train,
 *   perClass: [1],
 *   folds: 1,
 * });
 * @returns one row per method and number of images per class
 * @throws DataError if a class has too few images
 */
export async function transfer(job: TransferJob): Promise<TransferRow[]> {
  checkFields('transfer', job, JOB, ['network', 'layer', 'dataset', 'pool', 'perClass', 'folds']);
  job.network.model.layer(job.layer);
  if (job.scratch) checkScratch(job.scratch);
  const folds = planned(job);
  const finished = (job.done ?? []).filter((fold) => folds.some((plan) => sameFold(fold, plan)));
  const todo = folds.filter((plan) => !finished.some((fold) => sameFold(fold, plan)));
  // All samples are checked before anything is computed.
  const samples = Array.from({ length: job.folds }, (_, fold) => sampleFold(job, fold));
  const features = todo.some(({ method }) => method === 'kept layers') ? await featuresOf(job, samples) : null;
  for (const plan of todo) {
    job.signal?.throwIfAborted();
    const sample = samples[plan.fold];
    const errors =
      plan.method === 'kept layers' ? await withKeptLayers(job, sample, plan, features!) : await fromScratch(job, sample, plan);
    const fold = { ...plan, ...errors };
    finished.push(fold);
    await job.onFold?.(fold, finished.length, folds.length);
  }
  return transferRows(folds.map((plan) => finished.find((fold) => sameFold(fold, plan))!));
}

/** Means and standard deviations over the folds: one row per method and number of images per class, in the order of their first fold. */
export function transferRows(folds: readonly TransferFold[]): TransferRow[] {
  checkArgument('transferRows', 'folds', folds, arrayOf(foldRule));
  return [...groupBy(folds, keyOf).values()].map((group) => {
    const [{ method, perClass }] = group;
    const mean = (value: (fold: TransferFold) => number) => group.reduce((sum, fold) => sum + value(fold), 0) / group.length;
    const accuracy = mean((fold) => 1 - fold.valTop1Error);
    const squares = group.reduce((sum, fold) => sum + (1 - fold.valTop1Error - accuracy) ** 2, 0);
    const paper = PUBLISHED[method][perClass];
    const unconverged = group.filter(({ converged }) => converged === false).length;
    return {
      name: `${method}, ${perClass} per class`,
      method,
      perClass,
      folds: group.length,
      mean: accuracy,
      deviation: group.length > 1 ? Math.sqrt(squares / (group.length - 1)) : 0,
      trainTop1Error: mean((fold) => fold.trainTop1Error),
      valTop1Error: mean((fold) => fold.valTop1Error),
      valTop5Error: mean((fold) => fold.valTop5Error),
      ...(unconverged > 0 && { unconverged }),
      ...(paper && { paper }),
    };
  });
}

type Planned = Pick<TransferFold, 'method' | 'perClass' | 'fold'>;
type FoldErrors = Omit<TransferFold, keyof Planned>;

/** Random sample of a fold: indices into the pool by class, of which training uses the first ones, and indices of the test images. */
interface FoldSample {
  learn: number[][];
  test: number[];
}

const keyOf = ({ method, perClass }: Planned): string => `${method} ${perClass}`;
const sameFold = (a: Planned, b: Planned): boolean => keyOf(a) === keyOf(b) && a.fold === b.fold;

function groupBy<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(key(value), [...(groups.get(key(value)) ?? []), value]);
  return groups;
}

function planned({ perClass, folds, scratch }: TransferJob): Planned[] {
  const methods = scratch ? METHODS : METHODS.slice(0, 1);
  return methods.flatMap((method) =>
    perClass.flatMap((count) => Array.from({ length: folds }, (_, fold) => ({ method, perClass: count, fold }))),
  );
}

const testSplit = ({ pool, test }: TransferJob): Split => test ?? pool;

function sampleFold(job: TransferJob, fold: number): FoldSample {
  const { dataset, pool, perClass, testPerClass = 50, seed = 0 } = job;
  const names = dataset.classes;
  const most = Math.max(...perClass);
  const learn = sampleByClass(pool, names.length, { seed, sample: fold });
  takeByClass(learn, most, names);
  const apart = testSplit(job) !== pool;
  const rest = apart ? sampleByClass(testSplit(job), names.length, { seed, sample: fold }) : learn.map((own) => own.slice(most));
  const empty = rest.findIndex((own) => own.length === 0);
  if (empty >= 0)
    throw new DataError(
      `class ${names[empty]} has no images left for testing${apart ? '' : `: all ${most} of them are used for training; use fewer images per class`}`,
    );
  return { learn, test: rest.flatMap((own) => own.slice(0, testPerClass)) };
}

/** Features of all images that any fold needs. */
interface TransferFeatures {
  learn: Rows;
  test: Rows;
}

interface Rows {
  matrix: Parameters<typeof selectRows>[0];
  labels: Int32Array;
  /** Row of the matrix by index of the image in its split. */
  at: Map<number, number>;
}

async function featuresOf(job: TransferJob, samples: readonly FoldSample[]): Promise<TransferFeatures> {
  const most = Math.max(...job.perClass);
  const learning = new Set(samples.flatMap(({ learn }) => learn.flatMap((own) => own.slice(0, most))));
  const testing = new Set(samples.flatMap(({ test }) => test));
  const total = learning.size + testing.size;
  const rowsOf = async (split: Split, places: ReadonlySet<number>, before: number): Promise<Rows> => {
    const order = [...places].sort((a, b) => a - b);
    const { layers, labels } = await extractFeatures(job.network, subset(split, order), [job.layer], {
      signal: job.signal,
      onProgress: (done) => job.onProgress?.('features', before + done, total),
    });
    return { matrix: layers[job.layer].matrix, labels, at: new Map(order.map((place, row) => [place, row])) };
  };
  return { learn: await rowsOf(job.pool, learning, 0), test: await rowsOf(testSplit(job), testing, learning.size) };
}

async function withKeptLayers(
  job: TransferJob,
  sample: FoldSample,
  { perClass }: Planned,
  features: TransferFeatures,
): Promise<FoldErrors> {
  const pick = ({ matrix, labels, at }: Rows, places: readonly number[]) => {
    const rows = places.map((place) => at.get(place)!);
    return { matrix: selectRows(matrix, rows), labels: rows.map((row) => labels[row]) };
  };
  const known = pick(features.learn, takeByClass(sample.learn, perClass, job.dataset.classes));
  const unknown = pick(features.test, sample.test);
  const classifier = await fitLinear(known.matrix, known.labels, job.dataset.classes.length, { kind: 'softmax' });
  const trained = linearErrors(classifier, known.matrix, known.labels);
  const { top1Error, top5Error } = linearErrors(classifier, unknown.matrix, unknown.labels);
  return { trainTop1Error: trained.top1Error, valTop1Error: top1Error, valTop5Error: top5Error, converged: classifier.fit.converged };
}

/** Number of epochs that the steps are divided into. It is small, because every epoch writes a checkpoint. */
const SCRATCH_EPOCHS = 4;

async function fromScratch(job: TransferJob, sample: FoldSample, { perClass, fold }: Planned): Promise<FoldErrors> {
  const { dataset, pool, seed = 0, scratch } = job;
  const { architecture, init, training = {}, steps = 400 } = scratch!;
  const learn = takeByClass(sample.learn, perClass, dataset.classes);
  const batchSize = Math.min(training.batchSize ?? 32, learn.length);
  // The images are repeated, each time with a new crop, so that the number of steps does not depend on the number of images.
  const images = Array.from({ length: Math.ceil((steps * batchSize) / SCRATCH_EPOCHS) }, (_, i) => learn[i % learn.length]);
  const model = zfnet(architecture.preset, { ...architecture, classes: dataset.classes.length, init, seed: seed + fold });
  try {
    const result = await train({
      model,
      dataset: { ...dataset, splits: { train: subset(pool, images) } },
      options: { lr: 0.01, schedule: { kind: 'cosine' }, ...training, batchSize, epochs: SCRATCH_EPOCHS, seed: seed + fold },
      init,
      // The mean image is computed from each image once, not from the repeated list.
      meanSplit: subset(pool, learn),
      onStep: job.onStep,
      signal: job.signal,
    });
    job.signal?.throwIfAborted();
    const classifier = { model, preprocess: result.preprocess, classes: dataset.classes };
    const known = await evaluate(classifier, subset(pool, learn), { signal: job.signal });
    const unknown = await evaluate(classifier, subset(testSplit(job), sample.test), { signal: job.signal });
    return { trainTop1Error: known.top1Error, valTop1Error: unknown.top1Error, valTop5Error: unknown.top5Error };
  } finally {
    model.dispose();
  }
}
