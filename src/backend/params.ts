/**
 * Geometry of operations, computed once and checked here, so that no kernel and no backend does window arithmetic again.
 *
 * Sizes are in elements. Every function throws a `ShapeError` that names the operation, what it got and what it expected.
 */
import { ShapeError } from './errors.js';
import { boolean, checkArgument, checkOptions, finite, integer, type Rule, type Rules, renamedOption, rule } from './validate.js';

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
  /** How far the window reaches before and behind its centre: channels, or pixels on either axis. */
  before: number;
  after: number;
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

/** The largest extent of one axis, padding included: index arithmetic in 32 bits stays in range below it. */
export const MOST_EXTENT = 2 ** 28;
const MOST = 2 ** 31 - 1;

const isCount = (value: unknown, least: number) => Number.isInteger(value) && (value as number) >= least && (value as number) <= MOST;
const areCounts = (value: unknown, least: number, lengths: readonly number[]) =>
  Array.isArray(value) && lengths.includes(value.length) && [...value].every((each) => isCount(each, least));

/** A whole number from `least` on, or one for each axis. */
export const pairOf = (least: number): Rule =>
  rule(`a whole number of at least ${least}, or [vertical, horizontal]`, (value) => isCount(value, least) || areCounts(value, least, [2]));

/** Amounts of padding: see `Padding`. */
export const paddingRule: Rule = rule(
  'a whole number of at least 0, [vertical, horizontal] or [top, left, bottom, right]',
  (value) => isCount(value, 0) || areCounts(value, 0, [2, 4]),
);

/** Options that every convolution takes. */
export const CONV_RULES = { stride: pairOf(1), padding: paddingRule, dilation: pairOf(1), groups: integer(1, MOST) };
/**
 * Options of pooling; `kernel` and `ceil` are old names. Max pooling accepts `countIncludePad` and ignores it, so that one geometry, such
 * as those that the arbitraries of `zfnet/testing` generate, can be used for both kinds of pooling.
 */
export const MAX_POOL_RULES = {
  kernelSize: pairOf(1),
  stride: pairOf(1),
  padding: paddingRule,
  dilation: pairOf(1),
  ceilMode: boolean,
  kernel: pairOf(1),
  ceil: boolean,
  countIncludePad: boolean,
};
export const AVG_POOL_RULES = MAX_POOL_RULES;

const both = (value: Pair): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

/** The pair for both axes. @throws ShapeError naming the option */
export function pair(op: string, name: string, value: Pair | undefined, least: number, standard?: Pair): readonly [number, number] {
  const given = value === undefined ? standard : value;
  checkArgument(op, name, given, pairOf(least), ShapeError);
  return both(given as Pair);
}

function sides(op: string, padding: Padding = 0): readonly [number, number, number, number] {
  checkArgument(op, 'padding', padding, paddingRule, ShapeError);
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding.length === 2 ? [padding[0], padding[1], padding[0], padding[1]] : padding;
}

const shapeRule: Rule = rule(
  'a shape: whole numbers of at least 0',
  (value) => Array.isArray(value) && [...value].every((n) => isCount(n, 0)),
);

function checkImages(op: string, name: string, shape: readonly number[], expected: string): void {
  checkArgument(op, `the shape of ${name}`, shape, shapeRule, ShapeError);
  if (shape.length !== 4) throw new ShapeError(`${op}: ${name} has shape [${shape}], expected ${expected}`);
}

/**
 * Strides and dilations that mean the same and keep index arithmetic in range: no stride is longer than the padded input, where
 * there is but one window anyway, and a kernel of one tap is not dilated.
 *
 * @throws ShapeError for an extent beyond `MOST_EXTENT`
 */
