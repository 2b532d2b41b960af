/**
 * Every operation by examples: the one list that gradient checks, backends, PyTorch's values and the benchmark all work from.
 *
 * A row is a name, the inputs and what is done with them. Shapes go around the kernels' tiles (2, 6, 8 and 16 wide; blocks
 * of 48, 192 and 256) and around the stride's remainder, with H ≠ W, kernels that are not square, and more than one image.
 */
import {
  abs,
  add,
  argmax,
  avgPool2d,
  type Conv2dOptions,
  type ConvTranspose2dOptions,
  cast,
  clamp,
  concat,
  conv2d,
  convTranspose2d,
  crossEntropy,
  div,
  dropout,
  equal,
  exp,
  expand,
  flatten,
  Generator,
  greater,
  type LrnOptions,
  leakyRelu,
  linear,
  localResponseNorm,
  log,
  logSoftmax,
  type MatmulOptions,
  type MaxPool2dOptions,
  matmul,
  max,
  maximum,
  maxPool2d,
  maxPool2dWithSwitches,
  maxUnpool2d,
  mean,
  min,
  minimum,
  mul,
  neg,
  type Operand,
  type OverlapRule,
  type PoolOptions,
  pad,
  permute,
  pow,
  type ReduceOptions,
  reciprocal,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  sqrt,
  square,
  squeeze,
  sub,
  sum,
  type Tensor,
  tanh,
  transpose,
  unsqueeze,
} from '../../src/tensor/index.js';
import * as formula from './formula.js';

/** One input: its numbers follow from its shape and its place among the inputs. Types other than `float` take no gradient. */
export interface Input {
  shape: readonly number[];
  dtype: 'float' | 'int32' | 'uint8';
  values(size: number, seed: number): number[];
}

type Run = (inputs: Tensor[]) => Tensor;

export interface CaseOptions {
  /** Errors are measured against the sum of the absolute products that make a number, not against the number itself. */
  sums?: boolean;
  /** A factor on the tolerance. */
  slack?: number;
  /** `compared`: not with differences, since some input sits on a kink. `none`: the operation has no gradient. */
  gradient?: 'checked' | 'compared' | 'none';
  /** Elements of each input that the gradient check looks at. */
  places?: number;
}

export interface Case extends CaseOptions {
  op: string;
  name: string;
  inputs: readonly Input[];
  run: Run;
}

type Row = readonly [name: string, inputs: readonly Input[], run: Run, options?: CaseOptions];

const table = (op: string, options: CaseOptions, rows: readonly Row[]): Case[] =>
  rows.map(([name, inputs, run, own]) => ({ op, name, inputs, run, ...options, ...own }));

// Inputs, by one letter ---------------------------------------------------------------------------

const floats =
  (values: Input['values']) =>
  (...shape: number[]): Input => ({ shape, dtype: 'float', values });

/** Noise in [-1, 1). */
const N = floats(formula.noise);
/** Positive, in [0.5, 2). */
const P = floats(formula.positive);
/** Apart from 0 by at least 0.1. */
const A = floats(formula.apart);
/** Distinct. */
const D = floats(formula.distinct);
/** Steps: -1, 0 and 1, full of ties. */
const S = floats(formula.steps);
/** Wide, in [-32, 32). */
const W = floats((size, seed) => formula.noise(size, seed).map((v) => 32 * v));
/** Below zero, distinct. */
const B = floats((size, seed) => formula.distinct(size, seed).map((v) => Math.fround(v - 1)));
/** Labels or switches: int32 from 0 to count − 1. */
const L = (count: number, ...shape: number[]): Input => ({
  shape,
  dtype: 'int32',
  values: (size, seed) => formula.labels(size, seed, count),
});
const bytes = (...shape: number[]): Input => ({ shape, dtype: 'uint8', values: (size, seed) => formula.labels(size, seed, 256) });

/** Too large for a look at many places. */
const few = ([name, inputs, run]: Row): Row => [name, inputs, run, { places: 2 }];

// Rows of an operation's own form -----------------------------------------------------------------

type Shape = number[];

/** x [N, C, H, W], w [O, C / groups, KH, KW], b [O] */
const conv = (name: string, x: Shape, w: Shape, { bias = true, ...options }: Conv2dOptions & { bias?: boolean } = {}): Row => [
  name,
  [N(...x), N(...w), ...(bias ? [N(w[0])] : [])],
  ([x, w, b]) => conv2d(x, w, b, options),
];

