/** Top-k errors of a classifier, computed from its logits. */
import { arrayOf, checkArgument, integer } from '../backend/validate.js';
import { ShapeError, type Tensor, type TypedArray } from '../tensor/index.js';
import { anyNumber, checkFloat } from '../tensor/tensor.js';

/**
 * Number of rows whose label is not among the k largest logits (top-k errors). Classes with equal logits rank by rising class index, as
 * in a stable sort.
 *
 * @param logits [N, classes], row-major
 */
export function countErrors(logits: TypedArray, labels: ArrayLike<number>, classes: number, k: number): number {
  checkArgument('countErrors', 'classes', classes, integer(1));
  checkArgument('countErrors', 'k', k, integer(1));
  checkArgument('countErrors', 'labels', labels, arrayOf(integer(0, classes - 1)));
  checkArgument('countErrors', 'logits', logits, arrayOf(anyNumber, labels.length * classes, labels.length * classes));
  let errors = 0;
  for (let row = 0; row < labels.length; row++) if (rankOf(logits, row * classes, classes, labels[row]) >= k) errors++;
  return errors;
}

/** Number of classes that precede `label` in descending order of their values. Returns `classes` if the row contains a NaN. */
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

/**
 * Number of top-1 and top-5 errors in a batch. With five classes or fewer there are no top-5 errors.
 *
 * @example const { top1, top5 } = await batchErrors(model.forward(images), [3, 1]);
 * @param logits [N, classes]
 * @throws ShapeError for logits of another rank than 2
 */
export async function batchErrors(logits: Tensor, labels: ArrayLike<number>): Promise<{ top1: number; top5: number }> {
  checkFloat('batchErrors', logits);
  if (logits.rank !== 2) throw new ShapeError(`batchErrors: logits have shape [${logits.shape}], expected [N, classes]`);
  const values = await logits.data();
  const classes = logits.shape[1];
  return { top1: countErrors(values, labels, classes, 1), top5: countErrors(values, labels, classes, 5) };
}

/**
 * Indices of the k largest values, in descending order of the values.
 *
 * @example topK([0.1, 0.7, 0.2], 2) // [1, 2]
 */
export function topK(values: ArrayLike<number>, k: number): number[] {
  checkArgument('topK', 'values', values, arrayOf(anyNumber));
  checkArgument('topK', 'k', k, integer());
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((i, j) => values[j] - values[i] || i - j)
    .slice(0, k);
}