function canonical(
  op: string,
  extents: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
  kernel: readonly number[],
) {
  for (const extent of extents)
    if (extent > MOST_EXTENT)
      throw new ShapeError(`${op}: an axis has ${extent} elements, padding included, expected at most ${MOST_EXTENT}; use less padding`);
  return {
    strideH: Math.min(stride[0], Math.max(extents[0], 1)),
    strideW: Math.min(stride[1], Math.max(extents[1], 1)),
    dilationH: kernel[0] === 1 ? 1 : dilation[0],
    dilationW: kernel[1] === 1 ? 1 : dilation[1],
  };
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
  ceilMode = false,
): number {
  for (const [name, value] of Object.entries({ size, kernel, stride, padBefore, padAfter, dilation }))
    checkArgument('windowCount', name, value, finite());
  const room = size + padBefore + padAfter - (dilation * (kernel - 1) + 1);
  if (!ceilMode) return room < 0 ? 0 : Math.floor(room / stride) + 1;
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
  checkImages(op, 'input', x, '[N, C, H, W]');
  checkImages(op, 'weight', w, '[out channels, in channels / groups, kernel height, kernel width]');
  const [n, c, h, wd] = x as [number, number, number, number];
  const [o, cPerGroup, kh, kw] = w as [number, number, number, number];
  const stride = pair(op, 'stride', options.stride, 1, 1);
  const dilation = pair(op, 'dilation', options.dilation, 1, 1);
  const pad = sides(op, options.padding);
  const { groups = 1 } = options;
  checkArgument(op, 'groups', groups, CONV_RULES.groups, ShapeError);
  if (kh < 1 || kw < 1) throw new ShapeError(`${op}: the kernel is ${kh}×${kw}, expected at least 1×1`);
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
    ...canonical(op, [h + pad[0] + pad[2], wd + pad[1] + pad[3]], stride, dilation, [kh, kw]),
    padTop: pad[0],
    padLeft: pad[1],
    padBottom: pad[2],
    padRight: pad[3],
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
  checkImages(op, 'input', x, '[N, channels, H, W]');
  checkImages(op, 'weight', w, '[in channels, out channels / groups, kernel height, kernel width]');
  if (x[2] < 1 || x[3] < 1) throw new ShapeError(`${op}: input has shape [${x}], expected at least one row and one column`);
  if (x[1] !== w[0]) throw new ShapeError(`${op}: input has ${x[1]} channels, weight expects ${w[0]}`);
  const stride = pair(op, 'stride', options.stride, 1, 1);
  const dilation = pair(op, 'dilation', options.dilation, 1, 1);
  const extra = pair(op, 'outputPadding', options.outputPadding, 0, 0);
  const pad = sides(op, options.padding);
  const { groups = 1 } = options;
  checkArgument(op, 'groups', groups, CONV_RULES.groups, ShapeError);
  if (extra.some((value, axis) => value >= Math.max(stride[axis], dilation[axis])))
    throw new ShapeError(`${op}: outputPadding [${extra}] must be smaller than the stride [${stride}] or the dilation`);
  const size = (axis: 0 | 1) =>
    (x[2 + axis] - 1) * stride[axis] - pad[axis] - pad[axis + 2] + dilation[axis] * (w[2 + axis] - 1) + extra[axis] + 1;
  const [h, wd] = [size(0), size(1)];
  if (h < 1 || wd < 1) throw new ShapeError(`${op}: input of ${x[2]}×${x[3]} with padding [${pad}] leaves an output of ${h}×${wd}`);
  // An output padding of a whole stride, which only dilation allows, would make room for more windows than x has.
  return { ...convParams(op, [x[0], w[1] * groups, h, wd], w, options), oh: x[2], ow: x[3] };
}

export interface PoolOptions {
  /** Height and width of the window. */
  kernelSize: Pair;
  /** Default: `kernelSize`. */
  stride?: Pair;
  /** Default 0. Must be smaller than the window. */
  padding?: Padding;
  /** Distance between the elements of a window. Default 1. */
  dilation?: Pair;
  /** Rounds the output size up instead of down, so that the last windows may extend beyond the padded input. Default false. */
  ceilMode?: boolean;
  /** Average pooling: whether padding counts towards the divisor. Default true, as in PyTorch. */
  countIncludePad?: boolean;
  /** @deprecated The name of `kernelSize` before version 0.2. */
  kernel?: Pair;
  /** @deprecated The name of `ceilMode` before version 0.2. */
  ceil?: boolean;
}

/** @deprecated Pooling options with the name that `kernelSize` had before version 0.2. */
export type OldPoolOptions = Omit<PoolOptions, 'kernelSize' | 'kernel'> & { kernel: Pair; kernelSize?: Pair };

/** Returns pooling options under their current names. @throws ValueError if an option is given under both names with different values */
export function currentPoolOptions(op: string, options: PoolOptions | OldPoolOptions): PoolOptions {
  const { kernel: _kernel, ceil: _ceil, ...rest } = options;
  const ceilMode = renamedOption<boolean>(op, options, 'ceilMode', 'ceil');
  return {
    ...rest,
    kernelSize: renamedOption<Pair>(op, options, 'kernelSize', 'kernel') as Pair,
    ...(ceilMode === undefined ? {} : { ceilMode }),
  };
}

/** Returns the geometry of pooling over x [N, C, H, W]. @throws ShapeError if the window does not fit; ValueError as `currentPoolOptions` */
export function poolParams(
  op: string,
  x: readonly number[],
  given: PoolOptions | OldPoolOptions,
  rules: Rules = AVG_POOL_RULES,
): PoolParams {
  checkImages(op, 'input', x, '[N, C, H, W]');
  checkOptions(op, given ?? null, rules, ShapeError);
  const options = currentPoolOptions(op, given);
  const [n, c, h, w] = x as [number, number, number, number];
  if (h < 1 || w < 1) throw new ShapeError(`${op}: input has shape [${x}], expected at least one row and one column`);
  const kernel = pair(op, 'kernelSize', options.kernelSize, 1);
  const stride = pair(op, 'stride', options.stride, 1, kernel);
  const dilation = pair(op, 'dilation', options.dilation, 1, 1);
  const pad = sides(op, options.padding);
  const reach = [dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1] as const;
  if (pad[0] >= reach[0] || pad[2] >= reach[0] || pad[1] >= reach[1] || pad[3] >= reach[1]) {
    throw new ShapeError(
      `${op}: padding [${pad}] must be smaller than the ${reach[0]}×${reach[1]} window, or a window would see padding alone`,
    );
  }
  const oh = windowCount(h, kernel[0], stride[0], pad[0], pad[2], dilation[0], options.ceilMode);
  const ow = windowCount(w, kernel[1], stride[1], pad[1], pad[3], dilation[1], options.ceilMode);
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
    ...canonical(op, [h + pad[0] + pad[2], w + pad[1] + pad[3]], stride, dilation, kernel),
    padTop: pad[0],
    padLeft: pad[1],
    padBottom: pad[2],
    padRight: pad[3],
    countIncludePad: options.countIncludePad ?? true,
  };
}
