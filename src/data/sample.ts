/** Random samples of a few images per class, for training on small subsets. */

import { arrayOf, checkArgument, checkOptions, integer, text } from '../backend/validate.js';
import type { Split } from './dataset.js';
import { DataError } from './errors.js';
import { epochOrder } from './loader.js';
import { split as splitRule } from './rules.js';

const OPTIONS = { seed: integer(), sample: integer(), draw: integer() };

/**
 * Returns the indices of a split grouped by class, [classes][images of the class], each group in random order.
 *
 * @example const places = sampleByClass(dataset.splits.train, dataset.classes.length, { seed: 1 });
 * @param options.seed seed of the random order. Default 0
 * @param options.sample number of the sample: each gives another order for the same seed. Default 0
 * @param options.draw deprecated: the name of `sample` before version 0.2
 */
export function sampleByClass(split: Split, classes: number, options: { seed?: number; sample?: number; draw?: number } = {}): number[][] {
  checkArgument('sampleByClass', 'split', split, splitRule);
  checkArgument('sampleByClass', 'classes', classes, integer(1, 2 ** 24));
  checkOptions('sampleByClass', options, OPTIONS);
  checkArgument('sampleByClass', 'split.labels', split.labels, arrayOf(integer(0, classes - 1)));
  const { seed = 0, draw = 0, sample = draw } = options;
  const places: number[][] = Array.from({ length: classes }, () => []);
  for (const place of epochOrder(split.length, { seed, epoch: sample })) places[split.labels[place]].push(place);
  return places;
}

/** @deprecated The name of `sampleByClass` before version 0.2. */
export const drawByClass = sampleByClass;

/**
 * Returns the first `count` indices of each class, ordered by class.
 *
 * @param places indices grouped by class, as `sampleByClass` returns them
 * @param names class names, for the error message
 * @throws DataError for a class with fewer than `count` images
 */
export function takeByClass(places: readonly (readonly number[])[], count: number, names: readonly string[]): number[] {
  checkArgument('takeByClass', 'places', places, arrayOf(arrayOf(integer())));
  checkArgument('takeByClass', 'count', count, integer());
  checkArgument('takeByClass', 'names', names, arrayOf(text));
  const poor = places.findIndex((own) => own.length < count);
  if (poor >= 0) throw new DataError(`class ${names[poor]} has ${places[poor].length} images here, expected at least ${count}`);
  return places.flatMap((own) => own.slice(0, count));
}
