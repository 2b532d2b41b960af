/** Local response normalisation: the contrast normalisation of Krizhevsky et al. 2012 and of the paper. */
import { ShapeError, ValueError } from '../../backend/errors.js';
import type { LrnParams } from '../../backend/params.js';
import { record } from '../autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

export interface LrnOptions {
  /** Width of the window. Default 5. */
  size?: number;
  /** Default 1e-4. */
  alpha?: number;
  /** Default 0.75. */
  beta?: number;
  /** Default 2 (ONNX calls it `bias`, default 1 there and in PyTorch). */
  k?: number;
  /** `across` channels (default), or `within` a channel over a square of pixels, as Caffe's ZF model. */
  region?: 'across' | 'within';
}

/**
 * y = x / (k + alpha / count · Σ x²) ^ beta, the sum running over a window of `size` channels around each channel, or of
 * size × size pixels around each pixel; what lies outside counts as 0. `count` is size, or size². Alpha is divided by the count: the
 * convention of ONNX, PyTorch and Caffe. TensorFlow's is another (half-width radius, alpha not divided).
 *
 * @param x [N, C, H, W]
 * @returns the same shape
 */
export function localResponseNorm(x: Tensor, options: LrnOptions = {}): Tensor {
  checkFloat('localResponseNorm', x);
  const { size = 5, alpha = 1e-4, beta = 0.75, k = 2, region = 'across' } = options;
  if (x.rank !== 4) throw new ShapeError(`localResponseNorm: input has shape [${x.shape}], expected [N, C, H, W]`);
  if (!Number.isInteger(size) || size < 1)
    throw new ValueError(`localResponseNorm: size is ${size}, expected a whole number of at least 1`);
  if (region !== 'across' && region !== 'within')
    throw new ValueError(`localResponseNorm: region is '${region}', expected 'across' or 'within'`);
  const [n, c, h, w] = x.shape;
  const p: LrnParams = { n, c, h, w, size, alphaOverSize: alpha / (region === 'across' ? size : size * size), beta, k, region };
  const y = empty('localResponseNorm', x.shape, x.dtype, x.backend);
  x.backend.localResponseNorm(y.storage, x.storage, p);
  return record('localResponseNorm', y, [x], [x], (dy, [x], _needs, rules) => {
    if (rules.normalization === 'pass') return [dy];
    const dx = empty('localResponseNorm backward', x.shape, dy.dtype, dy.backend, false);
    dy.backend.localResponseNormGrad(dx.storage, dy.storage, x.storage, p);
    return [dx];
  });
}
