/**
 * Preprocessing of 8-bit images for the network (paper, section 3.1): subtracts the mean image and cuts a crop.
 *
 * Images are squares of `side` pixels, somewhat larger than the network's input (256 for 224). Training cuts random crops, evaluation the
 * centre crop or ten crops. The result is multiplied by `scale`: 1 keeps the paper's range of about [−128, 128], which its initial weights
 * of 10⁻² expect; the schemes `he` and `glorot` expect about unit variance and use 1/64; the scheme `mixed` uses 1/16.
 */
import {
  arrayOf,
  boolean,
  checkArgument,
  checkFields,
  finite,
  integer,
  oneOf,
  positive,
  type RulesFor,
  rule,
  show,
} from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { describeImage, image as imageRule } from '../../data/rules.js';
import type { HostTensor } from '../../formats/safetensors.js';
import { type InitScheme, StateError } from '../../nn/index.js';
import { ShapeError, sizeOf, ValueError } from '../../tensor/index.js';
import { initScheme } from '../rules.js';
import { AUGMENTATIONS, type Augmentation, type Crop, centreCrop, sampleCrop, tenCrops } from './augment.js';

/** Options of `Preprocess`. */
export interface PreprocessOptions {
  /** Height and width of the network's input. */
  inputSize: number;
  /** Height and width of the images that crops are cut from. */
  side: number;
  /** Channels of the network's input: 1 for grey images, 3 for colour. */
  channels: 1 | 3;
  /** Factor by which pixels are multiplied after the mean is subtracted. */
  scale: number;
  /** Whether five of the ten crops are mirrored. Set to false if training used no mirror images. Default true. */
  mirror?: boolean;
  /** Divisor per channel, red first, in addition to `scale`; for imported networks. Default 1. */
  deviation?: readonly number[];
}

/** Side in pixels of the images for a network's input size: 256 for 224 as in the paper, in proportion for other sizes. */
export function sideFor(inputSize: number): number {
  checkArgument('sideFor', 'inputSize', inputSize, integer(1));
  return Math.round((inputSize * 256) / 224);
}

/** The pixel scale that suits a scheme of initial weights: 1 for `paper`, 1/64 for `he` and `glorot`, 1/16 for `mixed`, 1.275/255 for `lecun`. */
export function scaleFor(init: InitScheme): number {
  checkArgument('scaleFor', 'init', init, initScheme);
  return SCALES[init];
}

const SCALES: Readonly<Record<InitScheme, number>> = { paper: 1, he: 1 / 64, glorot: 1 / 64, mixed: 1 / 16, lecun: 1.275 / 255 };

/** Largest side of an image in pixels. */
export const MOST_PIXELS = 2 ** 15;

const OPTIONS: RulesFor<PreprocessOptions> = {
  inputSize: integer(1, MOST_PIXELS),
  side: integer(1, MOST_PIXELS),
  channels: oneOf(1, 3),
  scale: finite(),
  mirror: boolean,
  deviation: arrayOf(positive),
};

const SAMPLE = { augment: oneOf(...AUGMENTATIONS), seed: integer(), epoch: integer() };

/** Rule for a mean image. */
const meanTensor = rule(
  'a mean image { shape: [channels, side, side], data }',
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    arrayOf(integer(), 3, 3).test((value as HostTensor).shape) &&
    arrayOf(finite()).test((value as HostTensor).data),
);

/** @throws StateError for a mean image of another shape */
function checkMean(mean: HostTensor, expected: readonly number[]): void {
  checkArgument('preprocess', 'mean', mean, meanTensor);
  if (mean.shape.join() !== expected.join())
    throw new StateError(`preprocess: the mean image has shape [${mean.shape}], expected [${expected}]`);
  if (mean.data.length !== sizeOf(expected))
    throw new StateError(`preprocess: the mean image has ${mean.data.length} values, its shape [${mean.shape}] has ${sizeOf(expected)}`);
}

