/** Selection of elements by index: flat, along an axis, or element by element. */
import { DTypeError, ShapeError, ValueError } from '../../backend/errors.js';
import { anything, checkOptions, isPlainObject, show } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { normalizeAxis, type Shape, sizeOf, stridesOf } from '../shape.js';
import { checkFloat, checkSameBackend, empty, fromHost, isTensor, scope, type Tensor, tensor } from '../tensor.js';
import { add, mul } from './arithmetic.js';
import { reshape } from './movement.js';

/** Indices as an int32 tensor or as an array of whole numbers. */
export type Indices = Tensor | readonly number[];

/** Options of `indexSelect`: the axis along which elements are selected. */
export interface AxisOptions {
  /** The axis; negative axes count from the end. */
  axis?: number;
}

const AXIS_RULES = { axis: anything };

/**
 * Returns the elements of `x` at the given indices. PyTorch `index_select` and `take`, ONNX `Gather`.
 *
 * With an axis, each index selects a slice: y[…, i, …] = x[…, indices[i], …]. Without an axis, the indices are flat: y[i] = x[indices[i]]
 * with x in row-major order. The gradients of an element that is selected several times are added.
 *
 * It has no kernel of its own: selection is the gradient of unpooling over one plane, and its gradient is unpooling.
 *
 * @example indexSelect(x, [2, 0], { axis: 1 }); indexSelect(x, 1, tensor(Int32Array.of(2, 0)));
 * @param indices each from 0 to the extent of the axis − 1, or to x.size − 1 without an axis
 * @returns the shape of x with the axis replaced by the shape of the indices; without an axis the shape of the indices
 * @throws ValueError for an index out of range. For indices that only the backend has (results of operations), a backend that queues its
 *   work reports it at the next read of a tensor
 */
export function indexSelect(x: Tensor, indices: Indices, options?: AxisOptions): Tensor;
/** With the arguments in PyTorch's order. */
export function indexSelect(x: Tensor, axis: number, indices: Indices): Tensor;
export function indexSelect(x: Tensor, first: Indices | number, second?: Indices | AxisOptions): Tensor {
  checkFloat('indexSelect', x);
  const { indices: given, axis } = ordered('indexSelect', first, second);
  return withIndices('indexSelect', x, given, (indices) => {
    if (axis === undefined) return select('indexSelect', x, indices, x.shape);
    const along = normalizeAxis('indexSelect', axis, x.rank);
    checkRange('indexSelect', indices, x.shape[along] ?? 1, `axis ${along} of shape [${x.shape}]`);
    const [outer, extent, inner] = [sizeOf(x.shape.slice(0, along)), x.shape[along] ?? 1, sizeOf(x.shape.slice(along + 1))];
    const shape = [...x.shape.slice(0, along), ...indices.shape, ...x.shape.slice(along + 1)];
    const flat = scope(() => {
      const columns = mul(reshape(indices, [1, indices.size, 1]), inner);
      const places = add(add(columns, steps(x, outer, extent * inner, [outer, 1, 1])), steps(x, inner, 1, [1, 1, inner]));
      return reshape(places, shape);
    });
    return freeing(flat, select('indexSelect', x, flat, null));
  });
}

/**
 * Returns the elements that `indices` names along an axis: for axis 1, y[i][j] = x[i][indices[i][j]]. PyTorch `gather`, ONNX
 * `GatherElements`.
 *
 * @example gather(logSoftmax(scores), tensor(Int32Array.of(3, 1), [2, 1]), { axis: 1 })
 * @param indices int32 of the rank of x, at most as large as x on every other axis
 * @param options.axis default 0
 * @returns the shape of the indices
 * @throws ShapeError if the shapes do not match; ValueError for an index out of range, as for `indexSelect`
 */
export function gather(x: Tensor, indices: Tensor, options?: AxisOptions): Tensor;
/** With the arguments in PyTorch's order. */
export function gather(x: Tensor, axis: number, indices: Tensor): Tensor;
export function gather(x: Tensor, first: Tensor | number, second?: Tensor | AxisOptions): Tensor {
  checkFloat('gather', x);
  const { indices, axis = 0 } = ordered('gather', first, second);
  if (!isTensor(indices)) throw new ValueError(`gather: indices are ${show(indices)}, expected an int32 tensor of the rank of the input`);
  const along = normalizeAxis('gather', axis, x.rank);
  checkIndices('gather', x, indices);
  if (indices.rank !== x.rank || indices.shape.some((extent, i) => i !== along && extent > x.shape[i]))
    throw new ShapeError(
      `gather: indices have shape [${indices.shape}], expected rank ${x.rank} and at most [${x.shape}] on every axis but ${along}`,
    );
  checkRange('gather', indices, x.shape[along] ?? 1, `axis ${along} of shape [${x.shape}]`);
  return gatherAlong('gather', x, indices, along);
}

