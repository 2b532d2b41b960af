/**
 * Which way a convolution takes, by its shape alone: strict mode's bits depend on it, so neither timing nor the number of threads
 * may have a say.
 */
import type { ConvPass } from '../backend.js';
import type { ConvParams } from '../params.js';

/**
 * - `direct`: a matrix product over panels packed straight from the images;
 * - `col2im`: for input gradients, a product whose columns are added up where the taps read;
 * - `winograd2x2`, `winograd4x4`: Winograd's F(2×2, 3×3) and F(4×4, 3×3), over phases where the stride is 2.
 */
export type Conv2dVariant = 'direct' | 'col2im' | 'winograd2x2' | 'winograd4x4';

export interface Conv2dPlan {
  variant: Conv2dVariant;
}

export interface Conv2dContext {
  mode: 'strict' | 'fast';
  /** No gradient will be asked for, and the weights are likely to be met again as they are. */
  inference: boolean;
}

/** With fewer input channels than this, a direct input gradient goes by col2im: a convolution would have too few rows. */
const FEW_CHANNELS = 12;
/** Nor is it a convolution if that took so many times the arithmetic. */
const MOST_BORDER = 1.3;

/**
 * What a Winograd convolution costs, in multiplications and additions of a direct one, by measurement: each of its own takes `product`
 * of them, and its transforms are spread over the channels on the other side. Transforming a filter costs `FILTER`.
 */
const COSTS = { 2: { product: 1.1, transforms: 5.3 }, 4: { product: 1.25, transforms: 11.8 } } as const;
const FILTER = 450;
/** It is chosen if it saves at least this share with filters that are transformed already, and loses nothing with others. */
const SAVING = 0.1;

/** Pure: the same answer for the same shape in every runtime. Only fast mode's inference has one variant more to choose from. */
export function conv2dPlan(pass: ConvPass, p: ConvParams, { mode, inference }: Conv2dContext): Conv2dPlan {
  const direct: Conv2dPlan = { variant: pass === 'inputGrad' && !gradIsConvolution(p) ? 'col2im' : 'direct' };
  if (!winogradFits(p)) return direct;
  const plain = p.n * p.oh * p.ow * p.kh * p.kw;
  const worth = (1 - SAVING) * plain;
  const small = winogradCost(2, pass, p);
  if (pass === 'forward' && inference && mode === 'fast') {
    // The filters are transformed already.
    const large = winogradCost(4, pass, p);
    if (large <= worth && large < small) return { variant: 'winograd4x4' };
  }
  return small <= worth && small + FILTER <= plain ? { variant: 'winograd2x2' } : direct;
}

/** Whether every phase of the convolution has two or three taps along either axis, and no window lies in the padding alone. */
export function winogradFits(p: ConvParams): boolean {
  if (p.groups !== 1 || p.dilationH !== 1 || p.dilationW !== 1 || p.strideH !== p.strideW) return false;
  const fits = p.strideH === 1 ? (taps: number) => taps === 3 : (taps: number) => taps === 5 || taps === 6;
  if (p.strideH > 2 || !fits(p.kh) || !fits(p.kw)) return false;
  return Math.max(p.padTop, p.padBottom) < p.kh && Math.max(p.padLeft, p.padRight) < p.kw;
}

/** Per filter, without transforming it. */
function winogradCost(tile: 2 | 4, pass: ConvPass, p: ConvParams): number {
  const [h, w] = pass === 'inputGrad' ? [Math.ceil(p.h / p.strideH), Math.ceil(p.w / p.strideW)] : [p.oh, p.ow];
  const tiles = Math.ceil((p.n * Math.ceil(h / tile) * Math.ceil(w / tile)) / 8) * 8;
  // Of the tile + 2 products along an axis, a phase with two taps has one less.
  const along = (kernel: number) => (p.strideH === 1 ? 1 : 2) * (tile + 2) - (kernel === 5 ? 1 : 0);
  const { product, transforms } = COSTS[tile];
  return tiles * along(p.kh) * along(p.kw) * (product + transforms / p.c + transforms / p.o);
}

/**
 * Whether the input gradient is a convolution of dy with the weights turned around, rather than col2im: the two round differently.
 * At a stride, dy would need zeros in between; from small maps, most of its border is zeros.
 */
function gradIsConvolution(p: ConvParams): boolean {
  if (p.strideH > 1 || p.strideW > 1 || p.c / p.groups < FEW_CHANNELS) return false;
  return p.h * p.w <= MOST_BORDER * p.oh * p.ow;
}
