/**
 * Geometry of operations, computed once and checked here, so that no kernel and no backend does window arithmetic again.
 *
 * Sizes are in elements. Every function throws a `ShapeError` that names the operation, what it got and what it expected.
 */
import { ShapeError } from './errors.js';

/** One number for both axes, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];
/** One number for all sides, [vertical, horizontal], or [top, left, bottom, right]. */
export type Padding = Pair | readonly [number, number, number, number];

export interface ConvParams {
  n: number;
  c: number;
  h: number;
  w: number;
  o: number;
  kh: number;
  kw: number;
  oh: number;
  ow: number;
  strideH: number;
  strideW: number;
  padTop: number;
  padLeft: number;
  padBottom: number;
  padRight: number;
  dilationH: number;
  dilationW: number;
  groups: number;
}

export interface PoolParams {
  /** Number of planes: batch × channels. */
  planes: number;
  h: number;
  w: number;
  kh: number;
  kw: number;
  oh: number;
  ow: number;
  strideH: number;
  strideW: number;
  padTop: number;
  padLeft: number;
  padBottom: number;
  padRight: number;
  dilationH: number;
  dilationW: number;
  /** Average pooling: whether padding counts towards the divisor. */
  countIncludePad: boolean;
}

export interface LrnParams {
  n: number;
  c: number;
  h: number;
  w: number;
  /** Width of the window: channels, or pixels on each side of a square. */
  size: number;
  /** Already divided: y = x / (k + alphaOverSize · Σ x²) ^ beta. */
  alphaOverSize: number;
  beta: number;
  k: number;
  region: 'across' | 'within';
}

export interface MatmulParams {
  batch: number;
  m: number;
  n: number;
  k: number;
  /** a is stored [k, m] rather than [m, k]. */
  transposeA: boolean;
  /** b is stored [n, k] rather than [k, n]. */
  transposeB: boolean;
  /** Elements from one batch item to the next; 0 repeats the same matrix. */
  strideA: number;
  strideB: number;
}

/** Output shape (adjacent axes merged where possible) with the operands' strides in elements; 0 where they repeat. */
export interface BroadcastParams {
  shape: readonly number[];
  stridesA: readonly number[];
  stridesB: readonly number[];
}

export interface ReduceParams {
  /** Kept axes and reduced axes, each with its strides into x, in elements. */
  keptShape: readonly number[];
  keptStrides: readonly number[];
  reducedShape: readonly number[];
  reducedStrides: readonly number[];
}

export interface StridedCopyParams {
  shape: readonly number[];
  yOffset: number;
  yStrides: readonly number[];
  xOffset: number;
  xStrides: readonly number[];
}

export interface RowParams {
  rows: number;
  columns: number;
}

export interface DropoutParams {
  probability: number;
  seed: number;
  counter: number;
}

export interface SgdParams {
  lr: number;
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  /** The first step sets the velocity to the gradient instead of decaying it. */
  first: boolean;
}

const pair = (value: Pair): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

function sides(padding: Padding): readonly [number, number, number, number] {
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding.length === 2 ? [padding[0], padding[1], padding[0], padding[1]] : padding;
}

const isCount = (value: number, least: number) => Number.isInteger(value) && value >= least;

function checkWindow(op: string, name: string, values: readonly number[], least: number): void {
  for (const value of values) {
    if (!isCount(value, least))
      throw new ShapeError(`${op}: ${name} is ${JSON.stringify(values)}, expected whole numbers of at least ${least}`);
  }
}

/**
 * Number of windows along one axis: ⌊(size + pads − reach) / stride⌋ + 1, or rounded up in ceil mode, where a last
 * window that would start beyond the input and its leading padding is dropped (PyTorch's and Caffe's rule).
 * 0 or less when the window does not fit.
 */
export function windowCount(
  size: number,
  kernel: number,
  stride: number,
  padBefore: number,
  padAfter: number,
  dilation = 1,
  ceil = false,
): number {
  const room = size + padBefore + padAfter - (dilation * (kernel - 1) + 1);
  if (!ceil) return room < 0 ? 0 : Math.floor(room / stride) + 1;
  const count = Math.ceil(room / stride) + 1;
  return (count - 1) * stride >= size + padBefore ? count - 1 : count;
}

export interface ConvOptions {
  stride?: Pair;
  padding?: Padding;
  dilation?: Pair;
  groups?: number;
}

