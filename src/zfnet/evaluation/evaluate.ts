/** Evaluation and prediction, by one network or by an ensemble whose softmax outputs are averaged (paper, section 4 and Table 2). */
import { abortSignal, boolean, checkArgument, checkOptions, func, integer, oneOf, type RulesFor, show } from '../../backend/validate.js';
import type { Example, Image, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { readBatches } from '../../data/read_batches.js';
import { describeImage, image as imageRule, split as splitRule } from '../../data/rules.js';
import { evaluating } from '../../nn/evaluating.js';
import { countErrors, type Network, StateError, topK } from '../../nn/index.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, softmax, type Tensor, ValueError } from '../../tensor/index.js';
import { imagesToTensor } from '../input/images_to_tensor.js';
import type { Preprocess } from '../input/preprocess.js';
import { classifier } from '../rules.js';

/** A network together with its preprocessing and the names of its classes. */
export interface Classifier {
  model: Network;
  preprocess: Preprocess;
  classes: readonly string[];
}

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Crops per image: 1 for the centre crop (default), 10 to average the softmax outputs over `tenCrops`. */
  crops?: 1 | 10;
  /** Crops per forward pass. Default 128. */
  batchSize?: number;
  /** Number of batches to read ahead. Default 2. */
  readAhead?: number;
  /** Whether to compute the confusion matrix (classes² counts). Default false. */
  confusion?: boolean;
  /** Computes the network's input [N, …] for some examples, instead of their crops; for a single network. It is disposed of after use. */
  inputs?: (examples: readonly Example[]) => Promise<Tensor>;
  onProgress?: (done: number, total: number) => void;
  /** Called for each example that cannot be read; the example is then skipped. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
  signal?: AbortSignal;
}

/** Errors of one class, as fractions. */
export interface ClassEvaluation {
  class: string;
  examples: number;
  top1Error: number;
  top5Error: number;
}

/** Result of `evaluate`. */
export interface Evaluation {
  examples: number;
  /** Fraction of the examples whose label is not the most probable class. */
  top1Error: number;
  /** Fraction of the examples whose label is not among the five most probable classes; 0 with five classes or fewer. */
  top5Error: number;
  /** Mean cross-entropy: the mean of −log(probability of the label). */
  loss: number;
  /** Errors per class, for the classes that have examples. */
  perClass: ClassEvaluation[];
  /** Confusion matrix: number of examples by [label][predicted class], if requested. */
  confusion?: number[][];
}

const EVALUATE_OPTIONS: RulesFor<EvaluateOptions> = {
  crops: oneOf(1, 10),
  batchSize: integer(1),
  readAhead: integer(),
  confusion: boolean,
  inputs: func,
  onProgress: func,
  onBroken: func,
  signal: abortSignal,
};

const PREDICT_OPTIONS = { top: integer(1), crops: oneOf(1, 10) };

/**
 * Top-1 and top-5 errors and the loss of a classifier, or of the average of several classifiers, on a split.
 *
 * ```ts
 * const { top1Error } = await evaluate(await openRun(store), dataset.splits.val);
 * ```
 *
 * @param split images of `preprocess.options.side` pixels. If the members of an ensemble have different sides, pass an array with one split
 *   for each member, with the same examples
 * @throws StateError if the members of an ensemble have different classes
 */
export async function evaluate(
  classifiers: Classifier | readonly Classifier[],
  split: Split | readonly Split[],
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const members = checkMembers('evaluate', classifiers);
  const { classes } = members[0];
  const splits = (Array.isArray(split) ? split : members.map(() => split)) as readonly Split[];
  if (splits.length !== members.length)
    throw new ValueError(`evaluate: got ${splits.length} splits for ${members.length} networks; pass one split, or one for each network`);
  for (const each of splits) checkArgument('evaluate', 'split', each, splitRule);
  checkOptions('evaluate', options, EVALUATE_OPTIONS);
  checkLabels(splits[0].labels, classes);
  const total = splits[0].length;
  const { batchSize = 128, crops = 1, readAhead, onBroken } = options;
  const perBatch = Math.max(1, Math.floor(batchSize / crops));
  const order = Array.from({ length: total }, (_, i) => i);
  const readers = splits.map((each) => readBatches(each, order, { batchSize: perBatch, ahead: readAhead, onBroken }));
  const tally = new Tally(classes, options.confusion ?? false);
  for (let done = 0; done < total; ) {
    options.signal?.throwIfAborted();
    const rounds = await Promise.all(readers.map((reader) => reader.next()));
    const batches = rounds.map((round) => round.value?.examples ?? []);
    const labels = Int32Array.from(batches[0], ({ label }) => label);
    if (labels.length > 0) {
      const inputs = async (m: number) =>
        (await options.inputs?.(batches[m])) ?? imagesToTensor(members[m].preprocess, imagesOf(batches[m]), { crops });
      tally.add(await meanProbabilities(members, inputs, labels.length, crops), labels);
    }
    done = Math.min(done + perBatch, total);
    options.onProgress?.(done, total);
    await yieldToEvents();
  }
  return tally.result();
}

/** A class and its probability, as `predict` returns. */
export interface Prediction {
  class: string;
  probability: number;
}

/**
 * The most probable classes of each image, with their probabilities.
 *
 * @param images squares of `preprocess.options.side` pixels; for an ensemble, optionally one list for each member
 * @param options.top number of classes per image, default 5
 * @param options.crops as in `EvaluateOptions`, default 1
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
  const probabilities = await meanProbabilities(
    members,
    async (m) => imagesToTensor(members[m].preprocess, lists[m], { crops }),
    lists[0].length,
    crops,
  );
  return lists[0].map((_, row) => {
    const own = probabilities.subarray(row * classes.length, (row + 1) * classes.length);
    return topK(own, options.top ?? 5).map((k) => ({ class: classes[k], probability: own[k] }));
  });
}

function checkMembers(op: string, classifiers: Classifier | readonly Classifier[]): readonly Classifier[] {
  const members = (Array.isArray(classifiers) ? classifiers : [classifiers]) as readonly Classifier[];
  if (members.length === 0) throw new ValueError(`${op}: there is no network to evaluate`);
  for (const member of members) checkArgument(op, 'the classifier', member, classifier);
  const [first] = members;
  for (const [i, member] of members.entries()) {
    if (member.classes.join('\n') !== first.classes.join('\n'))
      throw new StateError(`${op}: network ${i + 1} of the ensemble has other classes than the first; they cannot be averaged`);
  }
  return members;
}

/** @throws ValueError unless every label is the index of a class */
export function checkLabels(labels: Int32Array, classes: readonly string[]): void {
  const bad = labels.findIndex((label) => !(Number.isInteger(label) && label >= 0 && label < classes.length));
  if (bad >= 0)
    throw new ValueError(`example ${bad} has the label ${labels[bad]}, outside the ${classes.length} classes (0 to ${classes.length - 1})`);
}

const imagesOf = (examples: readonly Example[]): Image[] => examples.map(({ image }) => image);

/**
 * Class probabilities, averaged over the members and the crops.
 *
 * @param inputs computes the input of a member, [N · crops, …], which is disposed of after use
 * @returns [N, classes], row-major
 */
async function meanProbabilities(
  members: readonly Classifier[],
  inputs: (member: number) => Promise<Tensor>,
  count: number,
  crops: 1 | 10,
): Promise<Float64Array> {
  const classes = members[0].classes.length;
  const sums = new Float64Array(count * classes);
  for (const [m, { model }] of members.entries()) {
    const input = await inputs(m);
    const output = evaluating(model, () => noGrad(() => probabilitiesOf(model, model.forward(input))));
    input.dispose();
    const values = await output.data();
    const { shape } = output;
    output.dispose();
    if (shape[1] !== classes)
      throw new StateError(
        `evaluate: network ${m + 1} gives ${shape[1]} probabilities for each image, its class list has ${classes} names`,
      );
    for (let i = 0; i < count; i++)
      for (let crop = 0; crop < crops; crop++)
        for (let k = 0; k < classes; k++) sums[i * classes + k] += values[(i * crops + crop) * classes + k];
  }
  const share = 1 / (members.length * crops);
  return sums.map((sum) => sum * share);
}

function probabilitiesOf(model: Network, scores: Tensor): Tensor {
  const result = model.probabilities ? model.probabilities(scores) : softmax(scores);
  scores.dispose();
  return result;
}

/** Accumulates errors, loss and the confusion matrix over batches. */
class Tally {
  private readonly counts: { examples: number; top1: number; top5: number }[];
  private readonly confusion: number[][] | undefined;
  private loss = 0;

  constructor(
    private readonly classes: readonly string[],
    confusion: boolean,
  ) {
    this.counts = classes.map(() => ({ examples: 0, top1: 0, top5: 0 }));
    this.confusion = confusion ? classes.map(() => new Array<number>(classes.length).fill(0)) : undefined;
  }

  /** @param probabilities [N, classes] */
  add(probabilities: Float64Array, labels: Int32Array): void {
    const width = this.classes.length;
    labels.forEach((label, row) => {
      const own = probabilities.subarray(row * width, (row + 1) * width);
      const count = this.counts[label];
      count.examples++;
      count.top1 += countErrors(own, [label], width, 1);
      count.top5 += countErrors(own, [label], width, 5);
      if (this.confusion) this.confusion[label][topK(own, 1)[0]]++;
      // A probability that has underflowed to 0 counts as the smallest positive number.
      this.loss -= Math.log(Math.max(own[label], Number.MIN_VALUE));
    });
  }

  result(): Evaluation {
    const sum = (key: 'examples' | 'top1' | 'top5') => this.counts.reduce((total, count) => total + count[key], 0);
    const fraction = (count: number, of: number) => (of > 0 ? count / of : 0);
    const examples = sum('examples');
    const perClass = this.classes.map((name, label) => {
      const { examples: own, top1, top5 } = this.counts[label];
      return { class: name, examples: own, top1Error: fraction(top1, own), top5Error: fraction(top5, own) };
    });
    return {
      examples,
      top1Error: fraction(sum('top1'), examples),
      top5Error: fraction(sum('top5'), examples),
      loss: fraction(this.loss, examples),
      perClass: perClass.filter((each) => each.examples > 0),
      confusion: this.confusion,
    };
  }
}
