/** Crops for training and evaluation. The random crop of an example depends only on the seed, the epoch and the index of the example. */
import { philox } from '../../backend/philox.js';
import { boolean, checkArgument, integer, oneOf } from '../../backend/validate.js';
import { Generator } from '../../tensor/index.js';

/** A square crop with its top left corner at (y, x) of the larger image, mirrored left to right if `flip` is true. */
export interface Crop {
  /** Top row of the crop in pixels of the larger image. */
  readonly y: number;
  /** Left column of the crop in pixels of the larger image. */
  readonly x: number;
  /** Whether the crop is mirrored left to right after it is cut out. */
  readonly flip: boolean;
}

/**
 * Random crops of training images.
 * - `paper`: one of ten crops: four corners and the centre, each with and without a flip (paper, section 3.1)
 * - `random`: any position, with and without a flip
 * - `shift`: any position without a flip, for digits and letters, whose mirror images are other characters
 * - `none`: the centre crop
 */
export const AUGMENTATIONS = ['paper', 'random', 'shift', 'none'] as const;
/** Name of a way to vary training images at random. */
export type Augmentation = (typeof AUGMENTATIONS)[number];

/** Number of random words reserved per epoch, one block per example; larger than any data set. */
const EXAMPLES = 2 ** 32;

/** The centre crop. `slack` is the side of the image minus the side of the crop, in pixels. */
export function centreCrop(slack: number): Crop {
  checkArgument('centreCrop', 'slack', slack, integer());
  const middle = Math.floor(slack / 2);
  return { y: middle, x: middle, flip: false };
}

/**
 * The ten crops of the paper: the four corners and the centre, then the same crops mirrored.
 *
 * @example const crops = tenCrops(32); // crops of 224 pixels from images of 256
 * @param slack side of the image minus the side of the crop, in pixels
 * @param mirror false for images whose mirror images have another meaning: the second five are then the middles of the edges and the
 *   centre again, without mirroring
 */
export function tenCrops(slack: number, mirror = true): Crop[] {
  checkArgument('tenCrops', 'mirror', mirror, boolean);
  const { y: middle } = centreCrop(slack);
  const places = [
    [0, 0],
    [0, slack],
    [slack, 0],
    [slack, slack],
    [middle, middle],
  ];
  const edges = [
    [0, middle],
    [middle, 0],
    [middle, slack],
    [slack, middle],
    [middle, middle],
  ];
  return [...places, ...(mirror ? places : edges)].map(([y, x], i) => ({ y, x, flip: mirror && i >= places.length }));
}

/** Whether training with an augmentation sees mirror images. */
export const mirrors = (augment: Augmentation): boolean => augment === 'paper' || augment === 'random';

/**
 * The random crop of one example in one epoch. It depends on the arguments only.
 *
 * @param slack side of the image minus the side of the crop, in pixels
 * @param index of the example in its split
 */
export function sampleCrop(augment: Augmentation, slack: number, seed: number, epoch: number, index: number): Crop {
  checkArgument('sampleCrop', 'augment', augment, oneOf(...AUGMENTATIONS));
  for (const [name, value] of Object.entries({ slack, seed, epoch, index })) checkArgument('sampleCrop', name, value, integer());
  if (augment === 'none') return centreCrop(slack);
  const words = new Uint32Array(4);
  philox(seed, new Generator(seed, 'augment').getState().counter + epoch * EXAMPLES + index, words);
  const below = (word: number, count: number) => Math.floor((words[word] / 2 ** 32) * count);
  switch (augment) {
    case 'paper':
      return tenCrops(slack)[below(0, 10)];
    case 'random':
      return { y: below(0, slack + 1), x: below(1, slack + 1), flip: words[2] >= 2 ** 31 };
    case 'shift':
      return { y: below(0, slack + 1), x: below(1, slack + 1), flip: false };
  }
}

/** @deprecated The name of `sampleCrop` before version 0.2. */
export const drawCrop = sampleCrop;
