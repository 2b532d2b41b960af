/** Softmax and its logarithm along the last axis. */
import { ShapeError } from '../../backend/errors.js';
import type { RowParams } from '../../backend/params.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

function rows(op: string, x: Tensor): RowParams {
  if (x.rank < 1) throw new ShapeError(`${op}: input has shape [], expected at least one axis`);
  const columns = x.shape[x.rank - 1];
  return { rows: columns > 0 ? x.size / columns : 0, columns };
}

/** Softmax: returns exp(x) / Σ exp(x) along the last axis, without overflow. ONNX `Softmax` (axis −1), PyTorch `softmax(dim=-1)`. */
export function softmax(x: Tensor): Tensor {
  checkFloat('softmax', x);
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
 * Logarithm of softmax: returns x − log Σ exp(x) along the last axis, without overflow. ONNX `LogSoftmax` (axis −1), PyTorch
 * `log_softmax(dim=-1)`.
 */
export function logSoftmax(x: Tensor): Tensor {
  checkFloat('logSoftmax', x);
  const p = rows('logSoftmax', x);
  const y = empty('logSoftmax', x.shape, x.dtype, x.backend);
  x.backend.logSoftmax(y.storage, x.storage, p);
  return record('logSoftmax', y, [x], [y], (dy, [y]) => {
    const dx = empty('logSoftmax backward', y.shape, dy.dtype, dy.backend, false);
    dy.backend.logSoftmaxGrad(dx.storage, dy.storage, y.storage, p);
    return [dx];
  });
}
