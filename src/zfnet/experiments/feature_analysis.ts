/** Feature analysis (paper, section 5.2 and Table 7): the errors of linear classifiers that are trained on the features of each layer. */

import { CLASSIFIERS, type ClassifierKind, type FitReport, fitLinear, linearErrors } from '../../analysis/linear_classifiers.js';
import {
  abortSignal,
  arrayOf,
  checkArgument,
  checkOptions,
  func,
  integer,
  objectWith,
  oneOf,
  type RulesFor,
  text,
} from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { split as splitRule } from '../../data/rules.js';
import type { Classifier } from '../evaluation/evaluate.js';
import { classifier as classifierRule } from '../rules.js';
import { type ExtractOptions, extractFeatures, type Stage, stages } from './features.js';

/** Accuracies published in the paper, in per cent. */
export interface PublishedFeatures {
  /** Accuracy on Caltech-101 with 30 training images per class. */
  caltech101: number;
  /** Accuracy on Caltech-256 with 60 training images per class. */
  caltech256: number;
}

/** Result for one stage and one classifier. Errors are fractions. */
export interface FeatureRow {
  /** Classifier and stage, such as `svm conv3`. */
  name: string;
  /** Kind of the linear classifier. */
  classifier: ClassifierKind;
  /** The stage, see `Stage.name`. */
  stage: string;
  /** The layer whose outputs are the features. */
  layer: string;
  /** Number of features that the classifier is trained on. */
  features: number;
  /** Number of features of the layer before averaging. */
  of: number;
  /** Grid [h, w] to which feature maps were reduced by averaging blocks, if they were. */
  grid?: readonly [number, number];
  /** C, chosen on held-out training examples. */
  strength: number;
  /** Accuracy that the solver has reached; absent in results of earlier versions. */
  fit?: FitReport;
  /** Top-1 error on the examples that the classifier was trained on. */
  trainTop1Error: number;
  /** Top-1 error on the validation examples. */
  valTop1Error: number;
  /** Top-5 error on the validation examples. */
  valTop5Error: number;
  /** Accuracies of the paper's Table 7 for this stage; absent where the table has none. */
  paper?: PublishedFeatures;
}

/** Table 7 of the paper, by classifier and layer. */
const PUBLISHED: Readonly<Record<ClassifierKind, Readonly<Record<string, PublishedFeatures>>>> = {
  svm: {
    conv1: { caltech101: 44.8, caltech256: 24.6 },
    conv2: { caltech101: 66.2, caltech256: 39.6 },
    conv3: { caltech101: 72.3, caltech256: 46.0 },
    conv4: { caltech101: 76.6, caltech256: 51.3 },
    conv5: { caltech101: 86.2, caltech256: 65.6 },
    fc7: { caltech101: 85.5, caltech256: 71.7 },
  },
  softmax: {
    conv5: { caltech101: 82.9, caltech256: 65.7 },
    fc7: { caltech101: 85.4, caltech256: 72.6 },
  },
};

/** Options of `analyseFeatures`. */
export interface FeatureAnalysisOptions extends ExtractOptions {
  /** Default: both, as in the paper. */
  classifiers?: readonly ClassifierKind[];
  /** Default: all stages of the network. */
  stages?: readonly Stage[];
  /** Number of classes of the splits. Default: that of the network. */
  classes?: number;
  /** Called after each classifier with the number of classifiers that are trained, and their total. */
  onFit?: (done: number, total: number) => void;
}

const OPTIONS: RulesFor<FeatureAnalysisOptions> = {
  classifiers: arrayOf(oneOf(...CLASSIFIERS)),
  stages: arrayOf(objectWith('a stage { name, layer } of stages(model)', { name: text, layer: text })),
  classes: integer(1),
  onFit: func,
  maxFeatures: integer(1),
  batchSize: integer(1),
  onProgress: func,
  onBroken: func,
  signal: abortSignal,
};

/**
 * Trains linear classifiers on each layer's features of `train` and evaluates them on `val`. The network is not changed, and its own
 * classes do not matter.
 *
 * @example
 * const { train, val } = dataset.splits;
 * const fc7 = [{ name: 'fc7', layer: 'relu7' }];
 * const rows = await analyseFeatures(run, train, val, { classifiers: ['softmax'], stages: fc7 });
 * @param train a few dozen images per class; support vector machines need memory for the square of the number of images
 * @returns one row per stage and classifier
 */
export async function analyseFeatures(
  network: Classifier,
  train: Split,
  val: Split,
  options: FeatureAnalysisOptions = {},
): Promise<FeatureRow[]> {
  checkArgument('analyseFeatures', 'the network', network, classifierRule);
  checkArgument('analyseFeatures', 'train', train, splitRule);
  checkArgument('analyseFeatures', 'val', val, splitRule);
  checkOptions('analyseFeatures', options, OPTIONS);
  const { classifiers = ['svm', 'softmax'], stages: chosen = stages(network.model), classes = network.classes.length } = options;
  const layers = chosen.map(({ layer }) => layer);
  const total = train.length + val.length;
  const { maxFeatures, batchSize, onBroken, signal } = options;
  const progress = (before: number): ExtractOptions => ({
    maxFeatures,
    batchSize,
    onBroken,
    signal,
    onProgress: (done) => options.onProgress?.(before + done, total),
  });
  const known = await extractFeatures(network, train, layers, progress(0));
  const unknown = await extractFeatures(network, val, layers, progress(train.length));
  const rows: FeatureRow[] = [];
  for (const { name, layer } of chosen) {
    const { matrix, shape, grid } = known.layers[layer];
    for (const kind of classifiers) {
      options.signal?.throwIfAborted();
      const classifier = await fitLinear(matrix, known.labels, classes, { kind });
      const trained = linearErrors(classifier, matrix, known.labels);
      const { top1Error, top5Error } = linearErrors(classifier, unknown.layers[layer].matrix, unknown.labels);
      const paper = PUBLISHED[kind][name];
      rows.push({
        name: `${kind} ${name}`,
        classifier: kind,
        stage: name,
        layer,
        features: matrix.columns,
        of: shape.reduce((product, n) => product * n, 1),
        ...(grid && { grid }),
        strength: classifier.strength,
        fit: classifier.fit,
        trainTop1Error: trained.top1Error,
        valTop1Error: top1Error,
        valTop5Error: top5Error,
        ...(paper && { paper }),
      });
      options.onFit?.(rows.length, chosen.length * classifiers.length);
    }
  }
  return rows;
}
