/**
 * How much a network minds when an image is moved, enlarged or turned: how far its features go from those of the image as it
 * was, layer by layer, and what becomes of the true class's probability (Zeiler & Fergus 2013, section 4.1 and Fig. 5).
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
import { yieldToEvents } from '../../data/turn.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor, checkModel } from '../../nn/rules.js';
import { noGrad, type Tensor, ValueError } from '../../tensor/index.js';
import { checkLayer } from '../rules.js';

export const TRANSFORMATIONS = ['translation', 'scale', 'rotation'] as const;
export type Transformation = (typeof TRANSFORMATIONS)[number];

export interface InvarianceOptions {
  /** Layer names, as `ProjectOptions.layer`. Default: the first convolution and the last layer before the classes, the paper's 1 and 7. */
  layers?: readonly string[];
  /** What to do to the images; see `invarianceAmounts` for the paper's. */
  amounts: Readonly<Record<Transformation, readonly number[]>>;
  /** Makes the network's input [N, C, H, W] of images, as in training. */
  preprocess: (examples: Example[]) => Tensor;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** What one transformation does, a number an image. */
export interface TransformedFeatures {
  /** Pixels downwards, a factor, or degrees clockwise. */
  amount: number;
  /** Euclidean distance of a layer's features to those of the image as it was. */
  distance: Record<string, number[]>;
  /** The distance over the length of the features of the image as it was. */
  relative: Record<string, number[]>;
  /** Of the true class. */
  probability: number[];
}

export interface Invariance extends Record<Transformation, TransformedFeatures[]> {
  layers: string[];
}

/** The paper's: shifts of −60 to 60 pixels in 224 (in proportion, by whole pixels), scales of 1 to 1.8, turns of 0 to 360 degrees. */
export function invarianceAmounts(inputSize: number): Record<Transformation, number[]> {
  checkArgument('invarianceAmounts', 'inputSize', inputSize, integer(1));
  const reach = Math.max(1, Math.round((60 / 224) * inputSize));
  const step = Math.max(1, Math.round(reach / 12));
  const shifts = Math.floor(reach / step);
  return {
    translation: Array.from({ length: 2 * shifts + 1 }, (_, i) => (i - shifts) * step),
    scale: Array.from({ length: 17 }, (_, i) => 1 + i / 20),
    rotation: Array.from({ length: 25 }, (_, i) => i * 15),
  };
}

/** The first convolution and the last layer before the classes. */
export function outerLayers(model: LayeredModel): string[] {
  const hidden = hiddenLayers(model);
  if (hidden.length === 0) throw new ValueError('invariance: the network has no hidden layer of weights; name the layers to look at');
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
 * Transforms images, all by each amount of each transformation, and compares what the network makes of them.
 *
 * @param examples images as `preprocess` takes them, with their true classes
 * @throws ValueError for a layer that is not there, naming those that are
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
  const clean = run(model, features, preprocess([...examples]));
  const result: Invariance = { layers: [...layers], translation: [], scale: [], rotation: [] };
  const total = TRANSFORMATIONS.reduce((sum, kind) => sum + amounts[kind].length, 0);
  let done = 0;
  try {
    const lengths = await Promise.all(clean.features.map((each) => numbers(noGrad(() => norms(each)))));
    for (const kind of TRANSFORMATIONS) {
      for (const amount of amounts[kind]) {
        const warp = WARPS[kind](amount);
        const moved = run(model, features, preprocess(examples.map((example) => ({ ...example, image: warpImage(example.image, warp) }))));
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
  /** [N, …] a layer. */
  features: Tensor[];
  /** [N, classes] */
  probabilities: Tensor;
}

/** What a batch gives; frees the batch. */
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

/** Euclidean length of each image's features: [N]. */
const norms = (features: Tensor): Tensor => features.reshape([features.shape[0], -1]).square().sum({ axes: 1 }).sqrt();

/** A tensor's numbers; frees it. */
async function numbers(tensor: Tensor): Promise<number[]> {
  const values = Array.from(await tensor.data());
  tensor.dispose();
  return values;
}

/** Features that are all zero are at a distance of 0 from themselves. */
const ratio = (distance: number, length: number): number => (distance === 0 ? 0 : distance / length);

/**
 * A few images of a split that the network classifies correctly, sampled at random by `seed`, in the order of the split. If too few of
 * the images looked at are correct, others of the sample fill the number.
 *
 * @param options.tries number of images looked at for each one wanted. Default 16
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
    const answers = run(model, [], preprocess(examples));
    const labels = await numbers(noGrad(() => answers.probabilities.argmax({ axis: 1 })));
    free(answers);
    for (const [n, example] of examples.entries()) (labels[n] === example.label ? right : wrong).push(example);
  }
  return [...right, ...wrong].slice(0, count).sort((a, b) => a.index - b.index);
}
