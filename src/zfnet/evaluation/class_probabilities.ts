/** Class probabilities of images, by one network or averaged over several networks and crops. */
import { checkArgument } from '../../backend/validate.js';
import type { Example, Image, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { readBatches } from '../../data/read_batches.js';
import { backendOf } from '../../nn/backend_of.js';
import { evaluating } from '../../nn/evaluating.js';
import { type Network, StateError } from '../../nn/index.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { noGrad, softmax, type Tensor, ValueError } from '../../tensor/index.js';
import { imagesToTensor } from '../input/images_to_tensor.js';
import type { Preprocess } from '../input/preprocess.js';
import { classifier } from '../rules.js';

/** A network together with its preprocessing and the names of its classes. */
export interface Classifier {
  /** The network; its last layer has one output per class. */
  model: Network;
  /** Converts 8-bit images to the network's input, as in training. */
  preprocess: Preprocess;
  /** Class names in the order of the network's outputs. */
  classes: readonly string[];
}

/** How the batches of a split are read and run. */
export interface BatchRun {
  /** Crops per image. */
  crops: 1 | 10;
  /** Crops per forward pass. */
  batchSize: number;
  readAhead?: number;
  /** Computes the input of a single network, instead of the crops. */
  inputs?: (examples: readonly Example[]) => Promise<Tensor>;
  onProgress?: (done: number, total: number) => void;
  onBroken?: (error: DataError) => void;
  signal?: AbortSignal;
}

/**
 * Yields the examples of a split in batches, with their class probabilities [N, classes], row-major. Batches without a readable example
 * are left out.
 *
 * @param splits one for each member, with the same examples
 */
export async function* batchProbabilities(
  members: readonly Classifier[],
  splits: readonly Split[],
  { crops, batchSize, readAhead, inputs, onProgress, onBroken, signal }: BatchRun,
): AsyncGenerator<{ examples: readonly Example[]; probabilities: Float64Array }, void, undefined> {
  const total = splits[0].length;
  const perBatch = Math.max(1, Math.floor(batchSize / crops));
  const order = Array.from({ length: total }, (_, i) => i);
  const readers = splits.map((each) => readBatches(each, order, { batchSize: perBatch, ahead: readAhead, onBroken }));
  for (let done = 0; done < total; ) {
    signal?.throwIfAborted();
    const rounds = await Promise.all(readers.map((reader) => reader.next()));
    const batches = rounds.map((round) => round.value?.examples ?? []);
    const [examples] = batches;
    if (examples.length > 0) {
      const inputOf = async (m: number) => (await inputs?.(batches[m])) ?? cropsOf(members[m], imagesOf(batches[m]), crops);
      yield { examples, probabilities: await meanProbabilities(members, inputOf, examples.length, crops) };
    }
    done = Math.min(done + perBatch, total);
    onProgress?.(done, total);
    await yieldToEvents();
  }
}

/** @throws StateError if the members of an ensemble have different classes */
export function checkMembers(op: string, classifiers: Classifier | readonly Classifier[]): readonly Classifier[] {
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

/** The crops of some images as the input of a classifier, on the backend of its network. */
export const cropsOf = ({ model, preprocess }: Classifier, images: readonly Image[], crops: 1 | 10): Tensor =>
  imagesToTensor(preprocess, images, { crops, backend: backendOf(model) });

/**
 * Class probabilities, averaged over the members and the crops.
 *
 * @param inputs computes the input of a member, [N · crops, …], which is disposed of after use
 * @returns [N, classes], row-major
 */
export async function meanProbabilities(
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