/** x [N, O, H, W], w [O, C / groups, KH, KW], b [C] */
const convT = (name: string, x: Shape, w: Shape, { bias = true, ...options }: ConvTranspose2dOptions & { bias?: boolean } = {}): Row => [
  name,
  [N(...x), N(...w), ...(bias ? [N(w[1] * (options.groups ?? 1))] : [])],
  ([x, w, b]) => convTranspose2d(x, w, b, options),
];

/** x [n, inputs], w [outputs, inputs], b [outputs] */
const fc = (n: number, inputs: number, outputs: number, { bias = true, relu = false } = {}): Row => [
  `${n} × ${inputs} to ${outputs}${bias ? '' : ', no bias'}${relu ? ', fused ReLU' : ''}`,
  [N(n, inputs), N(outputs, inputs), ...(bias ? [N(outputs)] : [])],
  ([x, w, b]) => linear(x, w, b, { relu }),
];

const mm = (a: Shape, b: Shape, options: MatmulOptions = {}): Row => [
  `[${a}]${options.transposeA ? 'ᵀ' : ''} · [${b}]${options.transposeB ? 'ᵀ' : ''}`,
  [N(...a), N(...b)],
  ([a, b]) => matmul(a, b, options),
];

const maxPool = (name: string, x: Shape, options: MaxPool2dOptions, input = D, own?: CaseOptions): Row => [
  name,
  [input(...x)],
  ([x]) => maxPool2d(x, options),
  own,
];

const switches = (name: string, x: Shape, options: MaxPool2dOptions, input = D): Row => [
  name,
  [input(...x)],
  ([x]) => maxPool2dWithSwitches(x, options).switches,
];

const unpool = (name: string, y: Shape, outputSize: [number, number], overlap: OverlapRule): Row => [
  name,
  [N(...y), L(outputSize[0] * outputSize[1], ...y)],
  ([y, switches]) => maxUnpool2d(y, switches, { outputSize, overlap }),
];

/** Values y put back where the maxima of x were. */
const unpoolBy = (name: string, x: Shape, y: Shape, pool: MaxPool2dOptions, overlap: OverlapRule): Row => [
  name,
  [N(...y), D(...x)],
  ([y, x]) => maxUnpool2d(y, maxPool2dWithSwitches(x, pool).switches, { outputSize: [x.shape[2], x.shape[3]], overlap }),
];

const avgPool = (name: string, x: Shape, options: PoolOptions): Row => [name, [N(...x)], ([x]) => avgPool2d(x, options)];

const lrn = (name: string, x: Shape, options: LrnOptions): Row => [name, [N(...x)], ([x]) => localResponseNorm(x, options)];

const on = (inputs: readonly Input[], names: Record<string, Run>, own?: CaseOptions): Row[] =>
  Object.entries(names).map(([name, run]) => [name, inputs, run, own]);

/** An operation of two tensors over every way to broadcast, and with a number on either side. */
const broadcasting = (op: (a: Operand, b: Operand) => Tensor, input: (...shape: number[]) => Input): Row[] => [
  ...[
    [[7], [7]],
    [
      [2, 3, 4],
      [2, 3, 4],
    ],
    [[4, 5], [5]],
    [[17], [3, 1]],
    [
      [2, 3, 4, 5],
      [3, 1, 1],
    ],
    [
      [2, 1, 4],
      [5, 1],
    ],
    [[3, 4], []],
    [[], []],
    [
      [2, 1, 3, 1],
      [4, 1, 5],
    ],
    [[0, 3], [3]],
  ].map(([a, b]): Row => [`[${a}] and [${b}]`, [input(...a), input(...b)], ([a, b]) => op(a, b)]),
  ['a number on the right', [input(3, 5)], ([a]) => op(a, 1.5)],
  ['a number on the left', [input(3, 5)], ([a]) => op(0.75, a)],
];

const unary = (op: (x: Tensor) => Tensor, input: (...shape: number[]) => Input): Row[] =>
  [[], [1], [3, 5], [16], [67], [0, 2]].map((shape) => [`[${shape}]`, [input(...shape)], ([x]) => op(x)]);

