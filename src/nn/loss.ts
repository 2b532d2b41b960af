/** From logits to errors: what a classifier is judged by. */
import type { Tensor, TypedArray } from '../tensor/index.js';

/**
 * How many of the rows miss their label among the k largest logits. Ties count against the label's place only where the other class has
 * a lower number, as sorting would.
 *
 * @param logits [N, classes], row-major
 */
export function countErrors(logits: TypedArray, labels: ArrayLike<number>, classes: number, k: number): number {
  let errors = 0;
  for (let row = 0; row < labels.length; row++) if (rankOf(logits, row * classes, classes, labels[row]) >= k) errors++;
  return errors;
}

/** Number of classes before `label` when sorted by falling value; NaN anywhere makes it last. */
function rankOf(values: TypedArray, start: number, classes: number, label: number): number {
  const own = values[start + label];
  let rank = 0;
  for (let j = 0; j < classes; j++) {
    const other = values[start + j];
    if (Number.isNaN(other) || Number.isNaN(own)) return classes;
    if (other > own || (other === own && j < label)) rank++;
  }
  return rank;
}

/** Top-1 and top-5 errors of a batch, as counts. With five classes or fewer top-5 never errs. */
export async function batchErrors(logits: Tensor, labels: ArrayLike<number>): Promise<{ top1: number; top5: number }> {
  const values = await logits.data();
  const classes = logits.shape[1];
  return { top1: countErrors(values, labels, classes, 1), top5: countErrors(values, labels, classes, 5) };
}

/** The indices of the k largest values of a row, falling. */
export function topK(values: ArrayLike<number>, k: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((i, j) => values[j] - values[i] || i - j)
    .slice(0, k);
}
