/** Elementwise kernels of one operand, and the gradient of ReLU. */
import { type Backend, IN_PLACE, type Input, type ReluRule, type Storage, type UnaryOp } from '../../backend.js';
import type { GpuQueue } from '../kernel.js';
import { BITS, EXP_LOG, TANH_SIGMOID_ERF } from '../wgsl.js';
import { binary } from './binary.js';
import { cast, fill } from './cast.js';
import { expect } from './dtype.js';
import { flat } from './flat.js';

type ElementwiseKernels = Pick<Backend, 'fill' | 'cast' | 'unary' | 'binary' | 'affine' | 'relu' | 'reluGrad'>;

/** The expression of each operation, and whether it works on bits. */
const UNARY: Readonly<Record<UnaryOp, { result: string; bits?: true; helpers?: string }>> = {
  neg: { result: 'x ^ 0x80000000u', bits: true },
  abs: { result: 'x & 0x7fffffffu', bits: true },
  // 1 with the sign of x; 0 and NaN are returned unchanged.
  sign: { result: 'select((x & 0x80000000u) | 0x3f800000u, x, (x & 0x7fffffffu) - 1u >= 0x7f800000u)', bits: true },
  exp: { result: 'exp1(x)', helpers: BITS + EXP_LOG },
  log: { result: 'log1(x)', helpers: BITS + EXP_LOG },
  sqrt: { result: 'select(sqrt(x), nan(), bitcast<i32>(x) < 0 && (bitcast<u32>(x) & 0x7fffffffu) != 0u)', helpers: BITS },
  sigmoid: { result: 'sigmoid1(x)', helpers: BITS + EXP_LOG + TANH_SIGMOID_ERF },
  tanh: { result: 'tanh1(x)', helpers: BITS + EXP_LOG + TANH_SIGMOID_ERF },
  erf: { result: 'erf1(x)', helpers: BITS + EXP_LOG + TANH_SIGMOID_ERF },
  square: { result: 'x * x' },
  reciprocal: { result: '1.0 / x' },
};

const unaries = new Map(
  Object.entries(UNARY).map(([name, { result, bits, helpers }]) => [
    name,
    flat({ name, type: bits ? 'u32' : 'f32', operands: ['x'], result, helpers }),
  ]),
);

const affine = flat({
  name: 'affine',
  type: 'f32',
  operands: ['x'],
  params: [
    ['scale', 'f32'],
    ['shift', 'f32'],
  ],
  result: 'p.scale * x + p.shift',
});

/** Whether bits are those of a positive number or infinity, or of NaN. */
const POSITIVE_OR_NAN = `
fn isPositiveBits(x: u32) -> bool { return x - 1u < 0x7f800000u; }
fn positiveOrNan(x: u32) -> u32 { return select(0u, x, isPositiveBits(x) || (x & 0x7fffffffu) > 0x7f800000u); }`;

/** On bits, so that NaN stays and no device flushes subnormal numbers. */
const relu = flat({ name: 'relu', type: 'u32', operands: ['x'], helpers: POSITIVE_OR_NAN, result: 'positiveOrNan(x)' });

const masked = (name: string, result: string) => flat({ name, type: 'u32', operands: ['dy', 'y'], helpers: POSITIVE_OR_NAN, result });
const RELU_GRADS = {
  mask: masked('reluGrad mask', 'select(0u, dy, isPositiveBits(y))'),
  'mask-and-rectify': masked('reluGrad mask-and-rectify', 'select(0u, positiveOrNan(dy), isPositiveBits(y))'),
};

/** Returns the storage of an input, which is the output `y` for `IN_PLACE`. */
export const inputOf = (x: Input, y: Storage): Storage => (x === IN_PLACE ? y : x);

export const elementwise = (queue: GpuQueue): ElementwiseKernels => ({
  fill: fill(queue),
  cast: cast(queue),
  binary: binary(queue),

  unary(y, x, op) {
    expect(op, 'float32', y, inputOf(x, y));
    unaries.get(op)!(queue, queue.own(y), [x]);
  },

  affine(y, x, scale, shift) {
    expect('affine', 'float32', y, inputOf(x, y));
    affine(queue, queue.own(y), [x], [scale, shift]);
  },

  relu(y, x) {
    expect('relu', 'float32', y, inputOf(x, y));
    relu(queue, queue.own(y), [x]);
  },

  reluGrad(dx, dy, y, rule: ReluRule) {
    expect('reluGrad', 'float32', dx, inputOf(dy, dx), y);
    if (rule === 'rectify') relu(queue, queue.own(dx), [dy]);
    else RELU_GRADS[rule](queue, queue.own(dx), [dy, y]);
  },
});
