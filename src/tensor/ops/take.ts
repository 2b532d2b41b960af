/** Picking elements by their places: what gather, flips and mirrored padding are made of. */
import { DTypeError, ValueError } from '../../backend/errors.js';
import { record } from '../graph/autograd.js';
import { checkFloat, checkSameBackend, empty, type Tensor } from '../tensor.js';

/**
 * y[i] = x[indices[i]], with x seen as one row of numbers. An element that is picked several times collects its gradients. PyTorch `take`.
 *
 * There is no kernel of its own: picking is unpooling's gradient over one plane, and its gradient is unpooling.
 *
 * @param indices int32, each from 0 to x.size − 1
 * @returns the shape of `indices`
 * @throws ValueError for an index outside x, where indices are on the host or can be read at once
 */
export function take(x: Tensor, indices: Tensor): Tensor {
  checkFloat('take', x);
  checkSameBackend('take', x, indices);
  if (indices.dtype !== 'int32') throw new DTypeError(`take: indices are ${indices.dtype}, expected int32`);
  const values = indices.buffer.onHost() ?? (indices.backend.readSync ? indices.dataSync() : null);
  const bad = values?.findIndex((index) => index < 0 || index >= x.size) ?? -1;
  if (bad >= 0)
    throw new ValueError(`take: index ${values?.[bad]} at place ${bad} is outside the ${x.size} elements of shape [${x.shape}]`);
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
