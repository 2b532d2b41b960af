/**
 * Winograd's F(2×2, 3×3) (Lavin and Gray 2015) for the passes of a convolution: where it applies, its sizes, and whether it pays.
 *
 * With stride 1 and 3×3 taps there is one phase. With stride 2 and 5 or 6 taps along each axis, the image and the kernel are split by the
 * parity of row and column into four phases, each a convolution with stride 1 and at most 3×3 taps; the phases are further channels.
 */
import type { ConvPass } from '../../backend.js';
import type { ConvParams } from '../../params.js';
import { type Adapter, type ProductPlan, type ProductShape, planProduct } from './tiles.js';

/** Multiply-adds per tile and pair of channels: the elements of a 4×4 tile. */
export const PLANES = 16;

/** Returns whether the algorithm applies to a convolution. */
export function winogradFits(p: ConvParams): boolean {
  if (p.groups !== 1 || p.dilationH !== 1 || p.dilationW !== 1 || p.strideH !== p.strideW || p.strideH > 2) return false;
  const fits = p.strideH === 1 ? (taps: number) => taps === 3 : (taps: number) => taps === 5 || taps === 6;
  return fits(p.kh) && fits(p.kw);
}

/** Sizes of a pass: the grid of output pixels of one phase (or of input pixels, in an input gradient), and its tiles of 2×2 pixels. */
export interface WinogradSizes {
  readonly phases: number;
  readonly tilesH: number;
  readonly tilesW: number;
  /** Input gradient: the grid's first row and column, in units of the stride from the first padded input row and column. */
  readonly firstY: number;
  readonly firstX: number;
}

/** Returns the sizes of a pass. */
export function winogradSizes(pass: ConvPass, p: ConvParams): WinogradSizes {
  const { strideH: stride } = p;
  const phases = stride * stride;
  if (pass !== 'inputGrad') return { phases, tilesH: Math.ceil(p.oh / 2), tilesW: Math.ceil(p.ow / 2), firstY: 0, firstX: 0 };
  const axis = (size: number, pad: number) => {
    const first = Math.floor(pad / stride);
    return [first, Math.ceil((Math.floor((size - 1 + pad) / stride) - first + 1) / 2)] as const;
  };
  const [[firstY, tilesH], [firstX, tilesW]] = [axis(p.h, p.padTop), axis(p.w, p.padLeft)];
  return { phases, tilesH, tilesW, firstY, firstX };
}

/** Maximum bytes of one scratch storage; more images are computed in several chunks. */
const MOST_CHUNK_BYTES = 2 ** 28;

/** A division of the work: the product of the transformed operands, and the number of images per chunk. */
export interface WinogradPlan {
  readonly product: ProductPlan;
  readonly images: number;
}

/** Returns the number of images per chunk; the chunks have about equal sizes. */
export function winogradImages(pass: ConvPass, p: ConvParams, { maxBufferBytes }: Pick<Adapter, 'maxBufferBytes'>): number {
  const { phases, tilesH, tilesW } = winogradSizes(pass, p);
  const channels = pass === 'inputGrad' ? Math.max(p.o, phases * p.c) : Math.max(phases * p.c, p.o);
  const bytesOfOne = 4 * PLANES * channels * tilesH * tilesW;
  const most = Math.max(1, Math.floor(Math.min(maxBufferBytes, MOST_CHUNK_BYTES) / bytesOfOne));
  return Math.max(1, Math.ceil(p.n / Math.max(1, Math.ceil(p.n / most))));
}

/** Returns the size of the product over the transformed tiles of a number of images. */
export function winogradShape(pass: ConvPass, p: ConvParams, images: number): ProductShape {
  const { phases, tilesH, tilesW } = winogradSizes(pass, p);
  const tiles = images * tilesH * tilesW;
  if (pass === 'forward') return { rows: p.o, columns: tiles, depth: phases * p.c, items: PLANES };
  if (pass === 'inputGrad') return { rows: phases * p.c, columns: tiles, depth: p.o, items: PLANES };
  return { rows: p.o, columns: phases * p.c, depth: tiles, items: PLANES };
}

/** Returns the plan of a pass. */
export function winogradPlan(pass: ConvPass, p: ConvParams, adapter: Adapter): WinogradPlan {
  const images = winogradImages(pass, p, adapter);
  const product = planProduct(winogradShape(pass, p, images), adapter);
  return { images, product: pass === 'weightGrad' ? product : { tile: product.tile, slices: 1 } };
}

/** With less arithmetic than this, the additional dispatches take more time than is saved. */
const LEAST_FLOP = 2 ** 30;

/** Multiply-adds per tile and pair of channels, summed over phases: a phase with two taps along an axis needs three products, not four. */
export function winogradProducts(p: ConvParams): number {
  const along = (taps: number) => (p.strideH === 1 ? 4 : taps === 5 ? 7 : 8);
  return along(p.kh) * along(p.kw);
}

/**
 * Returns whether the algorithm is expected to be faster than an implicit matrix product: it saves more than half of the arithmetic, but
 * writes the transformed operands to memory and reads them again. Never on a software device, where results must come from few kernels.
 */
export function winogradPays(pass: ConvPass, p: ConvParams, adapter: Pick<Adapter, 'software' | 'flopPerByte'>): boolean {
  if (adapter.software || !winogradFits(p)) return false;
  const { phases, tilesH, tilesW } = winogradSizes(pass, p);
  const tiles = p.n * tilesH * tilesW;
  const direct = 2 * p.n * p.oh * p.ow * p.o * p.c * p.kh * p.kw;
  const products = 2 * tiles * p.o * p.c * winogradProducts(p);
  // In an input gradient, only the gradient of the output is transformed once for all phases.
  const [transformed, results] = pass === 'inputGrad' ? [p.o, phases * p.c] : [phases * p.c, p.o];
  const bytes = 4 * PLANES * (2 * tiles * (transformed + results) + 2 * phases * p.o * p.c);
  return direct >= LEAST_FLOP && direct - products > adapter.flopPerByte * bytes;
}
