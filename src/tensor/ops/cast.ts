/** Conversion between element types. */
import type { DType } from '../../backend/backend.js';
import { record } from '../graph/autograd.js';
import { checkDtype, checkSameBackend, empty, isFloat, type Tensor } from '../tensor.js';

/**
 * Converts the elements to another type; floating-point values are truncated to integers. ONNX `Cast`, PyTorch `to`.
 *
 * @example cast(tensor([1.7, -1.7]), 'int32') // 1, -1
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkSameBackend('cast', x);
  checkDtype('cast', dtype);
  if (x.dtype === dtype) return x;
  const y = empty('cast', x.shape, dtype, x.backend);
  x.backend.cast(y.storage, x.storage);
  const from = x.dtype;
  if (!isFloat(from) || !isFloat(dtype)) return y;
  return record('cast', y, [x], [], (dy) => {
    const dx = empty('cast backward', dy.shape, from, dy.backend, false);
    dy.backend.cast(dx.storage, dy.storage);
    return [dx];
  });
}
