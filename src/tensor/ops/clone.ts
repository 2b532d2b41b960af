/** Copies. */
import { record } from '../graph/autograd.js';
import { checkSameBackend, empty, isFloat, type Tensor } from '../tensor.js';

/**
 * Returns a copy with memory of its own; the gradient passes through. PyTorch `clone`, ONNX `Identity`.
 *
 * @example const copy = clone(x);
 */
export function clone(x: Tensor): Tensor {
  checkSameBackend('clone', x);
  const y = empty('clone', x.shape, x.dtype, x.backend);
  x.backend.cast(y.storage, x.storage);
  return isFloat(x.dtype) ? record('clone', y, [x], [], (dy) => [dy]) : y;
}
