/** Average pooling. */
import { type PoolOptions, poolParams } from '../../backend/params.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/**
 * The mean of each window. ONNX `AveragePool`, PyTorch `avg_pool2d`.
 *
 * @param x [N, C, H, W]
 * @param options kernel, stride (default: the kernel), padding, ceil; countIncludePad (default true, as PyTorch) divides by
 *   the window's full size even where it overlaps padding
 * @returns [N, C, OH, OW]
 */
export function avgPool2d(x: Tensor, options: PoolOptions): Tensor {
  checkFloat('avgPool2d', x);
  const p = poolParams('avgPool2d', x.shape, options);
  const { shape } = x;
  const y = empty('avgPool2d', [shape[0], shape[1], p.oh, p.ow], x.dtype, x.backend);
  x.backend.avgPool2d(y.storage, x.storage, p);
  return record('avgPool2d', y, [x], [], (dy) => {
    const dx = empty('avgPool2d backward', shape, dy.dtype, dy.backend, false);
    dy.backend.avgPool2dGrad(dx.storage, dy.storage, p);
    return [dx];
  });
}
