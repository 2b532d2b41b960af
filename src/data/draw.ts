/** A few images of each class, drawn by a seed: for learning from little. */

import { arrayOf, checkArgument, checkOptions, integer, text } from '../backend/validate.js';
import type { Split } from './dataset.js';
import { DataError } from './errors.js';
import { epochOrder } from './loader.js';
import { split as splitRule } from './rules.js';

const OPTIONS = { seed: integer(), draw: integer() };

/** The places of each class in a split, shuffled by (seed, draw): [classes][images of the class]. */
export function drawByClass(split: Split, classes: number, options: { seed?: number; draw?: number } = {}): number[][] {
  checkArgument('drawByClass', 'split', split, splitRule);
  checkArgument('drawByClass', 'classes', classes, integer(1, 2 ** 24));
  checkOptions('drawByClass', options, OPTIONS);
  checkArgument('drawByClass', 'split.labels', split.labels, arrayOf(integer(0, classes - 1)));
  const { seed = 0, draw = 0 } = options;
  const places: number[][] = Array.from({ length: classes }, () => []);
  for (const place of epochOrder(split.length, { seed, epoch: draw })) places[split.labels[place]].push(place);
  return places;
}

/**
 * The first `count` places of each class, class after class.
 *
 * @throws DataError naming a class that has fewer
 */
export function takeByClass(places: readonly (readonly number[])[], count: number, names: readonly string[]): number[] {
  checkArgument('takeByClass', 'places', places, arrayOf(arrayOf(integer())));
  checkArgument('takeByClass', 'count', count, integer());
  checkArgument('takeByClass', 'names', names, arrayOf(text));
  const poor = places.findIndex((own) => own.length < count);
  if (poor >= 0) throw new DataError(`class ${names[poor]} has ${places[poor].length} images here, expected at least ${count}`);
  return places.flatMap((own) => own.slice(0, count));
}
