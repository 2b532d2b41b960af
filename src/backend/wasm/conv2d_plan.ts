/**
 * Choice of the convolution algorithm. The result of strict mode depends on the algorithm, so the choice depends on the shape alone and
 * never on measurements or the number of threads.
 */
import type { ConvPass } from '../backend.js';
import type { ConvParams } from '../params.js';

/**
 * The algorithms:
 * - `direct`: matrix product over panels packed directly from the images;
 * - `col2im`: for input gradients, a matrix product whose columns are added to the pixels that the taps read;
 * - `winograd2x2`, `winograd4x4`: Winograd's F(2×2, 3×3) and F(4×4, 3×3), applied to each phase of the image at stride 2.
 */
export type Conv2dVariant = 'direct' | 'col2im' | 'winograd2x2' | 'winograd4x4';

/** The chosen algorithm. */
export interface Conv2dPlan {
  variant: Conv2dVariant;
}

/** Conditions besides the shape on which the choice depends. */
export interface Conv2dContext {
  mode: 'strict' | 'fast';
  /** See `Backend.conv2d`. */
  inference: boolean;
}

/** With fewer input channels than this, the input gradient uses col2im, since a convolution would have too few rows. */
const FEW_CHANNELS = 12;
/** The input gradient also uses col2im if a convolution would need more than this factor of the arithmetic. */
const MOST_BORDER = 1.3;

/**
 * Measured cost of a Winograd convolution, in units of one multiply-add of a direct convolution: `product` per multiply-add of its own,
 * `transforms` per tile element, divided by the number of channels on the other side. Transforming a filter costs `FILTER`.
 */
const COSTS = { 2: { product: 1.1, transforms: 5.3 }, 4: { product: 1.25, transforms: 11.8 } } as const;
const FILTER = 450;
/** Winograd is chosen if it saves at least this share with transformed filters, and is not slower including their transform. */
const SAVING = 0.1;

/** Returns the algorithm for a shape; a pure function. `winograd4x4` is considered only for inference in fast mode. */
export function conv2dPlan(pass: ConvPass, p: ConvParams, { mode, inference }: Conv2dContext): Conv2dPlan {
  const direct: Conv2dPlan = { variant: pass === 'inputGrad' && !gradIsConvolution(p) ? 'col2im' : 'direct' };
  if (!winogradFits(p)) return direct;
  const plain = p.n * p.oh * p.ow * p.kh * p.kw;
  const worth = (1 - SAVING) * plain;
  const small = winogradCost(2, pass, p);
  if (pass === 'forward' && inference && mode === 'fast') {
    // Without FILTER, since transformed filters are cached in inference.
    const large = winogradCost(4, pass, p);
    if (large <= worth && large < small) return { variant: 'winograd4x4' };
  }
  return small <= worth && small + FILTER <= plain ? { variant: 'winograd2x2' } : direct;
}

/** Returns whether Winograd's algorithm applies: two or three taps per phase and axis, and no window entirely in the padding. */
export function winogradFits(p: ConvParams): boolean {
  if (p.groups !== 1 || p.dilationH !== 1 || p.dilationW !== 1 || p.strideH !== p.strideW) return false;
  const fits = p.strideH === 1 ? (taps: number) => taps === 3 : (taps: number) => taps === 5 || taps === 6;
  if (p.strideH > 2 || !fits(p.kh) || !fits(p.kw)) return false;
  return Math.max(p.padTop, p.padBottom) < p.kh && Math.max(p.padLeft, p.padRight) < p.kw;
}

/** Returns the cost per filter, without its transform. */
function winogradCost(tile: 2 | 4, pass: ConvPass, p: ConvParams): number {
  const [h, w] = pass === 'inputGrad' ? [Math.ceil(p.h / p.strideH), Math.ceil(p.w / p.strideW)] : [p.oh, p.ow];
  const tiles = Math.ceil((p.n * Math.ceil(h / tile) * Math.ceil(w / tile)) / 8) * 8;
  // A phase with two taps has tile + 1 products along an axis instead of tile + 2.
  const along = (kernel: number) => (p.strideH === 1 ? 1 : 2) * (tile + 2) - (kernel === 5 ? 1 : 0);
  const { product, transforms } = COSTS[tile];
  return tiles * along(p.kh) * along(p.kw) * (product + transforms / p.c + transforms / p.o);
}

/**
 * Returns whether the input gradient is computed as a convolution of dy with flipped weights instead of col2im; the two round
 * differently. With a stride, the convolution would need zeros between the elements of dy; with small maps, too much padding.
 */
function gradIsConvolution(p: ConvParams): boolean {
  if (p.strideH > 1 || p.strideW > 1 || p.c / p.groups < FEW_CHANNELS) return false;
  return p.h * p.w <= MOST_BORDER * p.oh * p.ow;
}
