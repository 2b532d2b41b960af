/** Dead maps, which never respond, and dominating maps, which respond far more strongly than the others. */

import { arrayOf, checkArgument, numeric } from '../backend/validate.js';

/** A map dominates if its strength exceeds this multiple of the median of the maps that are not dead. */
export const DOMINATES = 4;

/**
 * Indices of the dead maps (strength 0 or below) and of the dominating maps (strength above four times the median of the living ones).
 *
 * @param strengths one per map: its activation, or the size of its filter
 */
export function standingOut(strengths: readonly number[]): { dead: number[]; dominating: number[] } {
  checkArgument('standingOut', 'strengths', strengths, arrayOf(numeric));
  const limit = DOMINATES * livingMedian(strengths);
  const places = [...strengths.keys()];
  return { dead: places.filter((i) => !(strengths[i] > 0)), dominating: places.filter((i) => strengths[i] > limit) };
}

/** Median strength of the maps that are not dead. */
export const livingMedian = (strengths: readonly number[]): number => median(strengths.filter((strength) => strength > 0));

/**
 * Root mean square of the weights of each filter.
 *
 * @param weights [filters, …], row-major
 */
export function filterRms(weights: ArrayLike<number>, filters: number): number[] {
  const size = weights.length / filters;
  return Array.from({ length: filters }, (_, map) => {
    let sum = 0;
    for (let i = map * size; i < (map + 1) * size; i++) sum += weights[i] ** 2;
    return Math.sqrt(sum / size);
  });
}

/** Median; the mean of the two middle values for an even count; 0 for an empty list. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) return 0;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
