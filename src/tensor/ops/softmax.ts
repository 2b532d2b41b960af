/** Softmax and its logarithm along an axis. */
import { ShapeError } from '../../backend/errors.js';
import type { RowParams } from '../../backend/params.js';
import { anything, checkOptions } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { normalizeAxis } from '../shape.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import { transpose } from './movement.js';

interface SoftmaxOptions {
  /** The axis along which the results of `softmax` add up to 1; negative axes count from the end. Default −1. */
  axis?: number;
}

const SOFTMAX_RULES = { axis: anything };

function rows(op: string, x: Tensor): RowParams {
  if (x.rank < 1) throw new ShapeError(`${op}: input has shape [], expected at least one axis`);
  const columns = x.shape[x.rank - 1];
  return { rows: columns > 0 ? x.size / columns : 0, columns };
}

/**
 * Runs an operation along the last axis on another one, which is swapped with the last for that time. Each swap is a copy; along the last
 * axis there is none.
 */
function along(op: string, x: Tensor, options: SoftmaxOptions, run: (x: Tensor) => Tensor): Tensor {
  checkFloat(op, x);
  checkOptions(op, options, SOFTMAX_RULES);
  const { axis = -1 } = options;
  if (axis === -1) return run(x);
  const place = normalizeAxis(op, axis, x.rank);
  if (place >= x.rank - 1) return run(x);
  const swapped = transpose(x, place, -1);
  const y = run(swapped);
  const result = transpose(y, place, -1);
  for (const made of [swapped, y]) made.release(op);
  return result;
}

/**
 * Softmax: returns exp(x) / Σ exp(x) along an axis, without overflow. ONNX `Softmax`, PyTorch `softmax`.
 *
 * @example softmax(scores, { axis: 1 })
 */
export const softmax = (x: Tensor, options: SoftmaxOptions = {}): Tensor => along('softmax', x, options, softmaxOfRows);

function softmaxOfRows(x: Tensor): Tensor {
  const p = rows('softmax', x);
  const y = empty('softmax', x.shape, x.dtype, x.backend);
  x.backend.softmax(y.storage, x.storage, p);
  return record('softmax', y, [x], [y], (dy, [y]) => {
    const dx = empty('softmax backward', y.shape, dy.dtype, dy.backend, false);
    dy.backend.softmaxGrad(dx.storage, dy.storage, y.storage, p);
    return [dx];
  });
}

/**
 * Logarithm of softmax: returns x − log Σ exp(x) along an axis, without overflow. ONNX `LogSoftmax`, PyTorch `log_softmax`.
 *
 * @example logSoftmax(scores, { axis: 1 })
 */
export const logSoftmax = (x: Tensor, options: SoftmaxOptions = {}): Tensor => along('logSoftmax', x, options, logSoftmaxOfRows);

function logSoftmaxOfRows(x: Tensor): Tensor {
  const p = rows('logSoftmax', x);
  const y = empty('logSoftmax', x.shape, x.dtype, x.backend);
  x.backend.logSoftmax(y.storage, x.storage, p);
  return record('logSoftmax', y, [x], [y], (dy, [y]) => {
    const dx = empty('logSoftmax backward', y.shape, dy.dtype, dy.backend, false);
    dy.backend.logSoftmaxGrad(dx.storage, dy.storage, y.storage, p);
    return [dx];
  });
}
