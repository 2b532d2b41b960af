/**
 * Geometry of the operations: options are checked and output sizes computed here, once for all backends.
 *
 * Sizes are in elements. All functions throw a `ShapeError` for invalid geometry.
 */
import { ShapeError } from './errors.js';
import { boolean, checkArgument, checkOptions, finite, integer, type Rule, type Rules, renamedOption, rule, text } from './validate.js';

/** One value for both axes, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];
/** One value for all sides, [vertical, horizontal], or [top, left, bottom, right]. */
export type Padding = Pair | readonly [number, number, number, number];

/** Geometry of a convolution of x [n, c, h, w] with weights [o, c / groups, kh, kw] to y [n, o, oh, ow]. */
export interface ConvParams {
  /** Number of images of the batch, N. */
  n: number;
  /** Number of input channels, C. */
  c: number;
  /** Height of the input without padding. */
  h: number;
  /** Width of the input without padding. */
  w: number;
  /** Number of output channels, O, which `groups` divides. */
  o: number;
  /** Height of the kernel before dilation. */
  kh: number;
  /** Width of the kernel before dilation. */
  kw: number;
  /** Height of the output. */
  oh: number;
  /** Width of the output. */
  ow: number;
  /** Vertical step of the kernel, from 1. */
  strideH: number;
  /** Horizontal step of the kernel, from 1. */
  strideW: number;
  /** Rows of zeros above the input. */
  padTop: number;
  /** Columns of zeros left of the input. */
  padLeft: number;
  /** Rows of zeros below the input. */
  padBottom: number;
  /** Columns of zeros right of the input. */
  padRight: number;
  /** Vertical distance between neighbouring kernel elements, from 1. */
  dilationH: number;
  /** Horizontal distance between neighbouring kernel elements, from 1. */
  dilationW: number;
  /** Number of groups of channels that are convolved separately; c for a depthwise convolution. */
  groups: number;
}

/** A forward convolution: its geometry, and how it is computed. */
export interface ConvForwardParams extends ConvParams {
  /** Whether to apply ReLU to the output. */
  relu: boolean;
  /**
   * Whether no gradient will be computed and the same weights will probably be used again. The backend may cache values derived from the
   * weights until they change, and in fast mode use algorithms that round more coarsely.
   */
  inference: boolean;
}

/** Geometry of a fully connected layer from x [n, inFeatures] to y [n, outFeatures], and whether to apply ReLU to the output. */
export interface LinearParams {
  n: number;
  inFeatures: number;
  outFeatures: number;
  relu: boolean;
}

/** Sizes of values [planes, inner] with switches into [planes, outer]. */
export interface SwitchParams {
  planes: number;
  inner: number;
  outer: number;
}

/** Sizes of unpooling. */
export interface UnpoolParams extends SwitchParams {
  /** What happens where several windows share a switch: add their values, or keep the last one. */
  overlap: 'sum' | 'last';
  /**
   * Geometry of the pooling that gave the switches; null if the caller does not know it. If it is given,
   * every switch is inside its window, or negative for a value of zero or a window without elements.
   */
  window: PoolParams | null;
}

/** Geometry of pooling from [planes, h, w] to [planes, oh, ow]. */
export interface PoolParams {
  /** Number of planes: batch × channels. */
  planes: number;
  /** Height of an input plane without padding. */
  h: number;
  /** Width of an input plane without padding. */
  w: number;
  /** Height of the window before dilation. */
  kh: number;
  /** Width of the window before dilation. */
  kw: number;
  /** Height of an output plane. */
  oh: number;
  /** Width of an output plane. */
  ow: number;
  /** Vertical step of the window, from 1. */
  strideH: number;
  /** Horizontal step of the window, from 1. */
  strideW: number;
  /** Padding rows above the plane: −∞ for max pooling, 0 for average pooling. */
  padTop: number;
  /** Padding columns left of the plane, as `padTop`. */
  padLeft: number;
  /** Padding rows below the plane, as `padTop`. */
  padBottom: number;
  /** Padding columns right of the plane, as `padTop`. */
  padRight: number;
  /** Vertical distance between neighbouring window elements, from 1. */
  dilationH: number;
  /** Horizontal distance between neighbouring window elements, from 1. */
  dilationW: number;
  /** Average pooling: whether padding counts towards the divisor. */
  countIncludePad: boolean;
}