/** What the random crops of training depend on, besides the index of each image. */
interface TrainingSample {
  augment: Augmentation;
  seed: number;
  epoch: number;
}

/** Images, and the crops to cut from them. */
export interface CropList {
  readonly images: readonly Image[];
  /** Each crop, with the number of its image. */
  readonly crops: readonly { readonly image: number; readonly crop: Crop }[];
}

/** @throws ValueError for an example without an index, or for an unknown augmentation */
function checkExamples(examples: readonly { image: Image; index: number }[], sample: TrainingSample): void {
  if (!Array.isArray(examples)) throw new ValueError(`preprocess: examples are ${show(examples)}, expected an array of { image, index }`);
  checkFields('preprocess', sample, SAMPLE, ['augment', 'seed', 'epoch']);
  for (const example of examples) {
    if (typeof example !== 'object' || example === null)
      throw new ValueError(`preprocess: an example is ${show(example)}, expected { image, index }`);
    checkArgument('preprocess', 'index', example.index, integer());
  }
}

/**
 * Converts images to input batches of one network, by its options and its mean image.
 *
 * @example
 * const mean = await meanImage(dataset.splits.train, 73, 3);
 * const preprocess = new Preprocess({ inputSize: 64, side: 73, channels: 3, scale: 1 / 128 }, mean);
 */
export class Preprocess {
  /** Mean image, [channels, side, side], 0 to 255. */
  readonly mean: Float32Array;
  private readonly slack: number;
  /** @internal Factor per channel. */
  readonly scales: readonly number[];

  /** @param mean mean image, [channels, side, side]. Default: zeros */
  constructor(
    /** The options with their defaults filled in. Checkpoints record them. */
    readonly options: PreprocessOptions,
    mean?: HostTensor,
  ) {
    checkFields('preprocess', options, OPTIONS, ['inputSize', 'side', 'channels', 'scale']);
    const { inputSize, side, channels } = options;
    if (side < inputSize) throw new ShapeError(`preprocess: images of ${side} pixels are too small for an input of ${inputSize}`);
    if (mean !== undefined) checkMean(mean, [channels, side, side]);
    this.mean = mean ? Float32Array.from(mean.data) : new Float32Array(channels * side * side);
    this.slack = side - inputSize;
    const { scale, deviation } = options;
    if (deviation && deviation.length !== channels)
      throw new StateError(`preprocess: deviation is [${deviation}], expected ${channels} positive numbers`);
    this.scales = Array.from({ length: channels }, (_, c) => (deviation ? scale / deviation[c] : scale));
  }

  /** The mean image as checkpoints store it. */
  get meanTensor(): HostTensor {
    const { side, channels } = this.options;
    return { shape: [channels, side, side], data: this.mean };
  }

  /**
   * One random crop of each image, as in training. It depends only on the seed, the epoch and the index of the image.
   *
   * @param examples images of `side` pixels with their indices in the split
   * @returns [N, channels, inputSize, inputSize]
   */
  training(examples: readonly { image: Image; index: number }[], sample: TrainingSample): Float32Array {
    return this.cut(this.trainingCrops(examples, sample));
  }

  /** @internal The crops that `training` cuts. */
  trainingCrops(examples: readonly { image: Image; index: number }[], sample: TrainingSample): CropList {
    checkExamples(examples, sample);
    const crops = examples.map(({ index }) => sampleCrop(sample.augment, this.slack, sample.seed, sample.epoch, index));
    return this.list(
      examples.map(({ image }) => image),
      (i) => [crops[i]],
    );
  }

  /**
   * The centre crop of each image, or its ten crops in the order of `tenCrops`.
   *
   * @param images squares of `side` pixels
   * @returns [N · crops, channels, inputSize, inputSize]
   */
  evaluation(images: readonly Image[], crops: 1 | 10 = 1): Float32Array {
    return this.cut(this.evaluationCrops(images, crops));
  }

