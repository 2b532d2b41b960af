/** A few images of each class, drawn by a seed: for learning from little. */

import type { Split } from './dataset.js';
import { DataError } from './errors.js';
import { epochOrder } from './loader.js';

/** The places of each class in a split, shuffled by (seed, draw): [classes][images of the class]. */
export function drawByClass(split: Split, classes: number, { seed = 0, draw = 0 }: { seed?: number; draw?: number } = {}): number[][] {
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
  const poor = places.findIndex((own) => own.length < count);
  if (poor >= 0) throw new DataError(`class ${names[poor]} has ${places[poor].length} images here, expected at least ${count}`);
  return places.flatMap((own) => own.slice(0, count));
}
