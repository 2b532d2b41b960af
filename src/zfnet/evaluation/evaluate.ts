/** Evaluation by one network or by an ensemble whose softmax outputs are averaged (paper, section 4 and Table 2). */
import { abortSignal, boolean, checkArgument, checkOptions, func, integer, oneOf, type RulesFor } from '../../backend/validate.js';
import type { Example, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { split as splitRule } from '../../data/rules.js';
import { countErrors, topK } from '../../nn/index.js';
import { type Tensor, ValueError } from '../../tensor/index.js';
import { batchProbabilities, type Classifier, checkLabels, checkMembers } from './class_probabilities.js';

export type { Classifier } from './class_probabilities.js';

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
  /** Called after each batch with the number of examples that are done, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each example that cannot be read; the example is then skipped. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
  /** Aborting it makes `evaluate` throw the signal's reason after the current batch. */
  signal?: AbortSignal;
}

/** Errors of one class, as fractions. */
export interface ClassEvaluation {
  /** Name of the class. */
  class: string;
  /** Number of examples with this label. */
  examples: number;
  /** Fraction of them that the network assigns to another class. */
  top1Error: number;
  /** Fraction of them for which the class is not among the five most probable ones. */
  top5Error: number;
}

/** Result of `evaluate`. */
export interface Evaluation {
  /** Number of examples that were evaluated, without those that could not be read. */
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
  const { confusion = false, batchSize = 128, crops = 1, ...others } = options;
  const tally = new Tally(classes, confusion);
  for await (const { examples, probabilities } of batchProbabilities(members, splits, { ...others, batchSize, crops }))
    tally.add(
      probabilities,
      Int32Array.from(examples, ({ label }) => label),
    );
  return tally.result();
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
