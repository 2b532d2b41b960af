/** Local response normalisation: the contrast normalisation of Krizhevsky et al. 2012 and of the paper. */
import { ShapeError } from '../../backend/errors.js';
import type { LrnParams } from '../../backend/params.js';
import { checkOptions, finite, integer, oneOf } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
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
  /**
   * Where the window of an even `size` lies, which has no middle: `onnx` (default) reaches one element further behind the
   * centre than before it, `pytorch` one further before it. For an odd `size` the two agree.
   */
  window?: 'onnx' | 'pytorch';
}

/** @internal */
export const LRN_RULES = {
  size: integer(1),
  alpha: finite(),
  beta: finite(),
  k: finite(),
  region: oneOf('across', 'within'),
  window: oneOf('onnx', 'pytorch'),
};

/** How many elements the window holds before its centre; those behind it make up the rest. */
export const lrnBefore = ({ size = 5, window = 'onnx' }: LrnOptions): number => Math.floor((window === 'onnx' ? size - 1 : size) / 2);

/**
 * y = x / (k + alpha / count · Σ x²) ^ beta, the sum running over a window of `size` channels around each channel, or of
 * size × size pixels around each pixel; what lies outside counts as 0. `count` is size, or size². Alpha is divided by the count: the
 * convention of ONNX, PyTorch and Caffe. TensorFlow's is another (half-width radius, alpha not divided). ONNX `LRN`; PyTorch
 * `local_response_norm` differs for an even `size`: see the option `window`.
 *
 * @param x [N, C, H, W]
 * @returns the same shape
 */
export function localResponseNorm(x: Tensor, options: LrnOptions = {}): Tensor {
  checkFloat('localResponseNorm', x);
  checkOptions('localResponseNorm', options, LRN_RULES);
  const { size = 5, alpha = 1e-4, beta = 0.75, k = 2, region = 'across' } = options;
  if (x.rank !== 4) throw new ShapeError(`localResponseNorm: input has shape [${x.shape}], expected [N, C, H, W]`);
  const [n, c, h, w] = x.shape;
  // A window that reaches beyond the border on either side sees the same as one that ends there.
  const most = Math.max(region === 'across' ? c : Math.max(h, w), 1) - 1;
  const [before, after] = [Math.min(lrnBefore(options), most), Math.min(size - 1 - lrnBefore(options), most)];
  const alphaOverSize = alpha / (region === 'across' ? size : size * size);
  const p: LrnParams = { n, c, h, w, before, after, alphaOverSize, beta, k, region };
  const y = empty('localResponseNorm', x.shape, x.dtype, x.backend);
  x.backend.localResponseNorm(y.storage, x.storage, p);
  return record('localResponseNorm', y, [x], [x], (dy, [x], _needs, rules) => {
    if (rules.normalization === 'pass') return [dy];
    const dx = empty('localResponseNorm backward', x.shape, dy.dtype, dy.backend, false);
    dy.backend.localResponseNormGrad(dx.storage, dy.storage, x.storage, p);
    return [dx];
  });
}
