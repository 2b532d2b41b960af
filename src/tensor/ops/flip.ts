/** Reversal of axes. */
import { record } from '../graph/autograd.js';
import { reducedAxes, stridesOf } from '../shape.js';
import { checkSameBackend, empty, isFloat, type Tensor } from '../tensor.js';

/**
 * Reverses the order of the elements along axes. PyTorch `flip`, ONNX `Slice` with steps of −1.
 *
 * @example flip(images, 3) // mirrors images [N, C, H, W] horizontally
 * @param axes one axis or several. Default: all of them
 */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  checkSameBackend('flip', x);
  const reversed = reducedAxes('flip', x.shape, axes);
  const y = flipped(x, reversed, true);
  return isFloat(x.dtype) ? record('flip', y, [x], [], (dy) => [flipped(dy, reversed, false)]) : y;
}

function flipped(x: Tensor, axes: readonly number[], scoped: boolean): Tensor {
  const { shape } = x;
  const strides = stridesOf(shape);
  const y = empty('flip', shape, x.dtype, x.backend, scoped);
  if (x.size > 0)
    x.backend.stridedCopy(y.storage, x.storage, {
      shape,
      yOffset: 0,
      yStrides: strides,
      xOffset: axes.reduce((sum, axis) => sum + (shape[axis] - 1) * strides[axis], 0),
      xStrides: strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)),
    });
  return y;
}