/** Geometry and constants of local response normalisation over x [n, c, h, w]. */
export interface LrnParams {
  n: number;
  c: number;
  h: number;
  w: number;
  /** Number of channels, or of pixels on each axis, before and after the centre of the window. */
  before: number;
  after: number;
  /** alpha divided by the number of elements of the window: y = x / (k + alphaOverSize · Σ x²) ^ beta. */
  alphaOverSize: number;
  beta: number;
  k: number;
  region: 'across' | 'within';
}

/** Geometry of batch normalisation over x [n, channels, inner], one mean and variance per channel. */
export interface BatchNormParams {
  n: number;
  channels: number;
  inner: number;
  epsilon: number;
  /** Whether the statistics are those of x. */
  training: boolean;
  /** Forward: whether max(·, 0) is applied to the result. */
  relu: boolean;
}

/** Geometry of normalisation of each row of x [rows, channels, inner]; row r has the channels of group r mod groups. */
export interface GroupNormParams {
  rows: number;
  groups: number;
  /** Number of channels per group. */
  channels: number;
  inner: number;
  epsilon: number;
}

/** Geometry of a matrix product c [batch, m, n] = a [m, k] · b [k, n]. */
export interface MatmulParams {
  batch: number;
  m: number;
  n: number;
  k: number;
  /** Whether a is stored as [k, m] instead of [m, k]. */
  transposeA: boolean;
  /** Whether b is stored as [n, k] instead of [k, n]. */
  transposeB: boolean;
  /** Distance between batch items in elements; 0 if all items use the same matrix. */
  strideA: number;
  strideB: number;
}

/** Output shape, with adjacent axes merged where possible, and the strides of the operands in elements; 0 along broadcast axes. */
export interface BroadcastParams {
  shape: readonly number[];
  stridesA: readonly number[];
  stridesB: readonly number[];
}

/** Geometry of a reduction: kept and reduced axes, each with its strides in x, in elements. */
export interface ReduceParams {
  keptShape: readonly number[];
  keptStrides: readonly number[];
  reducedShape: readonly number[];
  reducedStrides: readonly number[];
}

/** Geometry of a copy between two strided blocks of equal shape; offsets and strides in elements. */
export interface StridedCopyParams {
  shape: readonly number[];
  yOffset: number;
  yStrides: readonly number[];
  xOffset: number;
  xStrides: readonly number[];
}

/** Size of a matrix whose rows are processed independently. */
export interface RowParams {
  rows: number;
  columns: number;
}

/** Probability of dropping an element, and the position in the random stream. */
export interface DropoutParams {
  probability: number;
  seed: number;
  counter: number;
}

/** Settings of one step of SGD, with PyTorch's meaning. */
export interface SgdParams {
  lr: number;
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  /** Whether this is the first step, which sets the velocity to the gradient. */
  first: boolean;
}

/** A step of SGD after which each of the `rows` rows of the weights has a root mean square of at most `maxRms`. */
export interface SgdClipRmsParams extends SgdParams {
  rows: number;
  maxRms: number;
}

/** Square crops that are cut from square images. */
export interface CropParams {
  /** Number of channels of the images: 1 or 3. */
  channels: number;
  /** Height and width of the images in pixels. */
  side: number;
  /** Height and width of the crops in pixels. */
  size: number;
  /** Factor per channel, applied after the mean is subtracted. */
  scales: readonly number[];
}

/** Numbers of one step of Adam or AdamW. */
export interface AdamParams {
  /** Learning rate divided by 1 − beta1^t, where t is the number of the step, from 1 on. */
  rate: number;
  beta1: number;
  beta2: number;
  eps: number;
  /** Divisor of the root of the mean square: √(1 − beta2^t). */
  correction: number;
  /** weightDecay · w is added to the gradient (Adam); 0 for AdamW. */
  weightDecay: number;
  /** Factor of w before the update: 1 − lr · weight decay for AdamW, 1 for Adam. */
  shrink: number;
}

/** Numbers of one step of RMSprop. */
export interface RmspropParams {
  lr: number;
  alpha: number;
  eps: number;
  weightDecay: number;
  momentum: number;
}

/** Maximum extent of one axis, including padding, so that 32-bit index arithmetic does not overflow. */
export const MOST_EXTENT = 2 ** 28;
const MOST = 2 ** 31 - 1;

