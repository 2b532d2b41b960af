/**
 * Invariance to translation, scaling and rotation of the image: the distance of a layer's features from those of the original image, and
 * the probability of the true class (Zeiler & Fergus 2013, section 4.1 and Fig. 5).
 */

import { hiddenLayers } from '../../analysis/hidden_layers.js';
import { answerLayer, probabilitiesOf } from '../../analysis/probabilities.js';
import {
  abortSignal,
  arrayOf,
  checkArgument,
  checkFields,
  finite,
  func,
  integer,
  isPlainObject,
  positive,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import type { Example, Split } from '../../data/dataset.js';
import { type Warp, warpImage } from '../../data/reading/warp.js';
import { example as exampleRule, split as splitRule } from '../../data/rules.js';
import { shuffledPlaces } from '../../data/subset.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor, checkModel } from '../../nn/rules.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, type Tensor, ValueError } from '../../tensor/index.js';
import { prepare } from '../prepare.js';
import { checkLayer } from '../rules.js';

/** Transformations that `invariance` applies. */
export const TRANSFORMATIONS = ['translation', 'scale', 'rotation'] as const;
/** Name of a transformation of the image. */
export type Transformation = (typeof TRANSFORMATIONS)[number];

/** Options of `invariance`. */
export interface InvarianceOptions {
  /** Layer names, as `ProjectOptions.layer`. Default: the first convolution and the last hidden layer, the paper's layers 1 and 7. */
  layers?: readonly string[];
  /** Amounts of each transformation; `invarianceAmounts` returns those of the paper. */
  amounts: Readonly<Record<Transformation, readonly number[]>>;
  /** Converts images to the network's input [N, C, H, W], as in evaluation. */
  preprocess: (examples: Example[]) => Tensor;
  /** Called with the number of amounts that are done, and their total over all transformations. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting it makes `invariance` throw the signal's reason after the current amount. */
  signal?: AbortSignal;
}

/** Effect of one transformation, with one value per image in each list. */
export interface TransformedFeatures {
  /** Translation in pixels downwards, scale factor, or rotation in degrees clockwise. */
  amount: number;
  /** Euclidean distance of a layer's features from those of the original image, by layer. */
  distance: Record<string, number[]>;
  /** The distance divided by the Euclidean norm of the features of the original image, by layer. */
  relative: Record<string, number[]>;
  /** Probability of the true class. */
  probability: number[];
}

/** Result of `invariance`: one entry per amount of each transformation. */
export interface Invariance extends Record<Transformation, TransformedFeatures[]> {
  /** The layers whose features were compared, in the order of the options. */
  layers: string[];
}

/**
 * The amounts of the paper: translations of −60 to 60 pixels for an input of 224 (scaled to `inputSize`, whole pixels), scale factors of
 * 1 to 1.8, rotations of 0 to 360 degrees.
 *
 * @example const { translation } = invarianceAmounts(64);
 */
export function invarianceAmounts(inputSize: number): Record<Transformation, number[]> {
  checkArgument('invarianceAmounts', 'inputSize', inputSize, integer(1));
  const largest = Math.max(1, Math.round((60 / 224) * inputSize));
  const step = Math.max(1, Math.round(largest / 12));
  const shifts = Math.floor(largest / step);
  return {
    translation: Array.from({ length: 2 * shifts + 1 }, (_, i) => (i - shifts) * step),
    scale: Array.from({ length: 17 }, (_, i) => 1 + i / 20),
    rotation: Array.from({ length: 25 }, (_, i) => i * 15),
  };
}

/** Names of the first and the last hidden layer with weights. */
export function outerLayers(model: LayeredModel): string[] {
  const hidden = hiddenLayers(model);
  if (hidden.length === 0) throw new ValueError('invariance: the network has no hidden layer of weights; name the layers to compare');
  return [...new Set([hidden[0], hidden[hidden.length - 1]])];
}

const OPTIONS: RulesFor<InvarianceOptions> = {
  layers: arrayOf(text),
  amounts: rule('an object { translation, scale, rotation }, such as invarianceAmounts(inputSize)', isPlainObject),
  preprocess: func,
  onProgress: func,
  signal: abortSignal,
};

const AMOUNTS: RulesFor<InvarianceOptions['amounts']> = {
  translation: arrayOf(finite()),
  scale: arrayOf(positive),
  rotation: arrayOf(finite()),
};

const PICK_OPTIONS = { count: integer(1), preprocess: func, tries: integer(1), seed: integer() };

const WARPS: Record<Transformation, (amount: number) => Warp> = {
  translation: (amount) => ({ shift: [amount, 0] }),
  scale: (amount) => ({ scale: amount }),
  rotation: (amount) => ({ rotation: amount }),
};

/**
 * Applies each amount of each transformation to all images, and compares the network's features and probabilities with those of the
 * original images.
 *
 * @example
 * const amounts = { translation: [0, 4], scale: [1, 1.2], rotation: [0, 90] };
 * const { rotation } = await invariance(model, examples, { amounts, preprocess: prepare });
 * @param examples images as `preprocess` accepts them, with their true classes
 * @throws ValueError for a layer that does not exist; the message lists the layers
 */
