/** Batch normalisation with given statistics, as in evaluation (Ioffe & Szegedy 2015). */
import { ShapeError } from '../../backend/errors.js';
import { checkArgument, finite } from '../../backend/validate.js';
import { checkFloat, type Tensor } from '../tensor.js';
import { add, div, mul, sub } from './arithmetic.js';
import { reshape } from './movement.js';
import { sqrt } from './unary.js';

/**
 * Batch normalisation: returns (x − mean) / √(variance + epsilon) · scale + shift, with one value of each parameter per channel. ONNX
 * `BatchNormalization`, PyTorch `batch_norm` in evaluation.
 *
 * The operation is an affine map per channel and, unlike local response normalisation, does not normalise contrast. Its backward step is
 * therefore the gradient under all rules.
 *
 * @param x [N, C, …], of rank 2 or higher
 * @param scale, shift, mean, variance [C] each
 */
export function batchNorm2d(x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor, epsilon = 1e-5): Tensor {
  checkFloat('batchNorm2d', x, scale, shift, mean, variance);
  checkArgument('batchNorm2d', 'epsilon', epsilon, finite(0));
  if (x.rank < 2 || [scale, shift, mean, variance].some((t) => t.rank !== 1 || t.size !== x.shape[1]))
    throw new ShapeError(
      `batchNorm2d: input has shape [${x.shape}]; scale [${scale.shape}], shift [${shift.shape}], mean [${mean.shape}] and variance [${variance.shape}] must be [${x.shape[1]}] each`,
    );
  const perChannel = (t: Tensor) => reshape(t, [t.size, ...new Array<number>(x.rank - 2).fill(1)]);
  const factor = div(scale, sqrt(add(variance, epsilon)));
  return add(mul(x, perChannel(factor)), perChannel(sub(shift, mul(mean, factor))));
}