const isCount = (value: unknown, least: number) => Number.isInteger(value) && (value as number) >= least && (value as number) <= MOST;
const areCounts = (value: unknown, least: number, lengths: readonly number[]) =>
  Array.isArray(value) && lengths.includes(value.length) && [...value].every((each) => isCount(each, least));

/** Rule for a `Pair` of whole numbers of at least `least`. */
/* @__NO_SIDE_EFFECTS__ */
export const pairOf = (least: number): Rule =>
  rule(`a whole number of at least ${least}, or [vertical, horizontal]`, (value) => isCount(value, least) || areCounts(value, least, [2]));

/** Rule for a `Padding`. */
export const paddingRule: Rule = rule(
  'a whole number of at least 0, [vertical, horizontal] or [top, left, bottom, right]',
  (value) => isCount(value, 0) || areCounts(value, 0, [2, 4]),
);

/** Rules for the options of convolutions. */
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

/** Returns a checked option as [vertical, horizontal]. @throws ShapeError that names the option */
export function pair(op: string, name: string, value: Pair | undefined, least: number, standard?: Pair): readonly [number, number] {
  const given = value === undefined ? standard : value;
  checkArgument(op, name, given, pairOf(least), ShapeError);
  return both(given as Pair);
}

/** Returns checked padding as [top, left, bottom, right]. */
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
  checkArgument('geometry', "the operation's name", op, text);
  checkArgument(op, `the shape of ${name}`, shape, shapeRule, ShapeError);
  if (shape.length !== 4) throw new ShapeError(`${op}: ${name} has shape [${shape}], expected ${expected}`);
}

/**
 * Reduces strides and dilations to equivalent values that keep index arithmetic in range: a stride longer than the padded input gives a
 * single window, as does a stride of its length; the dilation of a kernel of one tap has no effect and becomes 1.
 *
 * @throws ShapeError for an extent above `MOST_EXTENT`
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
 * Returns the number of windows along one axis: ⌊(size + pads − window) / stride⌋ + 1, rounded up instead of down with `ceilMode`. As in
 * PyTorch and Caffe, `ceilMode` omits a last window that would start beyond the input and its leading padding. The result is 0 or
 * negative if the window does not fit.
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

/** Options of a convolution, with PyTorch's meaning. */
export interface ConvOptions {
  /** Default 1. */
  stride?: Pair;
  /** Default 0. */
  padding?: Padding;
  /** Distance between the taps of the kernel. Default 1. */
  dilation?: Pair;
  /** Number of groups of channels that are convolved separately. Default 1. */
  groups?: number;
}

/** Returns the geometry of a convolution of x [N, C, H, W] with w [O, C/groups, KH, KW]. @throws ShapeError if they do not match */
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

/** Options of a transposed convolution, with PyTorch's meaning. */
export interface ConvTranspose2dOptions extends ConvOptions {
  /** Added to the output size at the bottom and right, since inputs of several sizes have the same strided output size. Default 0. */
  outputPadding?: Pair;
}

/**
 * Returns the geometry of the convolution whose input gradient is the transposed convolution of x [N, O, H, W] to [N, C, …].
 *
 * @throws ShapeError if channels do not match, `outputPadding` is too large, or the output would be empty
 */
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
  // The output size is that of x: with an output padding of a whole stride (possible with dilation), more windows would fit.
  return { ...convParams(op, [x[0], w[1] * groups, h, wd], w, options), oh: x[2], ow: x[3] };
}

/** Options of pooling, with PyTorch's meaning. */
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

/** Returns the geometry of pooling over x [N, C, H, W]. @throws ShapeError if the window does not fit into the padded input */
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
  const window = [dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1] as const;
  if (pad[0] >= window[0] || pad[2] >= window[0] || pad[1] >= window[1] || pad[3] >= window[1]) {
    throw new ShapeError(
      `${op}: padding [${pad}] must be smaller than the ${window[0]}×${window[1]} window, so that every window covers an element of the input`,
    );
  }
  const oh = windowCount(h, kernel[0], stride[0], pad[0], pad[2], dilation[0], options.ceilMode);
  const ow = windowCount(w, kernel[1], stride[1], pad[1], pad[3], dilation[1], options.ceilMode);
  if (oh < 1 || ow < 1) {
    throw new ShapeError(
      `${op}: input of ${h}×${w} with padding [${pad}] is smaller than the ${window[0]}×${window[1]} window; use a larger input or a smaller kernel`,
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