const reducing = (op: (x: Tensor, options?: ReduceOptions) => Tensor, input = D): Row[] => [
  ['all of [3, 4, 5]', [input(3, 4, 5)], ([x]) => op(x)],
  ['of one number', [input()], ([x]) => op(x)],
  ...([0, 1, -1, [0, 2], [1, 2], [0, 1, 2]] as const).map(
    (axes): Row => [`axes ${axes} of [3, 4, 5]`, [input(3, 4, 5)], ([x]) => op(x, { axes })],
  ),
  ['keeping its axes', [input(2, 3, 4, 5)], ([x]) => op(x, { axes: [1, 3], keepDims: true })],
  ['rows of 17', [input(5, 17)], ([x]) => op(x, { axes: 1 })],
  ['columns of 49', [input(6, 49)], ([x]) => op(x, { axes: 0 })],
  ['axes of one element', [input(1, 4, 1)], ([x]) => op(x, { axes: [0, 2] })],
  ['no axes at all', [input(2, 3)], ([x]) => op(x, { axes: [] })],
];

/** A long run is reduced in blocks. */
const LONG = 40000;

// The list ----------------------------------------------------------------------------------------

export const cases: readonly Case[] = [
  ...table('conv2d', { sums: true }, [
    conv('one pixel', [1, 1, 1, 1], [1, 1, 1, 1]),
    conv('1×1', [2, 3, 4, 5], [5, 3, 1, 1]),
    conv('3×3, padded', [2, 3, 6, 5], [4, 3, 3, 3], { padding: 1 }),
    conv('a 3×2 kernel, strides that leave a remainder', [2, 3, 8, 9], [5, 3, 3, 2], { stride: [2, 3] }),
    conv('a 3×2 kernel, strides that leave none', [1, 2, 7, 8], [3, 2, 3, 2], { stride: [2, 3] }),
    conv('a stride beyond the kernel', [1, 2, 9, 8], [3, 2, 2, 1], { stride: 3 }),
    conv('four paddings', [1, 2, 5, 4], [3, 2, 2, 3], { padding: [0, 1, 2, 3] }),
    conv('padding beyond the kernel', [1, 2, 3, 4], [3, 2, 2, 2], { padding: [3, 2] }),
    conv('dilated', [1, 2, 9, 10], [3, 2, 3, 3], { dilation: [2, 3] }),
    conv('dilated, strided and padded', [2, 2, 9, 8], [4, 2, 3, 2], { dilation: 2, stride: [2, 1], padding: [2, 1] }),
    conv('two groups', [2, 4, 5, 6], [6, 2, 3, 3], { groups: 2, padding: 1 }),
    conv('depthwise', [1, 5, 6, 5], [10, 1, 3, 2], { groups: 5 }),
    conv('no bias', [1, 3, 5, 4], [2, 3, 2, 3], { bias: false }),
    conv('fused ReLU', [2, 3, 5, 6], [4, 3, 3, 3], { padding: 1, relu: true }),
    conv('a kernel of the size of the image', [2, 2, 4, 3], [3, 2, 4, 3]),
    conv('no images', [0, 2, 4, 4], [3, 2, 3, 3]),
    ...[
      [1, 3, 5],
      [2, 4, 4],
      [3, 1, 17],
      [6, 3, 5],
      [7, 6, 8],
      [8, 7, 7],
      [12, 4, 12],
      [13, 5, 10],
      [48, 3, 4],
      [49, 3, 4],
    ].map(([o, h, w]) => conv(`tiles: ${o} maps of ${h}×${w}`, [1, 3, h, w], [o, 3, 3, 3], { padding: 1 })),
    conv('256 taps', [1, 16, 6, 7], [3, 16, 4, 4]),
    conv('257 taps', [1, 257, 3, 4], [3, 257, 1, 1]),
    conv('261 taps', [1, 29, 5, 6], [4, 29, 3, 3], { padding: 1 }),
    conv('196 pixels', [1, 2, 14, 14], [3, 2, 3, 3], { padding: 1 }),
    conv('193 pixels in two images', [2, 2, 1, 193], [3, 2, 1, 3], { padding: [0, 1] }),
    conv('12 channels, stride 1', [2, 12, 6, 7], [5, 12, 3, 3], { padding: 1 }),
    conv('13 channels, four paddings', [2, 13, 6, 7], [4, 13, 3, 2], { padding: [2, 0, 1, 1] }),
    conv('12 channels, padding beyond the kernel', [1, 12, 4, 5], [3, 12, 3, 3], { padding: 3 }),
    conv('12 channels, dilated', [1, 12, 7, 8], [3, 12, 3, 3], { padding: 2, dilation: 2 }),
    conv('two groups of 12 channels', [1, 24, 5, 6], [6, 12, 3, 3], { groups: 2, padding: 1 }),
    conv('8 images of 8 channels', [8, 8, 6, 7], [8, 8, 3, 3], { padding: 1 }),
    conv('9 images, fused ReLU', [9, 4, 5, 4], [5, 4, 3, 3], { padding: 1, relu: true }),
    conv('like conv1', [2, 3, 23, 21], [6, 3, 7, 7], { stride: 2, padding: 1 }),
    conv('like conv2', [2, 4, 11, 12], [6, 4, 5, 5], { stride: 2 }),
    few(conv('enough for threads', [2, 24, 24, 24], [48, 24, 3, 3], { padding: 1 })),
    few(conv('enough for threads, strided', [2, 16, 33, 33], [32, 16, 5, 5], { stride: 2 })),
  ]),

  ...table('convTranspose2d', { sums: true }, [
    convT('one pixel', [1, 1, 1, 1], [1, 1, 1, 1]),
    convT('3×3', [2, 3, 4, 5], [3, 4, 3, 3]),
    convT('stride 2 with output padding', [2, 3, 4, 3], [3, 2, 3, 3], { stride: 2, padding: 1, outputPadding: 1 }),
    convT('two strides, four paddings, output padding', [1, 2, 3, 4], [2, 3, 4, 3], {
      stride: [3, 2],
      padding: [1, 0, 2, 1],
      outputPadding: [2, 1],
    }),
    convT('dilated', [1, 2, 4, 5], [2, 3, 3, 2], { dilation: [2, 3] }),
    convT('output padding of a whole stride', [1, 2, 4, 3], [2, 2, 3, 2], { dilation: 3, outputPadding: [1, 2] }),
    convT('two groups', [2, 4, 3, 5], [4, 3, 2, 3], { groups: 2, stride: 2 }),
    convT('no bias', [1, 3, 4, 4], [3, 2, 2, 3], { bias: false }),
    convT('to 13 channels', [2, 5, 6, 5], [5, 13, 3, 3], { padding: 1 }),
    convT('no images', [0, 2, 3, 3], [2, 3, 3, 3]),
  ]),

  ...table('linear', { sums: true }, [
    ...[
      [1, 1, 1],
      [1, 3, 5],
      [2, 16, 4],
      [4, 7, 8],
      [8, 6, 9],
      [9, 5, 7],
      [16, 17, 48],
      [17, 33, 49],
      [3, 255, 6],
      [12, 256, 5],
      [11, 257, 3],
      [193, 20, 10],
      [0, 3, 2],
    ].map(([n, inputs, outputs]) => fc(n, inputs, outputs)),
    fc(3, 9, 4, { bias: false }),
    fc(10, 9, 6, { bias: false }),
    fc(5, 8, 6, { relu: true }),
    fc(18, 12, 13, { relu: true }),
    few(fc(64, 256, 400)),
  ]),

  ...table('matmul', { sums: true }, [
    mm([1, 1], [1, 1]),
    mm([3, 4], [4, 5]),
    mm([6, 8], [8, 16]),
    mm([7, 9], [9, 17]),
    mm([4, 3], [4, 5], { transposeA: true }),
    mm([3, 4], [5, 4], { transposeB: true }),
    mm([4, 3], [5, 4], { transposeA: true, transposeB: true }),
    mm([2, 3, 4], [2, 4, 5]),
    mm([2, 4, 3], [2, 4, 5], { transposeA: true }),
    mm([2, 3, 4], [2, 5, 4], { transposeB: true }),
    mm([3, 4, 2], [3, 5, 4], { transposeA: true, transposeB: true }),
    mm([2, 3, 4], [4, 5]),
    mm([3, 4], [2, 4, 5]),
    mm([1, 3, 4], [3, 4, 2]),
    mm([3, 3, 4], [1, 5, 4], { transposeB: true }),
    mm([0, 3, 4], [4, 5]),
    mm([2, 0], [0, 3]),
    mm([25, 257], [257, 33]),
    mm([97, 20], [18, 20], { transposeB: true }),
    mm([20, 50], [20, 49], { transposeA: true }),
    mm([3, 20], [20, 513]),
    few(mm([160, 300], [300, 120])),
  ]),

  ...table('maxPool2d', {}, [
    maxPool('one pixel', [1, 1, 1, 1], { kernel: 1 }),
    maxPool('2×2', [2, 3, 4, 6], { kernel: 2 }),
    maxPool('2×2 with a remainder', [1, 2, 5, 7], { kernel: 2 }),
    maxPool('overlapping', [2, 3, 7, 9], { kernel: 3, stride: 2 }),
    maxPool('overlapping, rounded up', [2, 3, 8, 10], { kernel: 3, stride: 2, ceil: true }),
    maxPool('rounded up, nothing left over', [1, 2, 7, 5], { kernel: 3, stride: 2, ceil: true }),
    maxPool('padded, rounded up, below zero', [1, 2, 6, 7], { kernel: 3, stride: 2, padding: 1, ceil: true }, B),
    maxPool('a 3×2 window', [1, 2, 6, 7], { kernel: [3, 2], stride: [1, 2], padding: [1, 0] }),
    maxPool('dilated', [1, 2, 8, 9], { kernel: [3, 2], stride: [2, 1], dilation: [2, 3] }),
    maxPool('four paddings', [1, 2, 5, 6], { kernel: 3, stride: 2, padding: [0, 1, 2, 1] }, B),
    maxPool('a window over everything', [2, 2, 5, 4], { kernel: [5, 4] }),
    maxPool('ties', [2, 2, 7, 6], { kernel: 3, stride: 2 }, S, { gradient: 'compared' }),
    maxPool('a row of 33', [1, 2, 3, 33], { kernel: 3, stride: [1, 2], padding: 1 }),
    maxPool('no images', [0, 2, 4, 4], { kernel: 2 }),
  ]),
  ...table('maxPool2dWithSwitches', { gradient: 'none' }, [
    switches('overlapping', [2, 3, 7, 9], { kernel: 3, stride: 2 }),
    switches('overlapping, rounded up', [2, 3, 8, 10], { kernel: 3, stride: 2, ceil: true }),
    switches('padded, below zero', [1, 2, 6, 7], { kernel: 3, stride: 2, padding: 1 }, B),
    switches('dilated', [1, 2, 8, 9], { kernel: [3, 2], stride: [2, 1], dilation: [2, 3] }),
    switches('ties', [2, 2, 7, 6], { kernel: 3, stride: 2 }, S),
    switches(
      'zeros alone',
      [1, 1, 5, 5],
      { kernel: 3, stride: 2 },
      floats((size) => new Array(size).fill(0)),
    ),
  ]),
  ...table('maxUnpool2d', {}, [
    unpool('any switches, added', [2, 3, 4, 5], [6, 7], 'sum'),
    unpool('any switches, the last one', [2, 3, 4, 5], [6, 7], 'last'),
    unpool('few places, added', [1, 2, 5, 5], [2, 3], 'sum'),
    unpool('few places, the last one', [1, 2, 5, 5], [2, 3], 'last'),
    unpoolBy('windows apart, added', [2, 2, 6, 8], [2, 2, 3, 4], { kernel: 2 }, 'sum'),
    unpoolBy('windows apart, the last one', [2, 2, 6, 8], [2, 2, 3, 4], { kernel: 2 }, 'last'),
    unpoolBy('overlapping windows, added', [2, 2, 7, 9], [2, 2, 3, 4], { kernel: 3, stride: 2 }, 'sum'),
    unpoolBy('overlapping windows, the last one', [2, 2, 7, 9], [2, 2, 3, 4], { kernel: 3, stride: 2 }, 'last'),
    unpool('no images', [0, 2, 3, 3], [6, 6], 'sum'),
  ]),
  ...table('avgPool2d', { sums: true }, [
    avgPool('2×2', [2, 3, 4, 6], { kernel: 2 }),
    avgPool('overlapping', [2, 3, 7, 9], { kernel: 3, stride: 2 }),
    avgPool('padded', [1, 2, 6, 7], { kernel: 3, stride: 2, padding: 1 }),
    avgPool('padded, not counted', [1, 2, 6, 7], { kernel: 3, stride: 2, padding: 1, countIncludePad: false }),
    avgPool('rounded up', [1, 2, 6, 8], { kernel: 3, stride: 2, ceil: true }),
    avgPool('rounded up, padded', [1, 2, 6, 8], { kernel: [3, 4], stride: [2, 3], padding: [1, 2], ceil: true }),
    avgPool('four paddings, dilated', [1, 2, 7, 8], { kernel: [3, 2], stride: [1, 2], padding: [0, 1, 2, 0], dilation: [2, 3] }),
    avgPool('over everything', [2, 3, 5, 4], { kernel: [5, 4] }),
    avgPool('no images', [0, 2, 4, 4], { kernel: 2 }),
  ]),

  ...table('localResponseNorm', {}, [
    lrn('as the paper', [2, 7, 4, 5], {}),
    ...[1, 2, 3, 4, 5].map((size) => lrn(`across ${size}`, [2, 6, 3, 4], { size, alpha: 0.7, k: 1 })),
    lrn('across more channels than there are', [1, 3, 3, 4], { size: 9, alpha: 0.5 }),
    lrn('beta 1', [1, 5, 3, 4], { size: 3, alpha: 1, beta: 1, k: 1 }),
    lrn('beta 0.5', [1, 5, 3, 4], { size: 3, alpha: 1, beta: 0.5, k: 0.5 }),
    lrn('beta 0.6', [1, 5, 3, 4], { size: 3, alpha: 1, beta: 0.6, k: 1.5 }),
    ...[63, 64, 65].map((pixels) => lrn(`planes of ${pixels} pixels`, [1, 5, 1, pixels], { size: 5, alpha: 0.5 })),
    ...[1, 2, 3, 4, 5].map((size) => lrn(`within ${size}×${size}`, [2, 2, 6, 5], { size, alpha: 0.7, k: 1, region: 'within' })),
    lrn('within more than the image', [1, 2, 3, 4], { size: 9, alpha: 0.5, region: 'within' }),
    lrn('no images', [0, 5, 3, 3], {}),
  ]),

  ...table('add', {}, broadcasting(add, N)),
  ...table('sub', {}, broadcasting(sub, N)),
  ...table('mul', {}, broadcasting(mul, N)),
  ...table('div', {}, broadcasting(div, P)),
  ...table('pow', {}, [
    ...broadcasting(pow, P),
    ['the square of negatives', [A(3, 5)], ([x]) => pow(x, 2)],
    ['the cube of negatives', [A(3, 5)], ([x]) => pow(x, 3)],
    ['of zero', [S(9)], ([x]) => pow(x, 2)],
    ['of far apart magnitudes', [P(33), W(33)], ([a, b]) => pow(a, b), { gradient: 'compared' }],
  ]),
  ...table('maximum', {}, [...broadcasting(maximum, N), ['ties', [S(4, 5), S(4, 5)], ([a, b]) => maximum(a, b), { gradient: 'compared' }]]),
  ...table('minimum', {}, [...broadcasting(minimum, N), ['ties', [S(4, 5), S(4, 5)], ([a, b]) => minimum(a, b), { gradient: 'compared' }]]),
  ...table('greater', { gradient: 'none' }, [
    ...broadcasting(greater, S),
    ['whole numbers', [L(3, 20), L(3, 20)], ([a, b]) => greater(a, b)],
  ]),
  ...table('equal', { gradient: 'none' }, [...broadcasting(equal, S), ['whole numbers', [L(3, 20), L(3, 20)], ([a, b]) => equal(a, b)]]),
  ...table('add', { gradient: 'none' }, [['whole numbers', [L(1000, 3, 5), L(1000, 5)], ([a, b]) => add(a, b)]]),
  ...table('mul', { gradient: 'none' }, [['whole numbers', [L(1000, 3, 5), L(1000, 5)], ([a, b]) => mul(a, b)]]),

  ...table('neg', {}, unary(neg, N)),
  ...table('abs', {}, [...unary(abs, A), ['zeros', [S(9)], ([x]) => abs(x), { gradient: 'compared' }]]),
  ...table('exp', {}, [...unary(exp, N), ['far from zero', [W(40)], ([x]) => exp(x), { gradient: 'compared' }]]),
  ...table('log', {}, [...unary(log, P), ['of far apart magnitudes', [W(40)], ([x]) => log(exp(x))]]),
  ...table('sqrt', {}, [...unary(sqrt, P), ['of far apart magnitudes', [W(40)], ([x]) => sqrt(exp(x)), { gradient: 'compared' }]]),
  ...table('square', {}, unary(square, N)),
  ...table('reciprocal', {}, unary(reciprocal, P)),
  ...table('sigmoid', {}, [...unary(sigmoid, N), ['far from zero', [W(40)], ([x]) => sigmoid(x)]]),
  ...table('tanh', {}, [
    ...unary(tanh, N),
    ['far from zero', [W(40)], ([x]) => tanh(x)],
    ['near zero', [N(40)], ([x]) => tanh(mul(x, 1 / 1024))],
  ]),
  ...table('relu', {}, [...unary(relu, A), ['zeros', [S(19)], ([x]) => relu(x), { gradient: 'compared' }]]),
  ...table('leakyRelu', {}, [
    ...unary((x) => leakyRelu(x), A),
    ['slope 0.3', [A(4, 5)], ([x]) => leakyRelu(x, 0.3)],
    ['a negative slope', [A(4, 5)], ([x]) => leakyRelu(x, -0.2)],
  ]),
  ...table('clamp', {}, [
    ...unary((x) => clamp(x, -0.45, 0.55), D),
    ['no upper end', [D(17)], ([x]) => clamp(x, -0.45, Number.POSITIVE_INFINITY)],
    ['at its ends', [S(19)], ([x]) => clamp(x, 0, 1), { gradient: 'compared' }],
  ]),
  ...table('dropout', {}, [
    ...[0, 0.25, 0.5, 0.9].map((p): Row => [`probability ${p}`, [A(7, 11)], ([x]) => dropout(x, p, new Generator(7))]),
    ['one element', [A(1)], ([x]) => dropout(x, 0.5, new Generator(1))],
    ['behind other draws', [A(37)], ([x]) => dropout(x, 0.5, Generator.fromState({ seed: 3, counter: 2 ** 40 + 5 }))],
  ]),

  ...table('sum', { sums: true }, [
    ...reducing(sum, N),
    ['a long run', [N(LONG)], ([x]) => sum(x), { places: 8 }],
    ['nothing', [N(0)], ([x]) => sum(x)],
  ]),
  ...table('mean', { sums: true }, [...reducing(mean, N), ['a long run', [N(LONG)], ([x]) => mean(x), { places: 8 }]]),
  ...table('max', {}, [
    ...reducing(max),
    ['a long run', [D(LONG)], ([x]) => max(x), { gradient: 'compared' }],
    ['ties', [S(5, 6)], ([x]) => max(x, { axes: 1 }), { gradient: 'compared' }],
  ]),
  ...table('min', {}, [
    ...reducing(min),
    ['a long run', [D(LONG)], ([x]) => min(x), { gradient: 'compared' }],
    ['ties', [S(5, 6)], ([x]) => min(x, { axes: [0] }), { gradient: 'compared' }],
  ]),
  ...table('argmax', { gradient: 'none' }, [
    ...on([D(3, 4, 5)], {
      'the last axis': ([x]) => argmax(x),
      'axis 0': ([x]) => argmax(x, { axis: 0 }),
      'axis 1, kept': ([x]) => argmax(x, { axis: 1, keepDims: true }),
    }),
    ['ties', [S(6, 17)], ([x]) => argmax(x)],
    ['below zero', [B(4, 5)], ([x]) => argmax(x)],
  ]),

  ...table('softmax', {}, softmaxRows(softmax)),
  ...table('logSoftmax', {}, softmaxRows(logSoftmax)),
  ...table('crossEntropy', {}, [
    ...[
      [1, 1],
      [1, 5],
      [4, 3],
      [7, 10],
      [3, 17],
      [2, 1000],
    ].map(([n, classes]): Row => [`${n} × ${classes}`, [N(n, classes), L(classes, n)], ([x, labels]) => crossEntropy(x, labels)]),
    ['far apart logits', [W(5, 6), L(6, 5)], ([x, labels]) => crossEntropy(x, labels)],
    ['under another operation', [N(4, 5), L(5, 4)], ([x, labels]) => mul(crossEntropy(x, labels), 3)],
  ]),

  ...table('reshape', {}, on([N(2, 3, 4)], { 'to [6, 4]': ([x]) => reshape(x, [6, 4]), 'with -1': ([x]) => reshape(x, [4, -1, 2]) })),
  ...table('reshape', {}, [['used twice', [N(2, 6)], ([x]) => add(reshape(x, [3, 4]), mul(reshape(x, [3, 4]), 2))]]),
  ...table(
    'flatten',
    {},
    on([N(2, 3, 4)], { 'from 1': ([x]) => flatten(x), 'from 0': ([x]) => flatten(x, 0), 'from 2': ([x]) => flatten(x, 2) }),
  ),
  ...table(
    'squeeze',
    {},
    on([N(1, 3, 1, 2)], { all: ([x]) => squeeze(x), 'axis 2': ([x]) => squeeze(x, 2), 'axes 0, -2': ([x]) => squeeze(x, [0, -2]) }),
  ),
  ...table(
    'unsqueeze',
    {},
    on([N(2, 3)], { 'at 0': ([x]) => unsqueeze(x, 0), 'at 1': ([x]) => unsqueeze(x, 1), 'at -1': ([x]) => unsqueeze(x, -1) }),
  ),
  ...table('permute', {}, [
    ...on([N(2, 3, 4, 5)], {
      reversed: ([x]) => permute(x),
      'NCHW to NHWC': ([x]) => permute(x, [0, 2, 3, 1]),
      'first two': ([x]) => permute(x, [1, 0, 2, 3]),
      'a cycle': ([x]) => permute(x, [3, 0, 1, -2]),
    }),
    ['a matrix of 17 × 33', [N(17, 33)], ([x]) => permute(x)],
  ]),
  ...table('transpose', {}, on([N(2, 3, 5)], { 'the last two': ([x]) => transpose(x), '0 and 2': ([x]) => transpose(x, 0, 2) })),
  ...table('slice', {}, [
    ...on([N(4, 7)], {
      'a block': ([x]) => slice(x, [1, 2], [3, 6]),
      steps: ([x]) => slice(x, [0, 1], [4, 7], [2, 3]),
      'from the end': ([x]) => slice(x, [-2, -5], [4, -1]),
      nothing: ([x]) => slice(x, [2, 3], [2, 5]),
      everything: ([x]) => slice(x, [0, 0], [99, 99]),
    }),
    ['of four axes', [N(2, 3, 4, 5)], ([x]) => slice(x, [0, 1, 1, 0], [2, 3, 4, 5], [1, 1, 2, 2])],
  ]),
  ...table('concat', {}, [
    ['rows', [N(2, 3), N(1, 3), N(4, 3)], (all) => concat(all)],
    ['columns', [N(2, 3, 2), N(2, 1, 2)], (all) => concat(all, 1)],
    ['the last axis', [N(2, 3), N(2, 4)], (all) => concat(all, -1)],
    ['with an empty one', [N(2, 3), N(0, 3), N(1, 3)], (all) => concat(all)],
    ['one alone', [N(2, 3)], (all) => concat(all, 1)],
    ['the same one twice', [N(2, 3)], ([x]) => concat([x, x], 1)],
    ['whole numbers', [L(9, 3), L(9, 2)], (all) => concat(all), { gradient: 'none' }],
  ]),
  ...table('pad', {}, [
    ['zeros', [N(2, 3)], ([x]) => pad(x, [[1, 0], [2, 1]])], // biome-ignore format: pairs
    ['a number', [N(1, 2, 3)], ([x]) => pad(x, [[0, 0], [0, 2], [1, 1]], -1.5)], // biome-ignore format: pairs
    ['nothing', [N(3)], ([x]) => pad(x, [[0, 0]])],
  ]),
  ...table('expand', {}, [
    ['a row', [N(1, 4)], ([x]) => expand(x, [3, 4])],
    ['a column and a new axis', [N(3, 1)], ([x]) => expand(x, [2, 3, 5])],
    ['one number', [N()], ([x]) => expand(x, [2, 3])],
    ['to what it is', [N(2, 3)], ([x]) => expand(x, [2, 3])],
  ]),
  ...table('cast', { gradient: 'none' }, [
    ['to int32', [W(37)], ([x]) => cast(x, 'int32')],
    ['to uint8, beyond its ends', [floats((size, seed) => formula.noise(size, seed).map((v) => 512 * v))(37)], ([x]) => cast(x, 'uint8')],
    ['int32 to float32', [L(1000, 37)], ([x]) => cast(x, 'float32')],
    ['uint8 to float32', [bytes(3, 11)], ([x]) => cast(x, 'float32')],
    ['uint8 to int32', [bytes(37)], ([x]) => cast(x, 'int32')],
    ['int32 to uint8', [L(1000, 37)], ([x]) => cast(x, 'uint8')],
  ]),
];

function softmaxRows(op: (x: Tensor) => Tensor): Row[] {
  return [
    ...[[1], [5], [1, 1], [3, 4], [2, 3, 5], [2, 16], [4, 17], [2, 1000], [0, 3]].map(
      (shape): Row => [`[${shape}]`, [N(...shape)], ([x]) => op(x)],
    ),
    ['far apart', [W(4, 6)], ([x]) => op(x)],
    ['large', [W(3, 5)], ([x]) => op(mul(x, 32))],
  ];
}
