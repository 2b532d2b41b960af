/** Operations that move elements without changing their values: reshape, permute, slice, concat, pad, expand. */
import { ShapeError, ValueError } from '../../backend/errors.js';
import { arrayOf, checkArgument, integer, show } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { axesList, broadcastShape, broadcastStrides, checkShape, normalizeAxis, type Shape, sizeOf, stridesOf } from '../shape.js';
import { anyNumber, checkSameBackend, checkScalar, empty, type Tensor } from '../tensor.js';
import { unbroadcast } from './reduce.js';

const wholes = arrayOf(integer(-Infinity));

/**
 * Changes the shape and shares the memory of `x`. One extent may be −1 and is computed from the others. ONNX `Reshape`.
 *
 * @example reshape(tensor([1, 2, 3, 4]), [2, 2])
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const target = inferShape(x, shape);
  return record('reshape', x.alias(target, true), [x], [], (dy) => [dy.alias(x.shape, false)]);
}

function inferShape(x: Tensor, shape: Shape): number[] {
  checkSameBackend('reshape', x);
  checkArgument('reshape', 'the shape', shape, wholes, ShapeError);
  const free = shape.indexOf(-1);
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  const target = [...shape];
  if (free >= 0 && known > 0) target[free] = x.size / known;
  if (shape.lastIndexOf(-1) !== free || target.some((extent) => !Number.isInteger(extent) || extent < 0) || sizeOf(target) !== x.size) {
    throw new ShapeError(`reshape: a tensor of shape [${x.shape}] has ${x.size} elements and cannot become [${shape}]`);
  }
  checkShape('reshape', target);
  return target;
}

/**
 * Merges the axes from `start` to the last one into one axis. ONNX `Flatten` (axis 1), PyTorch `flatten(start_dim=1)`.
 *
 * @example flatten(x) // [2, 2048] for x of [2, 8, 16, 16]
 */
export function flatten(x: Tensor, start = 1): Tensor {
  checkSameBackend('flatten', x);
  const axis = start === x.rank ? start : normalizeAxis('flatten', start, x.rank);
  return reshape(x, [...x.shape.slice(0, axis), sizeOf(x.shape.slice(axis))]);
}

/**
 * Removes axes of extent 1: all of them, or those given. ONNX `Squeeze`.
 *
 * @example squeeze(zeros([2, 1, 3])) // [2, 3]
 * @throws ShapeError if a named axis has another extent than 1
 */
export function squeeze(x: Tensor, axes?: number | readonly number[]): Tensor {
  checkSameBackend('squeeze', x);
  const named = axes === undefined ? undefined : axesList('squeeze', axes).map((axis) => normalizeAxis('squeeze', axis, x.rank));
  const wrong = named?.find((axis) => x.shape[axis] !== 1);
  if (wrong !== undefined) throw new ShapeError(`squeeze: axis ${wrong} of shape [${x.shape}] has extent ${x.shape[wrong]}, expected 1`);
  return reshape(
    x,
    x.shape.filter((extent, i) => (named ? !named.includes(i) : extent !== 1)),
  );
}

/**
 * Inserts an axis of extent 1; `axis` is its position in the result. ONNX `Unsqueeze`.
 *
 * @example unsqueeze(zeros([3]), 0) // [1, 3]
 */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  checkSameBackend('unsqueeze', x);
  const place = normalizeAxis('unsqueeze', axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, place), 1, ...x.shape.slice(place)]);
}

/**
 * Reorders the axes; reverses them by default. ONNX `Transpose`, PyTorch `permute`.
 *
 * @example permute(x, [0, 2, 3, 1]) // [N, C, H, W] to [N, H, W, C]
 * @throws ShapeError unless `order` names each axis once
 */
export function permute(x: Tensor, order?: readonly number[]): Tensor {
  checkSameBackend('permute', x);
  const axes = (order === undefined ? x.shape.map((_, i) => x.rank - 1 - i) : axesList('permute', order)).map((axis) =>
    normalizeAxis('permute', axis, x.rank),
  );
  if (axes.length !== x.rank || new Set(axes).size !== x.rank)
    throw new ShapeError(`permute: order is ${show(order)}, expected each of the ${x.rank} axes once`);
  const y = permuted(x, axes, true);
  return record('permute', y, [x], [], (dy) => [permuted(dy, inverse(axes), false)]);
}

