/** Whether an answer depends on the object: how much of the probability's drop lies where the object is, over a whole split. */

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
import { patch } from '../rules.js';
import { type ProbabilitySweep, SWEEP, type SweepOptions, sweepProbability } from './occlusion.js';

/** Where one image's drop lies. */
export interface DropShare {
  /** Of the drop, the part inside the box; null where the probability falls nowhere. */
  drop: number | null;
  /** What the part would be if the probability fell by the same everywhere: the box's share of all that squares covered. */
  area: number;
}

const sweepRule = objectWith('what occlude() gave', {
  places: arrayOf(arrayOf(integer(), 2, 2), 1),
  probability: arrayOf(finite()),
  clean: objectWith('an answer', { probability: finite() }),
});

/**
 * How much of the drop of the watched probability lies inside a box. Each place's drop, max(0, as it is − with the square), is
 * spread evenly over the pixels of its square.
 *
 * @param box [y0, x0, y1, x1] in the network's input, end exclusive
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

export interface OccludeSplitOptions extends Omit<SweepOptions, 'label' | 'onProgress'> {
  /** Makes the network's input [N, C, H, W] of images, as in training. */
  preprocess: (examples: Example[]) => Tensor;
  /** Where an example's object lies in the network's input; null leaves the example out. */
  boxOf: (example: Example) => Patch | null;
  /** At most this many images, sampled at random from the split (the same ones in every call). Default all. */
  images?: number;
  onProgress?: (done: number, total: number) => void;
  /** Called with images that cannot be read, which are left out; without it the error is thrown. */
  onBroken?: (error: DataError) => void;
}

export interface SplitOcclusion {
  /** Images with a box. */
  images: number;
  /** Of them, those whose probability fell somewhere, which the shares are means over. */
  fell: number;
  /** An image with a box each, by its place in the split. */
  shares: ({ index: number } & DropShare)[];
  /** Mean over images of the share of the drop inside the box, and its standard deviation. */
  drop: Spread;
  /** Mean over the same images of the share that a drop equal everywhere would have there. */
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
 * Sweeps a square over the images of a split and tells which share of the drop of each true class's probability lies inside the
 * object's box, beside the share of area: a network that looks at objects has more, one that looks anywhere about as much.
 *
 * @throws ValueError where no image has a box, or no probability falls
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
      const image = preprocess([example]);
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
