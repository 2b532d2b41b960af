/** Rows of the list of cases, in the form for each kind of operation. */
import {
  avgPool2d,
  type Conv2dOptions,
  type ConvTranspose2dOptions,
  conv2d,
  convTranspose2d,
  type LrnOptions,
  linear,
  localResponseNorm,
  type MatmulOptions,
  type MaxPool2dOptions,
  matmul,
  maxPool2d,
  maxPool2dWithSwitches,
  maxUnpool2d,
  mul,
  type Operand,
  type OverlapRule,
  type PoolOptions,
  type ReduceOptions,
  type Tensor,
} from '../../tensor/index.js';
import { type Case, type CaseOptions, D, type Input, L, N, type Row, type Run, W } from './case.js';

export type Shape = number[];

/** x [N, C, H, W], w [O, C / groups, KH, KW], b [O] */
export const conv = (name: string, x: Shape, w: Shape, { bias = true, ...options }: Conv2dOptions & { bias?: boolean } = {}): Row => [
  name,
  [N(...x), N(...w), ...(bias ? [N(w[0])] : [])],
  ([x, w, b]) => conv2d(x, w, b, options),
];

/** x [N, O, H, W], w [O, C / groups, KH, KW], b [C] */
export const convT = (
  name: string,
  x: Shape,
  w: Shape,
  { bias = true, ...options }: ConvTranspose2dOptions & { bias?: boolean } = {},
): Row => [name, [N(...x), N(...w), ...(bias ? [N(w[1] * (options.groups ?? 1))] : [])], ([x, w, b]) => convTranspose2d(x, w, b, options)];

/** x [n, inputs], w [outputs, inputs], b [outputs] */
export const fc = (n: number, inputs: number, outputs: number, { bias = true, relu = false } = {}): Row => [
  `${n} × ${inputs} to ${outputs}${bias ? '' : ', no bias'}${relu ? ', fused ReLU' : ''}`,
  [N(n, inputs), N(outputs, inputs), ...(bias ? [N(outputs)] : [])],
  ([x, w, b]) => linear(x, w, b, { relu }),
];

export const mm = (a: Shape, b: Shape, options: MatmulOptions = {}): Row => [
  `[${a}]${options.transposeA ? 'ᵀ' : ''} · [${b}]${options.transposeB ? 'ᵀ' : ''}`,
  [N(...a), N(...b)],
  ([a, b]) => matmul(a, b, options),
];

export const maxPool = (name: string, x: Shape, options: MaxPool2dOptions, input = D, own?: CaseOptions): Row => [
  name,
  [input(...x)],
  ([x]) => maxPool2d(x, options),
  own,
];

export const switches = (name: string, x: Shape, options: MaxPool2dOptions, input = D): Row => [
  name,
  [input(...x)],
  ([x]) => maxPool2dWithSwitches(x, options).switches,
];

export const unpool = (name: string, y: Shape, outputSize: [number, number], overlap: OverlapRule): Row => [
  name,
  [N(...y), L(outputSize[0] * outputSize[1], ...y)],
  ([y, switches]) => maxUnpool2d(y, switches, { outputSize, overlap }),
];

/** Values y put back where the maxima of x were. */
export const unpoolBy = (name: string, x: Shape, y: Shape, pool: MaxPool2dOptions, overlap: OverlapRule): Row => [
  name,
  [N(...y), D(...x)],
  ([y, x]) => maxUnpool2d(y, maxPool2dWithSwitches(x, pool).switches, { outputSize: [x.shape[2], x.shape[3]], overlap }),
];

export const avgPool = (name: string, x: Shape, options: PoolOptions): Row => [name, [N(...x)], ([x]) => avgPool2d(x, options)];

export const lrn = (name: string, x: Shape, options: LrnOptions): Row => [name, [N(...x)], ([x]) => localResponseNorm(x, options)];

export const on = (inputs: readonly Input[], names: Record<string, Run>, own?: CaseOptions): Row[] =>
  Object.entries(names).map(([name, run]) => [name, inputs, run, own]);

/** An operation of two tensors over every way to broadcast, and with a number on either side. */
export const broadcasting = (op: (a: Operand, b: Operand) => Tensor, input: (...shape: number[]) => Input): Row[] => [
  // biome-ignore format: a table
  ...[
    [[7], [7]],
    [[2, 3, 4], [2, 3, 4]],
    [[4, 5], [5]],
    [[17], [3, 1]],
    [[2, 3, 4, 5], [3, 1, 1]],
    [[2, 1, 4], [5, 1]],
    [[3, 4], []],
    [[], []],
    [[2, 1, 3, 1], [4, 1, 5]],
    [[0, 3], [3]],
  ].map(([a, b]): Row => [`[${a}] and [${b}]`, [input(...a), input(...b)], ([a, b]) => op(a, b)]),
  ['a number on the right', [input(3, 5)], ([a]) => op(a, 1.5)],
  ['a number on the left', [input(3, 5)], ([a]) => op(0.75, a)],
];

export const unary = (op: (x: Tensor) => Tensor, input: (...shape: number[]) => Input): Row[] =>
  [[], [1], [3, 5], [16], [67], [0, 2]].map((shape) => [`[${shape}]`, [input(...shape)], ([x]) => op(x)]);

export const reducing = (op: (x: Tensor, options?: ReduceOptions) => Tensor, input = D): Row[] => [
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
export const LONG = 40000;

/** Rows of one to many columns, and numbers that would overflow. */
export function softmaxRows(op: (x: Tensor) => Tensor): Row[] {
  return [
    ...[[1], [5], [1, 1], [3, 4], [2, 3, 5], [2, 16], [4, 17], [2, 1000], [0, 3]].map(
      (shape): Row => [`[${shape}]`, [N(...shape)], ([x]) => op(x)],
    ),
    ['far apart', [W(4, 6)], ([x]) => op(x)],
    ['large', [W(3, 5)], ([x]) => op(mul(x, 32))],
  ];
}

/** Too large for differences: for the backends alone, which may work on it in threads. */
export const large = ([name, inputs, run]: Row): Row => [name, inputs, run, { gradient: 'compared' }];

/** Cases on NaN, infinities and signed numbers. A name is the operation, and after a blank what distinguishes the case. */
export const extremes = (
  ops: Record<string, (...inputs: never[]) => Tensor>,
  inputs: readonly Input[],
  gradient: 'compared' | 'none' = 'compared',
): Case[] =>
  Object.entries(ops).map(([key, run]) => {
    const [op, ...rest] = key.split(' ');
    return { op, name: ['extremes', ...rest].join(' '), inputs, gradient, run: (tensors) => run(...(tensors as never[])) };
  });