function permuted(x: Tensor, axes: readonly number[], scoped: boolean): Tensor {
  const strides = stridesOf(x.shape);
  const shape = axes.map((axis) => x.shape[axis]);
  const y = empty('permute', shape, x.dtype, x.backend, scoped);
  x.backend.stridedCopy(y.storage, x.storage, {
    shape,
    yOffset: 0,
    yStrides: stridesOf(shape),
    xOffset: 0,
    xStrides: axes.map((axis) => strides[axis]),
  });
  return y;
}

function inverse(axes: readonly number[]): number[] {
  const result = new Array<number>(axes.length);
  axes.forEach((axis, i) => {
    result[axis] = i;
  });
  return result;
}

/**
 * Swaps two axes, by default the last two. PyTorch `transpose`.
 *
 * @example transpose(tensor([[1, 2], [3, 4]])) // [[1, 3], [2, 4]]
 */
export function transpose(x: Tensor, a = -1, b = -2): Tensor {
  checkSameBackend('transpose', x);
  const axes = x.shape.map((_, i) => i);
  const [i, j] = [normalizeAxis('transpose', a, x.rank), normalizeAxis('transpose', b, x.rank)];
  [axes[i], axes[j]] = [axes[j], axes[i]];
  return permute(x, axes);
}

/**
 * Returns a block: indices from `start` (inclusive) to `end` (exclusive) on each axis, by `step`. ONNX `Slice` with positive steps.
 *
 * @example slice(tensor([1, 2, 3, 4]), [1], [3]) // 2, 3
 * @throws ShapeError unless there is one value per axis; ValueError for a step below 1
 */
export function slice(x: Tensor, start: readonly number[], end: readonly number[], step?: readonly number[]): Tensor {
  checkSameBackend('slice', x);
  const steps = step === undefined ? x.shape.map(() => 1) : step;
  for (const [name, given] of Object.entries({ start, end, step: steps })) {
    checkArgument('slice', name, given, wholes);
    if (given.length !== x.rank) throw new ShapeError(`slice: ${name} has ${given.length} values, expected ${x.rank}, one per axis`);
  }
  const clip = (value: number, extent: number) => Math.min(Math.max(value < 0 ? value + extent : value, 0), extent);
  const from = start.map((value, i) => clip(value, x.shape[i]));
  if (steps.some((value) => value < 1)) throw new ValueError(`slice: step is [${steps}], expected whole numbers of at least 1`);
  const shape = from.map((value, i) => Math.max(0, Math.ceil((clip(end[i], x.shape[i]) - value) / steps[i])));
  const strides = stridesOf(x.shape);
  const offset = from.reduce((sum, value, i) => sum + value * strides[i], 0);
  const stepped = strides.map((stride, i) => (shape[i] > 1 ? stride * steps[i] : stride));
  const y = empty('slice', shape, x.dtype, x.backend);
  if (y.size > 0)
    x.backend.stridedCopy(y.storage, x.storage, { shape, yOffset: 0, yStrides: stridesOf(shape), xOffset: offset, xStrides: stepped });
  return record('slice', y, [x], [], (dy) => {
    const dx = empty('slice backward', x.shape, dy.dtype, dy.backend, false);
    dy.backend.fill(dx.storage, 0);
    if (dy.size > 0)
      dy.backend.stridedCopy(dx.storage, dy.storage, { shape, yOffset: offset, yStrides: stepped, xOffset: 0, xStrides: stridesOf(shape) });
    return [dx];
  });
}

