/** Computes the predictions of a network for every image of a split, for the report. */
import { arrayOf, checkArgument, checkOptions, func, integer, objectWith, type RulesFor, text } from '../backend/validate.js';
import type { Split } from '../data/dataset.js';
import type { DataError } from '../data/errors.js';
import { batches } from '../data/loader.js';
import { split as splitRule } from '../data/rules.js';
import { network } from '../nn/rules.js';
import { type Classifier, predict } from '../zfnet/index.js';

export interface SplitPrediction {
  /** Index of the image in its split. */
  index: number;
  label: number;
  /** The five most probable classes, the most probable first. */
  top: number[];
  /** Their probabilities. */
  probabilities: number[];
}

export interface SplitPredictions {
  predictions: SplitPrediction[];
  /** Errors as fractions. */
  top1Error: number;
  top5Error: number;
}

export interface PredictSplitOptions {
  batchSize?: number;
  onProgress?: (done: number, total: number) => void;
  onBroken?: (error: DataError) => void;
}

const OPTIONS: RulesFor<PredictSplitOptions> = { batchSize: integer(1), onProgress: func, onBroken: func };

/**
 * Computes the predictions for every image of a split, from its centre crop, and the errors.
 *
 *     const { top1Error } = await predictSplit(run, dataset.splits.val);
 *
 * @throws DataError if an image cannot be read and `onBroken` is not given
 */
export async function predictSplit(classifier: Classifier, split: Split, options: PredictSplitOptions = {}): Promise<SplitPredictions> {
  const parts = { model: network, preprocess: objectWith('a Preprocess', { evaluation: func }), classes: arrayOf(text) };
  checkArgument('predictSplit', 'the classifier', classifier, objectWith('a classifier { model, preprocess, classes }', parts));
  checkArgument('predictSplit', 'split', split, splitRule);
  checkOptions('predictSplit', options, OPTIONS);
  const { batchSize = 128, onProgress, onBroken } = options;
  const places = new Map(classifier.classes.map((name, label) => [name, label]));
  const predictions: SplitPrediction[] = [];
  for await (const examples of batches(split, { batchSize, onBroken })) {
    const predicted = await predict(
      classifier,
      examples.map(({ image }) => image),
    );
    for (const [i, { index, label }] of examples.entries()) {
      const top = predicted[i].map((each) => places.get(each.class)!);
      predictions.push({ index, label, top, probabilities: predicted[i].map(({ probability }) => probability) });
    }
    onProgress?.(predictions.length, split.length);
  }
  const share = (isWrong: (p: SplitPrediction) => boolean) => predictions.filter(isWrong).length / Math.max(predictions.length, 1);
  return {
    predictions,
    top1Error: share(({ label, top }) => top[0] !== label),
    top5Error: share(({ label, top }) => !top.includes(label)),
  };
}