  /** @internal The crops that `evaluation` cuts. */
  evaluationCrops(images: readonly Image[], crops: 1 | 10): CropList {
    checkArgument('preprocess', 'crops', crops, oneOf(1, 10));
    const places = crops === 10 ? tenCrops(this.slack, this.options.mirror ?? true) : [centreCrop(this.slack)];
    return this.list(images, () => places);
  }

  /**
   * Converts a network input back to an image: undoes the scale and adds the mean image, clipped to 0 … 255.
   *
   * @param input [channels, inputSize, inputSize]
   * @param crop the crop that the input was cut from. Default: the centre crop
   * @returns an image [inputSize, inputSize, channels]
   */
  toImage(input: ArrayLike<number>, crop: Crop = centreCrop(this.slack)): Image {
    const { inputSize, side, channels } = this.options;
    const size = channels * inputSize * inputSize;
    const place = integer(0, this.slack);
    if (typeof input !== 'object' || input === null || input.length !== size)
      throw new ShapeError(
        `preprocess: input is ${show(input)}, expected ${size} values of shape [${channels}, ${inputSize}, ${inputSize}]`,
      );
    checkFields('preprocess: crop', crop, { y: place, x: place, flip: boolean }, ['y', 'x', 'flip']);
    const data = new Uint8Array(inputSize * inputSize * channels);
    for (let c = 0; c < channels; c++) {
      const scale = this.scales[c];
      for (let y = 0; y < inputSize; y++) {
        for (let x = 0; x < inputSize; x++) {
          const column = crop.flip ? inputSize - 1 - x : x;
          const mean = this.mean[(c * side + crop.y + y) * side + crop.x + column];
          const value = Math.round(input[(c * inputSize + y) * inputSize + x] / scale + mean);
          data[(y * inputSize + x) * channels + c] = Math.min(Math.max(value, 0), 255);
        }
      }
    }
    return { width: inputSize, height: inputSize, channels, data };
  }

  /** @internal Cuts crops on the host. @returns [crops, channels, inputSize, inputSize] */
  cut({ images, crops }: CropList): Float32Array {
    const { inputSize, channels } = this.options;
    const size = channels * inputSize * inputSize;
    const out = new Float32Array(crops.length * size);
    for (const [n, { image, crop }] of crops.entries()) this.#cutOne(out, n * size, images[image].data, crop);
    return out;
  }

  private list(images: readonly Image[], cropsOf: (i: number) => readonly Crop[]): CropList {
    if (!Array.isArray(images)) throw new ValueError(`preprocess: images are ${show(images)}, expected an array of images`);
    for (const image of images) this.check(image);
    return { images, crops: images.flatMap((_, image) => cropsOf(image).map((crop) => ({ image, crop }))) };
  }

  private check(image: Image): void {
    if (!imageRule.test(image)) throw new ValueError(`preprocess: got ${describeImage(image)}, expected ${imageRule.expected}`);
    const { width, height, channels } = image;
    const { side, channels: expected } = this.options;
    if (width !== side || height !== side || channels !== expected)
      throw new ShapeError(
        `preprocess: got an image of ${width}×${height} pixels in ${channels} channels, expected ${side}×${side} in ${expected}; open the data set with imageSize ${side}`,
      );
  }

  /** Writes one crop [C, H, W] to `out`, from pixels [H, W, C]. */
  #cutOne(out: Float32Array, at: number, pixels: Uint8Array, { y, x, flip }: Crop): void {
    const { inputSize, side, channels } = this.options;
    const { mean } = this;
    const step = flip ? -1 : 1;
    for (let c = 0; c < channels; c++) {
      const scale = this.scales[c];
      for (let row = 0; row < inputSize; row++) {
        const start = (y + row) * side + x;
        let from = start * channels + c;
        let under = c * side * side + start;
        let to = flip ? at + inputSize - 1 : at;
        for (let column = 0; column < inputSize; column++) {
          out[to] = (pixels[from] - mean[under]) * scale;
          from += channels;
          under++;
          to += step;
        }
        at += inputSize;
      }
    }
  }
}
