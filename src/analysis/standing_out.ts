/** Maps that do nothing, and maps that do too much. */

import { arrayOf, checkArgument, numeric } from '../backend/validate.js';

/** A map dominates from this many times the median of the living on. */
export const DOMINATES = 4;

/**
 * The places of the dead (strength 0 or below) and of the dominating (more than four times the median of the living).
 *
 * @param strengths one a map: what it answers, or how large its filter is
 */
export function standingOut(strengths: readonly number[]): { dead: number[]; dominating: number[] } {
  checkArgument('standingOut', 'strengths', strengths, arrayOf(numeric));
  const limit = DOMINATES * median(strengths.filter((strength) => strength > 0));
  const places = [...strengths.keys()];
  return { dead: places.filter((i) => !(strengths[i] > 0)), dominating: places.filter((i) => strengths[i] > limit) };
}

/** The middle of the numbers, or the mean of the two in the middle; 0 of none. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) return 0;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
