/** From logits to errors: what a classifier is judged by. */
import { arrayOf, checkArgument, integer } from '../backend/validate.js';
import { ShapeError, type Tensor, type TypedArray } from '../tensor/index.js';
import { anyNumber, checkFloat } from '../tensor/tensor.js';

/**
 * How many of the rows miss their label among the k largest logits. Ties count against the label's place only where the other class has
 * a lower number, as sorting would.
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
  checkFloat('batchErrors', logits);
  if (logits.rank !== 2) throw new ShapeError(`batchErrors: logits have shape [${logits.shape}], expected [N, classes]`);
  const values = await logits.data();
  const classes = logits.shape[1];
  return { top1: countErrors(values, labels, classes, 1), top5: countErrors(values, labels, classes, 5) };
}

/** The indices of the k largest values of a row, falling. */
export function topK(values: ArrayLike<number>, k: number): number[] {
  checkArgument('topK', 'values', values, arrayOf(anyNumber));
  checkArgument('topK', 'k', k, integer());
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((i, j) => values[j] - values[i] || i - j)
    .slice(0, k);
}
