/** The most probable classes of images, or of every image of a split. */
import { checkArgument, checkOptions, func, integer, oneOf, type RulesFor, show } from '../../backend/validate.js';
import type { Image, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { describeImage, image as imageRule, split as splitRule } from '../../data/rules.js';
import { topK } from '../../nn/index.js';
import { ValueError } from '../../tensor/index.js';
import { batchProbabilities, type Classifier, checkMembers, cropsOf, meanProbabilities } from './class_probabilities.js';

const PREDICT_OPTIONS = { top: integer(1), crops: oneOf(1, 10) };

/** A class and its probability, as `predict` returns. */
export interface Prediction {
  /** Name of the class. */
  class: string;
  /** Probability of the class, from 0 to 1. The listed ones sum to 1 only if all classes are listed. */
  probability: number;
}

/**
 * The most probable classes of each image, with their probabilities.
 *
 * @example
 * const [[best]] = await predict(await openRun(store), [example.image]);
 * const { class: name, probability } = best;
 * @param images squares of `preprocess.options.side` pixels; for an ensemble, optionally one list for each member
 * @param options.top number of classes per image, default 5
 * @param options.crops as in `EvaluateOptions`, default 1
 * @throws ValueError unless `images` is an array of images, or one array of equal length per network
 */
export async function predict(
  classifiers: Classifier | readonly Classifier[],
  images: readonly Image[] | readonly (readonly Image[])[],
  options: { top?: number; crops?: 1 | 10 } = {},
): Promise<Prediction[][]> {
  const members = checkMembers('predict', classifiers);
  const { classes } = members[0];
  if (!Array.isArray(images))
    throw new ValueError(
      `predict: images are ${imageRule.test(images) ? 'one image' : show(images)}, expected an array of images, such as [await readImage('a.png')]`,
    );
  checkOptions('predict', options, PREDICT_OPTIONS);
  const lists = (Array.isArray(images[0]) ? images : members.map(() => images)) as readonly (readonly Image[])[];
  if (lists.length !== members.length)
    throw new ValueError(`predict: got ${lists.length} lists of images for ${members.length} networks, expected one for each`);
  for (const list of lists) {
    const wrong = Array.isArray(list) && list.length === lists[0].length ? list.findIndex((each) => !imageRule.test(each)) : -1;
    if (!Array.isArray(list) || list.length !== lists[0].length)
      throw new ValueError(`predict: a list of images is ${show(list)}, expected as many images as in the first list`);
    if (wrong >= 0) throw new ValueError(`predict: image ${wrong} is ${describeImage(list[wrong])}, expected ${imageRule.expected}`);
  }
  if (lists[0].length === 0) return [];
  const { crops = 1 } = options;
  const probabilities = await meanProbabilities(members, async (m) => cropsOf(members[m], lists[m], crops), lists[0].length, crops);
  return lists[0].map((_, row) => {
    const own = probabilities.subarray(row * classes.length, (row + 1) * classes.length);
    return topK(own, options.top ?? 5).map((k) => ({ class: classes[k], probability: own[k] }));
  });
}

/** The answer for one image of a split. */
export interface SplitPrediction {
  /** Index of the image in its split. */
  index: number;
  /** True class of the image, an index into the classes of the data set. */
  label: number;
  /** The five most probable classes, the most probable first. */
  top: number[];
  /** Their probabilities. */
  probabilities: number[];
}

/** Result of `predictSplit`. */
export interface SplitPredictions {
  /** One entry per image that could be read, in the order of the split. */
  predictions: SplitPrediction[];
  /** Fraction of the images whose label is not the most probable class, or not among the five most probable ones. */
  top1Error: number;
  /** Fraction of the images whose label is not among the five most probable classes. */
  top5Error: number;
}

/** Options of `predictSplit`. */
export interface PredictSplitOptions {
  /** Images per forward pass. Default 128. */
  batchSize?: number;
  /** Called after each batch with the number of images that are done, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each image that cannot be read; the image is then left out. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
}

const SPLIT_OPTIONS: RulesFor<PredictSplitOptions> = { batchSize: integer(1), onProgress: func, onBroken: func };
const MOST = 5;

/**
 * The five most probable classes of every image of a split, by its centre crop, and the errors.
 *
 * ```ts
 * const { predictions } = await predictSplit(await openRun(store), dataset.splits.val);
 * ```
 */
export async function predictSplit(classifier: Classifier, split: Split, options: PredictSplitOptions = {}): Promise<SplitPredictions> {
  const [member] = checkMembers('predictSplit', [classifier]);
  checkArgument('predictSplit', 'split', split, splitRule);
  checkOptions('predictSplit', options, SPLIT_OPTIONS);
  const { batchSize = 128, ...others } = options;
  const classes = member.classes.length;
  const predictions: SplitPrediction[] = [];
  for await (const { examples, probabilities } of batchProbabilities([member], [split], { ...others, batchSize, crops: 1 }))
    examples.forEach(({ index, label }, row) => {
      const own = probabilities.subarray(row * classes, (row + 1) * classes);
      const top = topK(own, MOST);
      predictions.push({ index, label, top, probabilities: top.map((k) => own[k]) });
    });
  const share = (isWrong: (found: SplitPrediction) => boolean) => predictions.filter(isWrong).length / Math.max(predictions.length, 1);
  return {
    predictions,
    top1Error: share(({ label, top }) => top[0] !== label),
    top5Error: share(({ label, top }) => !top.includes(label)),
  };
}
