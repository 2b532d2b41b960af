/** Average pooling. */
import { type OldPoolOptions, type PoolOptions, poolParams } from '../../backend/params.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/**
 * Average pooling: returns the mean of each window. ONNX `AveragePool`, PyTorch `avg_pool2d`.
 *
 * @example avgPool2d(x, { kernelSize: 2 })
 * @param x [N, C, H, W]
 * @param options see `PoolOptions`; with `countIncludePad` (the default) the divisor includes the padding
 * @returns [N, C, OH, OW]
 * @throws ShapeError if the window does not fit into the padded input
 */
export function avgPool2d(x: Tensor, options: PoolOptions | OldPoolOptions): Tensor {
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
