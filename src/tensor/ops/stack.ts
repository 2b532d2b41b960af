/** Joining tensors along a new axis, and cutting a tensor into parts. */
import { ShapeError, ValueError } from '../../backend/errors.js';
import { arrayOf, checkArgument, either, integer, show } from '../../backend/validate.js';
import { normalizeAxis, sameShape } from '../shape.js';
import { checkSameBackend, type Tensor } from '../tensor.js';
import { concat, slice, unsqueeze } from './movement.js';

/**
 * Joins tensors of equal shapes along a new axis. PyTorch `stack`; ONNX `Unsqueeze` and `Concat`.
 *
 * @example stack([tensor([1, 2]), tensor([3, 4])]) // [[1, 2], [3, 4]]
 * @param axis position of the new axis in the result. Default 0
 * @throws ShapeError if the shapes differ
 */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  if (!(Array.isArray as (value: unknown) => boolean)(tensors) || tensors.length === 0)
    throw new ShapeError(`stack: got ${show(tensors)}, expected an array of at least one tensor`);
  checkSameBackend('stack', ...tensors);
  const [{ shape, rank }] = tensors;
  const other = tensors.find((each) => !sameShape(each.shape, shape));
  if (other) throw new ShapeError(`stack: got shapes [${shape}] and [${other.shape}], expected equal shapes`);
  const along = normalizeAxis('stack', axis, rank + 1);
  const lifted = tensors.map((each) => unsqueeze(each, along));
  const result = concat(lifted, along);
  for (const each of lifted) each.release('stack');
  return result;
}

const SIZES = either(integer(1), arrayOf(integer(0), 1));

/**
 * Cuts a tensor into parts along an axis. PyTorch and ONNX `split`.
 *
 * @example
 * const [start, rest] = split(arange(10), [8, 2]);
 * const halves = split(arange(10), 5);
 * @param sizes the extent of every part (the last one may be smaller), or one extent per part, which add up to the extent of the axis
 * @param axis default 0
 * @returns one tensor per part
 * @throws ShapeError if the sizes do not add up
 */
export function split(x: Tensor, sizes: number | readonly number[], axis = 0): Tensor[] {
  checkSameBackend('split', x);
  checkArgument('split', 'sizes', sizes, SIZES);
  if (x.rank === 0) throw new ShapeError('split: input has shape [], expected at least one axis');
  const along = normalizeAxis('split', axis, x.rank);
  const extent = x.shape[along];
  const parts = typeof sizes === 'number' ? equalParts(extent, sizes) : Array.from(sizes);
  const total = parts.reduce((sum, part) => sum + part, 0);
  if (total !== extent)
    throw new ShapeError(`split: sizes [${parts}] add up to ${total}, expected ${extent}, the extent of axis ${along} of [${x.shape}]`);
  let from = 0;
  return parts.map((part) => {
    const start = x.shape.map((_, i) => (i === along ? from : 0));
    const end = x.shape.map((whole, i) => (i === along ? from + part : whole));
    from += part;
    return slice(x, start, end);
  });
}

/** Maximum number of parts, so that a size of 1 on a large axis is an error instead of millions of tensors. */
const MOST_PARTS = 65536;

function equalParts(extent: number, size: number): number[] {
  const count = Math.max(1, Math.ceil(extent / size));
  if (count > MOST_PARTS) throw new ValueError(`split: sizes of ${size} make ${count} parts, expected at most ${MOST_PARTS}`);
  return Array.from({ length: count }, (_, i) => Math.min(size, extent - i * size));
}
