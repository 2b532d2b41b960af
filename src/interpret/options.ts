/** Options of `attribute`. */
import { arrayOf, either, finite, integer, oneOf, positive, type RulesFor, rule, text } from '../backend/validate.js';
import { Tensor } from '../tensor/index.js';

/** Methods of `attribute`. */
export const ATTRIBUTION_METHODS = [
  'gradient',
  'guided',
  'deconvnet',
  'input-x-gradient',
  'integrated-gradients',
  'smoothgrad',
  'grad-cam',
  'guided-grad-cam',
  'occlusion',
] as const;

/** Name of a method of `attribute`. */
export type AttributionMethod = (typeof ATTRIBUTION_METHODS)[number];

/** Options of `attribute`. */
export interface AttributeOptions {
  /** The method; see `attribute` for the definition of each. */
  method: AttributionMethod;
  /** Class whose score is explained, or one per image. Default: the class with the highest score. */
  target?: number | readonly number[];
  /**
   * `grad-cam` and `guided-grad-cam`: layer whose maps are weighted, with outputs [N, maps, H, W]. Its own output is used, as in Captum;
   * name the ReLU after a convolution to weight rectified maps. Default: the last convolution, or the ReLU directly after it.
   */
  layer?: string;
  /** `integrated-gradients`: number of points of the Gauss-Legendre quadrature. Default 50. */
  steps?: number;
  /** `integrated-gradients` and `occlusion`: the input without information, a number or a tensor that broadcasts to `x`. Default 0. */
  baseline?: number | Tensor;
  /** `smoothgrad`: number of noisy copies. Default 50. */
  samples?: number;
  /** `smoothgrad`: standard deviation of the noise in units of the input. Default: 0.15 times the range of the values of `x`. */
  sigma?: number;
  /** `smoothgrad`: seed of the noise. Default 0. */
  seed?: number;
  /** `occlusion`: extent of the rectangle in pixels, one number or [height, width]. Default: an eighth of the image, rounded up. */
  window?: number | readonly [number, number];
  /** `occlusion`: pixels from one position to the next, one number or [vertical, horizontal]. Default: half the window, rounded up. */
  stride?: number | readonly [number, number];
}

const pair = either(integer(1), arrayOf(integer(1), 2, 2));

/** Rules of `AttributeOptions`. */
export const ATTRIBUTE_RULES: RulesFor<AttributeOptions> = {
  method: oneOf(...ATTRIBUTION_METHODS),
  target: either(integer(), arrayOf(integer(), 1)),
  layer: text,
  steps: integer(1, 10_000),
  baseline: either(
    finite(),
    rule('a tensor', (value) => value instanceof Tensor),
  ),
  samples: integer(1),
  sigma: positive,
  seed: integer(),
  window: pair,
  stride: pair,
};
