/** Local response normalisation (LRN): the contrast normalisation of Krizhevsky et al. 2012 and of ZFNet. */
import { ShapeError } from '../../backend/errors.js';
import type { LrnParams } from '../../backend/params.js';
import { checkOptions, finite, integer, oneOf } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/** Options of `localResponseNorm`. */
export interface LrnOptions {
  /** Number of channels, or side length in pixels, of the window. Default 5. */
  size?: number;
  /** Factor of the mean square. Default 1e-4. */
  alpha?: number;
  /** Exponent of the denominator. Default 0.75. */
  beta?: number;
  /** Additive constant in the denominator. Default 2. ONNX calls it `bias`; its default there and in PyTorch is 1. */
  k?: number;
  /** Whether the window extends `across` channels (default) or over a square `within` each channel, as in Caffe's ZF model. */
  region?: 'across' | 'within';
  /**
   * Position of a window of even `size`: it contains one more element after its centre (`onnx`, default) or before it (`pytorch`).
   * For an odd `size` both are the same.
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

/** Returns the number of elements of the window before its centre. */
export const lrnBefore = ({ size = 5, window = 'onnx' }: LrnOptions): number => Math.floor((window === 'onnx' ? size - 1 : size) / 2);

/**
 * Local response normalisation: returns x / (k + alpha / count · Σ x²) ^ beta. ONNX `LRN`, PyTorch `local_response_norm`.
 *
 * The sum is over a window of `size` channels around each channel, or of size × size pixels around each pixel; elements outside the
 * tensor count as 0. `count` is size or size². Dividing alpha by the count is the convention of ONNX, PyTorch and Caffe; TensorFlow
 * defines the window by its radius and does not divide alpha. For an even `size` see the option `window`.
 *
 * @example localResponseNorm(x, { size: 5, alpha: 1e-4, beta: 0.75, k: 2 })
 * @param x [N, C, H, W]
 * @returns the same shape
 * @throws ShapeError for an input of another rank than 4
 */
export function localResponseNorm(x: Tensor, options: LrnOptions = {}): Tensor {
  checkFloat('localResponseNorm', x);
  checkOptions('localResponseNorm', options, LRN_RULES);
  const { size = 5, alpha = 1e-4, beta = 0.75, k = 2, region = 'across' } = options;
  if (x.rank !== 4) throw new ShapeError(`localResponseNorm: input has shape [${x.shape}], expected [N, C, H, W]`);
  const [n, c, h, w] = x.shape;
  // A window that ends at the border has the same sum as one that extends beyond it.
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