export async function invariance(model: LayeredModel, examples: readonly Example[], options: InvarianceOptions): Promise<Invariance> {
  checkModel('invariance', model);
  checkArgument('invariance', 'examples', examples, arrayOf(exampleRule));
  checkFields('invariance', options, OPTIONS, ['amounts', 'preprocess']);
  checkFields('invariance: amounts', options.amounts, AMOUNTS, TRANSFORMATIONS);
  for (const layer of options.layers ?? []) checkLayer('invariance', model, layer);
  const { layers = outerLayers(model), amounts, preprocess, onProgress, signal } = options;
  if (examples.length === 0) throw new ValueError('invariance: there are no images to transform');
  const features = layers.map((layer) => model.featureLayer(layer));
  const clean = run(model, features, prepare(model, preprocess, examples));
  const result: Invariance = { layers: [...layers], translation: [], scale: [], rotation: [] };
  const total = TRANSFORMATIONS.reduce((sum, kind) => sum + amounts[kind].length, 0);
  let done = 0;
  try {
    const lengths = await Promise.all(clean.features.map((each) => numbers(noGrad(() => norms(each)))));
    for (const kind of TRANSFORMATIONS) {
      for (const amount of amounts[kind]) {
        const warp = WARPS[kind](amount);
        const warped = examples.map((example) => ({ ...example, image: warpImage(example.image, warp) }));
        const moved = run(model, features, prepare(model, preprocess, warped));
        try {
          const distances = await Promise.all(moved.features.map((each, i) => numbers(noGrad(() => norms(each.sub(clean.features[i]))))));
          const probabilities = await numbers(moved.probabilities.detach());
          const classes = probabilities.length / examples.length;
          result[kind].push({
            amount,
            distance: Object.fromEntries(layers.map((layer, i) => [layer, distances[i]])),
            relative: Object.fromEntries(layers.map((layer, i) => [layer, distances[i].map((d, n) => ratio(d, lengths[i][n]))])),
            probability: examples.map(({ label }, n) => probabilities[n * classes + label]),
          });
        } finally {
          free(moved);
        }
        onProgress?.(++done, total);
        await yieldToEvents();
        signal?.throwIfAborted();
      }
    }
  } finally {
    free(clean);
  }
  return result;
}

interface Answers {
  /** One tensor [N, …] per layer. */
  features: Tensor[];
  /** [N, classes] */
  probabilities: Tensor;
}

/** Features and probabilities of a batch. Disposes of the batch. */
function run(model: LayeredModel, features: readonly string[], images: Tensor): Answers {
  checkArgument('invariance', 'the result of preprocess', images, aTensor);
  const last = answerLayer(model);
  try {
    return evaluating(model, () =>
      noGrad(() => {
        const outputs = model.activations(images, [...new Set([...features, last])]);
        return { features: features.map((feature) => outputs[feature]), probabilities: probabilitiesOf(model, outputs[last]) };
      }),
    );
  } finally {
    images.dispose();
  }
}

function free({ features, probabilities }: Answers): void {
  for (const tensor of [...features, probabilities]) tensor.dispose();
}

/** Euclidean norm of each image's features: [N]. */
const norms = (features: Tensor): Tensor => features.reshape([features.shape[0], -1]).square().sum({ axes: 1 }).sqrt();

/** The values of a tensor, which is disposed of. */
async function numbers(tensor: Tensor): Promise<number[]> {
  const values = Array.from(await tensor.data());
  tensor.dispose();
  return values;
}

/** distance / length, and 0 for a distance of 0, even if the length is 0. */
const ratio = (distance: number, length: number): number => (distance === 0 ? 0 : distance / length);

/**
 * A few images of a split that the network classifies correctly, sampled at random by `seed`, in the order of the split. If too few
 * images of the sample are classified correctly, misclassified ones make up the number.
 *
 * @example const chosen = await pickExamples(model, dataset.splits.val, { count: 2, preprocess: prepare });
 * @param options.tries size of the sample as a multiple of `count`. Default 16
 */
export async function pickExamples(
  model: LayeredModel,
  split: Split,
  options: { count: number; preprocess: (examples: Example[]) => Tensor; tries?: number; seed?: number },
): Promise<Example[]> {
  checkModel('pickExamples', model);
  checkArgument('pickExamples', 'split', split, splitRule);
  checkFields('pickExamples', options, PICK_OPTIONS, ['count', 'preprocess']);
  const { preprocess, tries = 16, seed } = options;
  const count = Math.min(options.count, split.length);
  const order = shuffledPlaces(split.length, seed).slice(0, count * tries);
  const [right, wrong]: [Example[], Example[]] = [[], []];
  for (let start = 0; start < order.length && right.length < count; start += tries) {
    const examples = await Promise.all(order.slice(start, start + tries).map((place) => split.get(place)));
    const answers = run(model, [], prepare(model, preprocess, examples));
    const labels = await numbers(noGrad(() => answers.probabilities.argmax({ axis: 1 })));
    free(answers);
    for (const [n, example] of examples.entries()) (labels[n] === example.label ? right : wrong).push(example);
  }
  return [...right, ...wrong].slice(0, count).sort((a, b) => a.index - b.index);
}
