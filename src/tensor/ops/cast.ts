/** Change of number type. */
import type { DType } from '../../backend/backend.js';
import { record } from '../autograd.js';
import { empty, type Tensor } from '../tensor.js';

/** The same values in another type; floating-point numbers become whole ones by truncation. ONNX `Cast`. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const y = empty('cast', x.shape, dtype, x.backend);
  x.backend.cast(y.storage, x.storage);
  const from = x.dtype;
  const differentiable = (type: DType) => type === 'float32' || type === 'float64';
  if (!differentiable(from) || !differentiable(dtype)) return y;
  return record('cast', y, [x], [], (dy) => {
    const dx = empty('cast backward', dy.shape, from, dy.backend, false);
    dy.backend.cast(dx.storage, dy.storage);
    return [dx];
  });
}
