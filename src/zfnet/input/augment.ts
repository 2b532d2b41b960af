/** Where crops are cut, and which one an example gets in an epoch: drawn from (seed, epoch, example) alone. */
import { philox } from '../../backend/philox.js';
import { boolean, checkArgument, integer, oneOf } from '../../backend/validate.js';
import { Generator } from '../../tensor/index.js';

/** A square cut out at (y, x) of the larger image, mirrored left to right or not. */
export interface Crop {
  readonly y: number;
  readonly x: number;
  readonly flip: boolean;
}

/**
 * - `paper`: one of ten: four corners and the centre, each with and without a flip (paper, section 3.1)
 * - `random`: any place, with and without a flip
 * - `shift`: any place without a flip, for digits and letters, whose mirror image is another sign
 * - `none`: the centre
 */
export const AUGMENTATIONS = ['paper', 'random', 'shift', 'none'] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

/** Examples an epoch that have draws of their own, and epochs that a seed has; beyond any use here. */
const EXAMPLES = 2 ** 32;

export function centreCrop(slack: number): Crop {
  checkArgument('centreCrop', 'slack', slack, integer());
  const middle = Math.floor(slack / 2);
  return { y: middle, x: middle, flip: false };
}

/**
 * The paper's ten: corners and centre, then the same mirrored. `slack` is the larger side minus the crop's.
 *
 * @param mirror false for images whose mirror image is something else: the corners, the centre twice, the middles of the edges
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

/** The crop of one example in one epoch. The same for the same arguments, whatever was drawn before. */
export function drawCrop(augment: Augmentation, slack: number, seed: number, epoch: number, index: number): Crop {
  checkArgument('drawCrop', 'augment', augment, oneOf(...AUGMENTATIONS));
  for (const [name, value] of Object.entries({ slack, seed, epoch, index })) checkArgument('drawCrop', name, value, integer());
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
