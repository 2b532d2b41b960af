/** Reductions over axes: sum, mean, maximum, minimum and argmax. */
import { IN_PLACE, type ReduceOp } from '../../backend/backend.js';
import { ShapeError } from '../../backend/errors.js';
import { anything, boolean, checkOptions } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { broadcastParams, broadcastStrides, normalizeAxis, reducedAxes, reduceParams, sameShape, sizeOf, stridesOf } from '../shape.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import type { ReduceOptions } from '../tensor_methods.js';

export type { ReduceOptions };

/** @internal Rules of `ReduceOptions`. Axes are checked later, against the shape. */
export const reduceRules = { axes: anything, keepDims: boolean };
const ARGMAX_RULES = { axis: anything, keepDims: boolean };

function layout(op: string, x: Tensor, options: ReduceOptions) {
  const axes = reducedAxes(op, x.shape, options.axes);
  const keptShape = x.shape.map((extent, i) => (axes.includes(i) ? 1 : extent));
  const shape = options.keepDims ? keptShape : x.shape.filter((_, i) => !axes.includes(i));
  return { axes, keptShape, shape, count: sizeOf(axes.map((i) => x.shape[i])) };
}

function reduceForward(op: ReduceOp, x: Tensor, options: ReduceOptions) {
  checkFloat(op, x);
  checkOptions(op, options, reduceRules);
  const plan = layout(op, x, options);
  if (plan.count === 0 && (op === 'max' || op === 'min'))
    throw new ShapeError(`${op}: got no elements on axes [${plan.axes}] of shape [${x.shape}], expected at least one`);
  const y = empty(op, plan.shape, x.dtype, x.backend);
  if (x.size === 0) x.backend.fill(y.storage, op === 'mean' ? Number.NaN : 0);
  else x.backend.reduce(y.storage, x.storage, op, reduceParams(x.shape, plan.axes));
  return { y, ...plan };
}

/** Broadcasts `dy`, of shape `kept`, to the shape of the input and multiplies it by `scale`. */
function expandGradient(dy: Tensor, kept: readonly number[], shape: readonly number[], scale: number): Tensor {
  const dx = empty('reduce backward', shape, dy.dtype, dy.backend, false);
  dy.backend.stridedCopy(dx.storage, dy.storage, {
    shape,
    yOffset: 0,
    yStrides: stridesOf(shape),
    xOffset: 0,
    xStrides: broadcastStrides(kept, shape),
  });
  if (scale !== 1) dx.backend.affine(dx.storage, IN_PLACE, scale, 0);
  return dx;
}

/**
 * Returns the sum over axes; 0 for no elements. ONNX `ReduceSum`, PyTorch `sum`.
 *
 * @example sum(x, { axes: 1, keepDims: true })
 */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { y, keptShape } = reduceForward('sum', x, options);
  const { shape } = x;
  return record('sum', y, [x], [], (dy) => [expandGradient(dy, keptShape, shape, 1)]);
}

/**
 * Returns the mean over axes; NaN for no elements. ONNX `ReduceMean`, PyTorch `mean`.
 *
 * @example mean(x, { axes: [0, 2, 3] }) // one mean per channel
 */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { y, keptShape, count } = reduceForward('mean', x, options);
  const { shape } = x;
  return record('mean', y, [x], [], (dy) => [expandGradient(dy, keptShape, shape, 1 / count)]);
}

/**
 * Returns the maximum over axes; equal maxima share the gradient evenly. ONNX `ReduceMax`, PyTorch `amax`.
 *
 * @example max(scores, { axes: 1 })
 * @throws ShapeError if there are no elements
 */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => extreme('max', x, options);

/**
 * Returns the minimum over axes; see `max`. ONNX `ReduceMin`, PyTorch `amin`.
 *
 * @example min(x)
 */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => extreme('min', x, options);

function extreme(op: 'max' | 'min', x: Tensor, options: ReduceOptions): Tensor {
  const { y, keptShape, axes } = reduceForward(op, x, options);
  return record(op, y, [x], [x, y], (dy, [x, y]) => {
    // mask = (x = y); dx = mask · dy / Σ mask
    const { backend, dtype } = dy;
    const mask = empty(`${op} backward`, x.shape, dtype, backend, false);
    const overKept = broadcastParams(x.shape, x.shape, keptShape);
    backend.binary(mask.storage, x.storage, y.storage, 'equal', overKept);
    const share = empty(`${op} backward`, y.shape, dtype, backend, false);
    backend.reduce(share.storage, mask.storage, 'sum', reduceParams(x.shape, axes));
    backend.binary(share.storage, dy.storage, IN_PLACE, 'div', broadcastParams(y.shape, y.shape, y.shape));
    backend.binary(mask.storage, IN_PLACE, share.storage, 'mul', overKept);
    share.release('backward()');
    return [mask];
  });
}

/**
 * Returns the index of the first maximum along an axis (default: the last axis), as int32. ONNX `ArgMax`, PyTorch `argmax`.
 *
 * @example argmax(scores, { axis: 1 }) // the predicted classes
 * @throws ShapeError if there are no elements along the axis
 */
export function argmax(x: Tensor, options: { axis?: number; keepDims?: boolean } = {}): Tensor {
  checkFloat('argmax', x);
  checkOptions('argmax', options, ARGMAX_RULES);
  const { axis = -1, keepDims } = options;
  const { axes, shape, count } = layout('argmax', x, { axes: normalizeAxis('argmax', axis, x.rank), keepDims });
  if (count === 0) throw new ShapeError(`argmax: got no elements along the axis of shape [${x.shape}], expected at least one`);
  const y = empty('argmax', shape, 'int32', x.backend);
  x.backend.argmax(y.storage, x.storage, reduceParams(x.shape, axes));
  return y;
}

/** @internal Sums a gradient over the axes along which the operand was broadcast. Frees `dy` unless it returns it. */
export function unbroadcast(dy: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(dy.shape, shape)) return dy;
  const lead = dy.rank - shape.length;
  const axes = dy.shape.map((_, i) => i).filter((i) => i < lead || (shape[i - lead] === 1 && dy.shape[i] !== 1));
  const result = empty('backward', shape, dy.dtype, dy.backend, false);
  if (dy.size === 0) dy.backend.fill(result.storage, 0);
  else dy.backend.reduce(result.storage, dy.storage, 'sum', reduceParams(dy.shape, axes));
  dy.release('backward()');
  return result;
}