/** @internal `gather` with checked arguments. */
export function gatherAlong(op: string, x: Tensor, indices: Tensor, along: number): Tensor {
  const strides = stridesOf(x.shape);
  const flat = scope(() => {
    let places = mul(indices, strides[along] ?? 1);
    indices.shape.forEach((extent, i) => {
      const shape = indices.shape.map((_, j) => (i === j ? extent : 1));
      if (i !== along && extent > 1) places = add(places, steps(x, extent, strides[i], shape));
    });
    return places;
  });
  return freeing(flat, select(op, x, flat, null));
}

/** @deprecated The name of `indexSelect` without an axis before version 0.2. */
export const take = (x: Tensor, indices: Tensor): Tensor => indexSelect(x, indices);

/** Separates indices and axis, given in one of the two orders. */
function ordered(op: string, first: unknown, second: unknown): { indices: unknown; axis?: number } {
  if (typeof first === 'number') return { indices: second, axis: first };
  if (typeof second === 'number') return { indices: first, axis: second };
  if (second !== undefined && !isPlainObject(second))
    throw new ValueError(`${op}: options are ${show(second)}, expected an object such as { axis }`);
  checkOptions(op, second, AXIS_RULES);
  return { indices: first, axis: (second as AxisOptions | undefined)?.axis };
}

/** Runs `fn` with the indices as a checked tensor; frees the tensor made from an array. */
function withIndices(op: string, x: Tensor, given: unknown, fn: (indices: Tensor) => Tensor): Tensor {
  if (!Array.isArray(given)) {
    checkIndices(op, x, given as Tensor);
    return fn(given as Tensor);
  }
  const made = tensor(given, [given.length], { dtype: 'int32', backend: x.backend });
  return freeing(made, fn(made));
}

/** Frees a tensor of which the graph holds what it needs, and returns the result. */
function freeing(made: Tensor, result: Tensor): Tensor {
  made.release('indexSelect');
  return result;
}

function checkIndices(op: string, x: Tensor, indices: Tensor): void {
  checkSameBackend(op, x, indices);
  if (indices.dtype !== 'int32') throw new DTypeError(`${op}: indices are ${indices.dtype}, expected int32; use cast('int32')`);
}

/** Checks the indices: on the host if they are there (the usual case, without cost), otherwise on the backend. */
function checkRange(op: string, indices: Tensor, count: number, where: string): void {
  const outside = (index: number, position: number) =>
    `${op}: index ${index} at position ${position} is outside ${where}, expected 0 to ${count - 1}`;
  const values = indices.buffer.onHost();
  if (!values) {
    indices.backend.checkIndices(indices.storage, count, outside);
    return;
  }
  const bad = values.findIndex((index) => index < 0 || index >= count);
  if (bad >= 0) throw new ValueError(outside(values[bad], bad));
}

/** The int32 numbers 0, step, 2 · step, … in the given shape. */
function steps(x: Tensor, count: number, step: number, shape: Shape): Tensor {
  return fromHost(
    Int32Array.from({ length: count }, (_, i) => i * step),
    shape,
    { backend: x.backend },
  );
}

/** y[i] = x[indices[i]] with flat indices; `checked` is the shape of x if the indices still have to be checked. */
function select(op: string, x: Tensor, indices: Tensor, checked: Shape | null): Tensor {
  if (checked) checkRange(op, indices, x.size, `shape [${checked}]`);
  const { shape } = x;
  const p = { planes: 1, inner: indices.size, outer: x.size };
  const y = empty(op, indices.shape, x.dtype, x.backend);
  if (p.inner > 0) x.backend.maxUnpool2dGrad(y.storage, x.storage, indices.storage, p);
  return record(op, y, [x], [indices], (dy, [indices]) => {
    const dx = empty(`${op} backward`, shape, dy.dtype, dy.backend, false);
    dy.backend.maxUnpool2d(dx.storage, dy.storage, indices.storage, { ...p, overlap: 'sum', window: null });
    return [dx];
  });
}