/**
 * Concatenates tensors along an axis; their other extents must be equal. ONNX `Concat`, PyTorch `cat`.
 *
 * @example concat([zeros([2, 3]), ones([2, 1])], 1) // [2, 4]
 * @throws ShapeError for an empty array, and for tensors that differ in type or on another axis
 */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  if (!(Array.isArray as (value: unknown) => boolean)(tensors) || tensors.length === 0)
    throw new ShapeError(`concat: got ${show(tensors)}, expected an array of at least one tensor`);
  checkSameBackend('concat', ...tensors);
  const [first] = tensors;
  const along = normalizeAxis('concat', axis, first.rank);
  for (const t of tensors) {
    if (t.rank !== first.rank || t.dtype !== first.dtype || t.shape.some((extent, i) => i !== along && extent !== first.shape[i])) {
      throw new ShapeError(
        `concat: [${first.shape}] (${first.dtype}) and [${t.shape}] (${t.dtype}) differ on an axis other than ${along} or in type`,
      );
    }
  }
  const shape = first.shape.map((extent, i) => (i === along ? tensors.reduce((sum, t) => sum + t.shape[along], 0) : extent));
  const strides = stridesOf(shape);
  const y = empty('concat', shape, first.dtype, first.backend);
  const offsets: number[] = [];
  let offset = 0;
  for (const t of tensors) {
    offsets.push(offset);
    if (t.size > 0)
      t.backend.stridedCopy(y.storage, t.storage, {
        shape: t.shape,
        yOffset: offset,
        yStrides: strides,
        xOffset: 0,
        xStrides: stridesOf(t.shape),
      });
    offset += t.shape[along] * strides[along];
  }
  return record('concat', y, tensors, [], (dy, _saved, needs) =>
    tensors.map((t, i) => {
      if (!needs[i]) return null;
      const dx = empty('concat backward', t.shape, dy.dtype, dy.backend, false);
      if (dx.size > 0)
        dy.backend.stridedCopy(dx.storage, dy.storage, {
          shape: t.shape,
          yOffset: 0,
          yStrides: stridesOf(t.shape),
          xOffset: offsets[i],
          xStrides: strides,
        });
      return dx;
    }),
  );
}

/**
 * Pads with a constant; `amounts` has one pair [before, after] per axis. ONNX `Pad` (constant), PyTorch `pad`.
 *
 * @example pad(tensor([[1, 2]]), [[0, 0], [1, 1]]) // [[0, 1, 2, 0]]
 * @throws ShapeError unless there is one pair per axis, or if a negative amount leaves less than nothing
 */
export function pad(x: Tensor, amounts: readonly (readonly [number, number])[], value = 0): Tensor {
  checkSameBackend('pad', x);
  checkArgument('pad', 'the amounts', amounts, arrayOf(arrayOf(integer(), 2, 2)));
  checkArgument('pad', 'value', value, anyNumber);
  checkScalar('pad', value, x.dtype);
  if (amounts.length !== x.rank) throw new ShapeError(`pad: got ${amounts.length} pairs, expected ${x.rank}, one per axis`);
  const shape = x.shape.map((extent, i) => extent + amounts[i][0] + amounts[i][1]);
  checkShape('pad', shape);
  const strides = stridesOf(shape);
  const offset = amounts.reduce((sum, [before], i) => sum + before * strides[i], 0);
  const y = empty('pad', shape, x.dtype, x.backend);
  y.backend.fill(y.storage, value);
  if (x.size > 0)
    x.backend.stridedCopy(y.storage, x.storage, {
      shape: x.shape,
      yOffset: offset,
      yStrides: strides,
      xOffset: 0,
      xStrides: stridesOf(x.shape),
    });
  return record('pad', y, [x], [], (dy) => {
    const dx = empty('pad backward', x.shape, dy.dtype, dy.backend, false);
    if (dx.size > 0)
      dy.backend.stridedCopy(dx.storage, dy.storage, {
        shape: x.shape,
        yOffset: 0,
        yStrides: stridesOf(x.shape),
        xOffset: offset,
        xStrides: strides,
      });
    return [dx];
  });
}

/**
 * Broadcasts a tensor to a shape by repeating it along axes of extent 1. ONNX `Expand`, PyTorch `expand`.
 *
 * @example expand(tensor([[1], [2]]), [2, 3]) // [[1, 1, 1], [2, 2, 2]]
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  checkSameBackend('expand', x);
  checkShape('expand', shape);
  const target = broadcastShape('expand', x.shape, shape);
  const y = empty('expand', target, x.dtype, x.backend);
  x.backend.stridedCopy(y.storage, x.storage, {
    shape: target,
    yOffset: 0,
    yStrides: stridesOf(target),
    xOffset: 0,
    xStrides: broadcastStrides(x.shape, target),
  });
  return record('expand', y, [x], [], (dy) => [unbroadcast(dy.alias(dy.shape, false), x.shape)]);
}
