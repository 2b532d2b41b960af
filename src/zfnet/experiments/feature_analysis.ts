/** What each layer knows (paper, section 5.2 and Table 7): linear classifiers on the features of one layer after the other. */

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

/** Accuracies that the paper publishes, in per cent. */
export interface PublishedFeatures {
  caltech101: number;
  caltech256: number;
}

export interface FeatureRow {
  /** The classifier and the layer: `svm conv3`. */
  name: string;
  classifier: ClassifierKind;
  /** The stage, and the layer whose outputs are the features. */
  stage: string;
  layer: string;
  /** Features that the classifier is given, and how many the layer has. */
  features: number;
  of: number;
  /** [h, w] of the grid that feature maps were averaged over, where they were. */
  grid?: readonly [number, number];
  /** C, chosen on held-out training examples. */
  strength: number;
  /** How far the solver came; absent in results of earlier versions. */
  fit?: FitReport;
  trainTop1Error: number;
  valTop1Error: number;
  valTop5Error: number;
  paper?: PublishedFeatures;
}

/** Table 7: by layer of the paper's network and classifier. */
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

export interface FeatureAnalysisOptions extends ExtractOptions {
  /** Default: the paper's, both. */
  classifiers?: readonly ClassifierKind[];
  /** Default: all stages of the network. */
  stages?: readonly Stage[];
  /** Of the splits' labels. Default: as many as the network has. */
  classes?: number;
  /** Classifiers done, and all of them. */
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
 * Trains a linear classifier on each layer's features of `train` and measures it on `val`. The network stays as it is; its own
 * classes play no part.
 *
 * @param train a few dozen images a class: linear machines take memory for the square of their number
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
