/** The training loss for `TrainingOptions.labelSmoothing` and `TrainingOptions.classWeights`. */
import type { Example } from '../../../data/dataset.js';
import type { LossFunction } from '../../../nn/training/stepper.js';
import { crossEntropy, ValueError } from '../../../tensor/index.js';
import type { TrainingOptions } from './training_options.js';

/** The training loss of a recipe. */
export interface RecipeLoss {
  of: LossFunction;
  /** Weight of some examples in a mean loss: the sum of the weights of their classes, or their number. */
  weightOf(examples: readonly Pick<Example, 'label'>[]): number;
}

/**
 * @param labels labels of all training examples
 * @throws ValueError for another number of weights than classes
 */
export function makeLoss({ labelSmoothing, classWeights }: TrainingOptions, labels: Int32Array, classes: number): RecipeLoss {
  const weights = classWeights === 'balanced' ? balanced(labels, classes) : classWeights;
  if (weights && weights.length !== classes)
    throw new ValueError(`train: classWeights has ${weights.length} numbers, expected one for each of the ${classes} classes`);
  const plain = labelSmoothing === undefined && weights === undefined;
  return {
    of: plain ? crossEntropy : (output, truth) => crossEntropy(output, truth, { labelSmoothing, weight: weights }),
    weightOf: (examples) => (weights ? examples.reduce((sum, { label }) => sum + weights[label], 0) : examples.length),
  };
}

/** Weights that give every class the same influence: n / (classes · images of the class); 1 for a class without images. */
function balanced(labels: Int32Array, classes: number): number[] {
  const counts = new Int32Array(classes);
  for (const label of labels) counts[label]++;
  return Array.from(counts, (count) => (count === 0 ? 1 : labels.length / (classes * count)));
}
