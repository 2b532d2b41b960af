/**
 * Choice of the convolution algorithm. The result depends on it, so it is a pure function of the shape and the adapter.
 */
import type { ConvPass } from '../../backend.js';
import type { ConvParams } from '../../params.js';
import { phaseCount } from './conv2d_geometry.js';
import { type Adapter, type ProductPlan, type ProductShape, planProduct } from './tiles.js';
import { type WinogradPlan, winogradPays, winogradPlan } from './winograd_geometry.js';

/**
 * The chosen algorithm:
 * - `gemm`: implicit matrix product;
 * - `winograd2x2`: Winograd's F(2×2, 3×3), applied to each phase of the image at stride 2;
 * - `direct`: one thread per element, or one workgroup per weight.
 */
export type Conv2dPlan =
  | { readonly variant: 'gemm'; readonly product: ProductPlan }
  | ({ readonly variant: 'winograd2x2' } & WinogradPlan)
  | { readonly variant: 'direct' };

/** With at most this number of output channels per group, tiles would be mostly empty. */
const FEW_ROWS = 4;
/** Maximum number of phases of an input gradient, each of which is a dispatch. */
const MOST_PHASES = 16;

/** Returns the size of the product of a pass; for an input gradient, of its largest phase. */
export function productShape(pass: ConvPass, p: ConvParams): ProductShape {
  const [c, o, taps] = [p.c / p.groups, p.o / p.groups, p.kh * p.kw];
  if (pass === 'forward') return { rows: o, columns: p.n * p.oh * p.ow, depth: c * taps, items: p.groups };
  if (pass === 'weightGrad') return { rows: o, columns: c * taps, depth: p.n * p.oh * p.ow, items: p.groups };
  const columns = p.n * Math.ceil(p.h / p.strideH) * Math.ceil(p.w / p.strideW);
  const depth = o * Math.ceil(p.kh / p.strideH) * Math.ceil(p.kw / p.strideW);
  return { rows: c, columns, depth, items: p.groups, outSize: p.n * p.c * p.h * p.w };
}

/** Returns the algorithm for a shape on an adapter; a pure function. */
export function conv2dPlan(pass: ConvPass, p: ConvParams, adapter: Adapter): Conv2dPlan {
  const shape = productShape(pass, p);
  if (shape.rows <= FEW_ROWS && (p.groups > 1 || pass !== 'weightGrad')) return { variant: 'direct' };
  if (pass === 'inputGrad' && phaseCount(p) > MOST_PHASES) return { variant: 'direct' };
  if (winogradPays(pass, p, adapter)) return { variant: 'winograd2x2', ...winogradPlan(pass, p, adapter) };
  return { variant: 'gemm', product: planProduct(shape, adapter) };
}

/** Returns the name of a plan, for profiles. */
export function planText(plan: Conv2dPlan): string {
  if (plan.variant === 'direct') return 'direct';
  const { tile, slices } = plan.product;
  return `${plan.variant} ${tile.rows}x${tile.columns}x${tile.depth}${slices > 1 ? ` in ${slices} slices` : ''}`;
}
