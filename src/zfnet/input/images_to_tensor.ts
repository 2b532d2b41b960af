/** Converts 8-bit images to input batches of a network, as tensors. */
import { checkArgument, checkOptions, oneOf, type RulesFor } from '../../backend/validate.js';
import type { Example, Image } from '../../data/dataset.js';
import { type Backend, defaultBackend, fromHost, type Tensor } from '../../tensor/index.js';
import { cutCrops } from '../../tensor/ops/cut_crops.js';
import { backendRule } from '../../tensor/tensor.js';
import { preprocessing } from '../rules.js';
import type { Augmentation } from './augment.js';
import type { CropList, Preprocess } from './preprocess.js';

/** Options of `imagesToTensor`. */
export interface ImagesToTensorOptions {
  /** 1 for the centre crop of each image, 10 for its ten crops. Default 1. */
  crops?: 1 | 10;
  /** Default: the default backend. */
  backend?: Backend;
}

const OPTIONS: RulesFor<ImagesToTensorOptions> = { crops: oneOf(1, 10), backend: backendRule };

/**
 * The centre crop of each image, or its ten crops, as the input of a network.
 *
 * @example const input = imagesToTensor(run.preprocess, [await readImage('dog.png', { size: run.preprocess.options.side })]);
 * @param images squares of `preprocess.options.side` pixels
 * @returns [N · crops, channels, inputSize, inputSize]
 * @throws ShapeError for an image of another size or number of channels
 */
export function imagesToTensor(preprocess: Preprocess, images: readonly Image[], options: ImagesToTensorOptions = {}): Tensor {
  checkArgument('imagesToTensor', 'preprocess', preprocess, preprocessing);
  checkOptions('imagesToTensor', options, OPTIONS);
  const { crops = 1, backend } = options;
  return toTensor(preprocess, preprocess.evaluationCrops(images, crops), backend);
}

/**
 * One random crop of each image, as the input of a network in training.
 *
 * @param sample the augmentation, the seed and the epoch, on which the crops depend, besides the index of each example
 * @returns [N, channels, inputSize, inputSize]
 */
export function examplesToTensor(
  preprocess: Preprocess,
  examples: readonly Pick<Example, 'image' | 'index'>[],
  sample: { augment: Augmentation; seed: number; epoch: number },
  backend?: Backend,
): Tensor {
  checkArgument('examplesToTensor', 'preprocess', preprocess, preprocessing);
  return toTensor(preprocess, preprocess.trainingCrops(examples, sample), backend);
}

/** Cuts the crops on the backend if it can, so that the images are uploaded as bytes, and on the host otherwise. */
function toTensor(preprocess: Preprocess, list: CropList, backend: Backend = defaultBackend()): Tensor {
  const { images, crops } = list;
  const { channels, inputSize, side } = preprocess.options;
  if (!backend.cutCrops) return fromHost(preprocess.cut(list), [crops.length, channels, inputSize, inputSize], { backend });
  const each = side * side * channels;
  const pixels = new Uint8Array(images.length * each);
  for (const [i, { data }] of images.entries()) pixels.set(data, i * each);
  const places = Int32Array.from(crops.flatMap(({ image, crop: { y, x, flip } }) => [image, y, x, Number(flip)]));
  const { mean, scales } = preprocess;
  return cutCrops({ pixels, mean, places }, { channels, side, size: inputSize, scales }, backend);
}
