/** The largest or smallest elements along an axis. */
import { ShapeError } from '../../backend/errors.js';
import { anything, boolean, checkArgument, checkOptions, integer } from '../../backend/validate.js';
import { normalizeAxis } from '../shape.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import { gatherAlong } from './index_select.js';
import { transpose } from './movement.js';

/** Options of `topk`. */
export interface TopkOptions {
  /** Default −1, the last axis. */
  axis?: number;
  /** Whether the largest elements are returned, instead of the smallest. Default true. */
  largest?: boolean;
}

const TOPK_RULES = { axis: anything, largest: boolean };

/**
 * Returns the k largest elements along an axis, in descending order, and their indices. PyTorch `topk`, ONNX `TopK`. Equal elements come in
 * the order of their indices; NaN counts as larger than every number. The gradient goes to the elements that were returned.
 *
 * @example const { values, indices } = topk(scores, 5);
 * @returns values and indices (int32), with k elements on the axis
 * @throws ShapeError if the axis has fewer than k elements
 */
export function topk(x: Tensor, k: number, options: TopkOptions = {}): { values: Tensor; indices: Tensor } {
  checkFloat('topk', x);
  checkArgument('topk', 'k', k, integer(0));
  checkOptions('topk', options, TOPK_RULES);
  if (x.rank === 0) throw new ShapeError('topk: input has shape [], expected at least one axis');
  const axis = normalizeAxis('topk', options.axis ?? -1, x.rank);
  const columns = x.shape[axis];
  if (k > columns) throw new ShapeError(`topk: k is ${k}, expected at most ${columns}, the extent of axis ${axis} of [${x.shape}]`);
  const isLast = axis === x.rank - 1;
  const rows = isLast ? x : transpose(x, axis, -1);
  const indices = empty('topk', [...rows.shape.slice(0, -1), k], 'int32', x.backend);
  if (indices.size > 0) x.backend.topk(indices.storage, rows.storage, { rows: x.size / columns, columns }, k, options.largest ?? true);
  const values = gatherAlong('topk', rows, indices, x.rank - 1);
  if (isLast) return { values, indices };
  const result = { values: transpose(values, axis, -1), indices: transpose(indices, axis, -1) };
  for (const made of [rows, values, indices]) made.release('topk');
  return result;
}
