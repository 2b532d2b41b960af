/** Whether predictions depend on the object: the share of the occlusion drop inside the object's box, over a whole split. */

import { type Spread, spreadOf } from '../../analysis/spread.js';
import { arrayOf, checkArgument, checkFields, finite, func, integer, objectWith, type RulesFor } from '../../backend/validate.js';
import type { Example, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { batches } from '../../data/loader.js';
import { split as splitRule } from '../../data/rules.js';
import { samplePlaces } from '../../data/subset.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor, checkModel } from '../../nn/rules.js';
import { type Tensor, ValueError } from '../../tensor/index.js';
import type { Patch } from '../activations/receptive_fields.js';
import { prepare } from '../prepare.js';
import { patch } from '../rules.js';
import { type ProbabilitySweep, SWEEP, type SweepOptions, sweepProbability } from './occlusion.js';

/** Share of one image's drop in probability inside a box. */
export interface DropShare {
  /** Share of the drop inside the box, as a fraction; null if the probability falls nowhere. */
  drop: number | null;
  /** The share that a uniform drop would have: the box's share of the area covered by squares. */
  area: number;
}

const sweepRule = objectWith('a result of occlude()', {
  places: arrayOf(arrayOf(integer(), 2, 2), 1),
  probability: arrayOf(finite()),
  clean: objectWith('a prediction', { probability: finite() }),
});

/**
 * Share of the drop of the watched probability inside a box. The drop at each position, max(0, clean − occluded), is spread evenly over
 * the pixels of the square.
 *
 * @param square side of the square in pixels
 * @param box [y0, x0, y1, x1] in pixels of the network's input, end exclusive
 */
export function dropInside(sweep: ProbabilitySweep, square: number, box: Patch): DropShare {
  checkArgument('dropInside', 'the sweep', sweep, sweepRule);
  checkArgument('dropInside', 'square', square, integer(1));
  checkArgument('dropInside', 'box', box, patch);
  const { places, probability, clean } = sweep;
  let [inside, all, covered] = [0, 0, 0];
  for (const [i, [y, x]] of places.entries()) {
    const height = Math.max(0, Math.min(y + square, box[2]) - Math.max(y, box[0]));
    const width = Math.max(0, Math.min(x + square, box[3]) - Math.max(x, box[1]));
    const part = (height * width) / (square * square);
    const drop = Math.max(0, clean.probability - probability[i]);
    inside += part * drop;
    all += drop;
    covered += part;
  }
  return { drop: all > 0 ? inside / all : null, area: covered / places.length };
}

/** Options of `occludeSplit`. */
export interface OccludeSplitOptions extends Omit<SweepOptions, 'label' | 'onProgress'> {
  /** Converts images to the network's input [N, C, H, W], as in evaluation. */
  preprocess: (examples: Example[]) => Tensor;
  /** Box of the object in pixels of the network's input; null skips the example. */
  boxOf: (example: Example) => Patch | null;
  /** Largest number of images, sampled at random from the split (the same images in every call). Default: all images. */
  images?: number;
  /** Called with the number of images that are done, skipped ones included, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each image that cannot be read; the image is then skipped. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
}

/** Result of `occludeSplit`. */
export interface SplitOcclusion {
  /** Number of images with a box. */
  images: number;
  /** Number of these images whose probability fell at any position. The shares below are means over them. */
  fell: number;
  /** One entry per image with a box; `index` is its index in the split. */
  shares: ({ index: number } & DropShare)[];
  /** Share of the drop inside the box: mean and standard deviation over the images. */
  drop: Spread;
  /** Share that a uniform drop would have: mean and standard deviation over the same images. */
  area: Spread;
}

const { label: _, ...sweepRules } = SWEEP;

const OPTIONS: RulesFor<OccludeSplitOptions> = {
  ...sweepRules,
  preprocess: func,
  boxOf: func,
  images: integer(1),
  onProgress: func,
  onBroken: func,
};

/**
 * Sweeps a square over the images of a split and returns the share of the drop in the true class's probability that is inside the
 * object's box, and the box's share of the area. For a network that relies on the object the first is larger; for one that does not, both
 * are about equal.
 *
 * @example
 * const boxOf = (): Patch => [16, 16, 48, 48]; // [y0, x0, y1, x1] of the object
 * const { drop, area } = await occludeSplit(model, dataset.splits.val, { square: 32, stride: 32, preprocess: prepare, boxOf });
 * @throws ValueError if no image has a box, or if no probability falls
 */
export async function occludeSplit(model: LayeredModel, split: Split, options: OccludeSplitOptions): Promise<SplitOcclusion> {
  checkModel('occludeSplit', model);
  checkArgument('occludeSplit', 'split', split, splitRule);
  checkFields('occludeSplit', options, OPTIONS, ['square', 'stride', 'preprocess', 'boxOf']);
  const { preprocess, boxOf, onProgress, onBroken, signal, ...sweep } = options;
  const indices = samplePlaces(split.length, options.images);
  const total = indices.length;
  const shares: SplitOcclusion['shares'] = [];
  let seen = 0;
  for await (const [example] of batches(split, { batchSize: 1, indices, onBroken })) {
    const box = boxOf(example);
    if (box) {
      checkArgument('occludeSplit', 'the result of boxOf', box, patch);
      const image = prepare(model, preprocess, [example]);
      checkArgument('occludeSplit', 'the result of preprocess', image, aTensor);
      try {
        const answers = await sweepProbability(model, image, { ...sweep, label: example.label, signal });
        shares.push({ index: example.index, ...dropInside(answers, options.square, box) });
      } finally {
        image.dispose();
      }
    }
    onProgress?.(++seen, total);
  }
  const fell = shares.filter((share): share is (typeof shares)[number] & { drop: number } => share.drop !== null);
  if (fell.length === 0)
    throw new ValueError(
      shares.length === 0 ? 'occlude: no image of this split has a known box' : 'occlude: no probability falls in any of these images',
    );
  return {
    images: shares.length,
    fell: fell.length,
    shares,
    drop: spreadOf(fell.map(({ drop }) => drop)),
    area: spreadOf(fell.map(({ area }) => area)),
  };
}
