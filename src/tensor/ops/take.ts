/** Selection of elements by flat index; gather, flips and mirrored padding are built on it. */
import { DTypeError, ValueError } from '../../backend/errors.js';
import { record } from '../graph/autograd.js';
import { checkFloat, checkSameBackend, empty, type Tensor } from '../tensor.js';

/**
 * Returns the elements of `x` at flat indices: y[i] = x[indices[i]], with x in row-major order. PyTorch `take`. The gradients of an
 * element that is selected several times are added.
 *
 * It has no kernel of its own: selection is the gradient of unpooling over one plane, and its gradient is unpooling.
 *
 * @param indices int32, each from 0 to x.size − 1
 * @returns a tensor with the shape of `indices`
 * @throws ValueError for an index outside x, if the indices can be read synchronously
 */
export function take(x: Tensor, indices: Tensor): Tensor {
  checkFloat('take', x);
  checkSameBackend('take', x, indices);
  if (indices.dtype !== 'int32') throw new DTypeError(`take: indices are ${indices.dtype}, expected int32`);
  const values = indices.buffer.onHost() ?? (indices.backend.readSync ? indices.dataSync() : null);
  const bad = values?.findIndex((index) => index < 0 || index >= x.size) ?? -1;
  if (bad >= 0)
    throw new ValueError(`take: index ${values?.[bad]} at position ${bad} is outside shape [${x.shape}], expected 0 to ${x.size - 1}`);
  const { shape } = x;
  const [inner, outer] = [indices.size, x.size];
  const y = empty('take', indices.shape, x.dtype, x.backend);
  if (inner > 0) x.backend.maxUnpool2dGrad(y.storage, x.storage, indices.storage, 1, inner, outer);
  return record('take', y, [x], [indices], (dy, [indices]) => {
    const dx = empty('take backward', shape, dy.dtype, dy.backend, false);
    dy.backend.maxUnpool2d(dx.storage, dy.storage, indices.storage, 1, inner, outer, 'sum');
    return [dx];
  });
}