/** Geometry of a convolution of x [N, C, H, W] with w [O, C/groups, KH, KW]. */
export function convParams(op: string, x: readonly number[], w: readonly number[], options: ConvOptions = {}): ConvParams {
  if (x.length !== 4) throw new ShapeError(`${op}: input has shape [${x}], expected [N, C, H, W]`);
  if (w.length !== 4)
    throw new ShapeError(`${op}: weight has shape [${w}], expected [out channels, in channels / groups, kernel height, kernel width]`);
  const [n, c, h, wd] = x as [number, number, number, number];
  const [o, cPerGroup, kh, kw] = w as [number, number, number, number];
  const stride = pair(options.stride ?? 1);
  const dilation = pair(options.dilation ?? 1);
  const pad = sides(options.padding ?? 0);
  const groups = options.groups ?? 1;
  checkWindow(op, 'stride', stride, 1);
  checkWindow(op, 'dilation', dilation, 1);
  checkWindow(op, 'padding', pad, 0);
  checkWindow(op, 'groups', [groups], 1);
  if (c !== cPerGroup * groups) {
    throw new ShapeError(
      `${op}: input has ${c} channels, weight expects ${cPerGroup * groups}${groups > 1 ? ` (${groups} groups of ${cPerGroup})` : ''}`,
    );
  }
  if (o % groups !== 0) throw new ShapeError(`${op}: ${o} output channels cannot be split into ${groups} groups`);
  const oh = windowCount(h, kh, stride[0], pad[0], pad[2], dilation[0]);
  const ow = windowCount(wd, kw, stride[1], pad[1], pad[3], dilation[1]);
  if (oh < 1 || ow < 1) {
    throw new ShapeError(
      `${op}: input of ${h}×${wd} with padding [${pad}] is smaller than the ${kh}×${kw} kernel; use a larger input, more padding or a smaller kernel`,
    );
  }
  return {
    n,
    c,
    h,
    w: wd,
    o,
    kh,
    kw,
    oh,
    ow,
    strideH: stride[0],
    strideW: stride[1],
    padTop: pad[0],
    padLeft: pad[1],
    padBottom: pad[2],
    padRight: pad[3],
    dilationH: dilation[0],
    dilationW: dilation[1],
    groups,
  };
}

export interface ConvTranspose2dOptions extends ConvOptions {
  /** Extra size on the bottom and right, to choose among the sizes that a strided convolution maps to the same one. */
  outputPadding?: Pair;
}

/** Geometry of the convolution whose input gradient maps x [N, O, H, W] to the output [N, C, …]: its input size follows from the options. */
export function convTransposeParams(
  op: string,
  x: readonly number[],
  w: readonly number[],
  options: ConvTranspose2dOptions = {},
): ConvParams {
  if (x.length !== 4 || w.length !== 4) throw new ShapeError(`${op}: input [${x}] and weight [${w}] must have four axes`);
  if (x[1] !== w[0]) throw new ShapeError(`${op}: input has ${x[1]} channels, weight expects ${w[0]}`);
  const stride = pair(options.stride ?? 1);
  const dilation = pair(options.dilation ?? 1);
  const extra = pair(options.outputPadding ?? 0);
  const pad = sides(options.padding ?? 0);
  checkWindow(op, 'outputPadding', extra, 0);
  if (extra.some((value, axis) => value >= Math.max(stride[axis], dilation[axis])))
    throw new ShapeError(`${op}: outputPadding [${extra}] must be smaller than the stride [${stride}] or the dilation`);
  const size = (axis: 0 | 1) =>
    (x[2 + axis] - 1) * stride[axis] - pad[axis] - pad[axis + 2] + dilation[axis] * (w[2 + axis] - 1) + extra[axis] + 1;
  const [h, wd] = [size(0), size(1)];
  if (h < 1 || wd < 1) throw new ShapeError(`${op}: input of ${x[2]}×${x[3]} with padding [${pad}] leaves an output of ${h}×${wd}`);
  // An output padding of a whole stride, which only dilation allows, would make room for more windows than x has.
  return { ...convParams(op, [x[0], w[1] * (options.groups ?? 1), h, wd], w, options), oh: x[2], ow: x[3] };
}

export interface PoolOptions {
  kernel: Pair;
  stride?: Pair;
  padding?: Padding;
  dilation?: Pair;
  ceil?: boolean;
  countIncludePad?: boolean;
}

/** Geometry of pooling over x [N, C, H, W]. The stride defaults to the kernel. */
export function poolParams(op: string, x: readonly number[], options: PoolOptions): PoolParams {
  if (x.length !== 4) throw new ShapeError(`${op}: input has shape [${x}], expected [N, C, H, W]`);
  const [n, c, h, w] = x as [number, number, number, number];
  const kernel = pair(options.kernel);
  const stride = pair(options.stride ?? options.kernel);
  const dilation = pair(options.dilation ?? 1);
  const pad = sides(options.padding ?? 0);
  checkWindow(op, 'kernel', kernel, 1);
  checkWindow(op, 'stride', stride, 1);
  checkWindow(op, 'dilation', dilation, 1);
  checkWindow(op, 'padding', pad, 0);
  const reach = [dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1] as const;
  if (pad[0] >= reach[0] || pad[2] >= reach[0] || pad[1] >= reach[1] || pad[3] >= reach[1]) {
    throw new ShapeError(
      `${op}: padding [${pad}] must be smaller than the ${reach[0]}×${reach[1]} window, or a window would see padding alone`,
    );
  }
  const oh = windowCount(h, kernel[0], stride[0], pad[0], pad[2], dilation[0], options.ceil);
  const ow = windowCount(w, kernel[1], stride[1], pad[1], pad[3], dilation[1], options.ceil);
  if (oh < 1 || ow < 1) {
    throw new ShapeError(
      `${op}: input of ${h}×${w} with padding [${pad}] is smaller than the ${reach[0]}×${reach[1]} window; use a larger input or a smaller kernel`,
    );
  }
  return {
    planes: n * c,
    h,
    w,
    kh: kernel[0],
    kw: kernel[1],
    oh,
    ow,
    strideH: stride[0],
    strideW: stride[1],
    padTop: pad[0],
    padLeft: pad[1],
    padBottom: pad[2],
    padRight: pad[3],
    dilationH: dilation[0],
    dilationW: dilation[1],
    countIncludePad: options.countIncludePad ?? true,
  };
}
