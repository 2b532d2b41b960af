/** Elementwise kernels: arithmetic, activations and their gradients, and type conversion. */
import type { Backend, BinaryOp, DType, UnaryOp } from '../backend.js';
import { inputValues, values } from './storage.js';
import { rowLength, rowOffsets, rowStride } from './strided.js';

type ElementwiseKernels = Pick<
  Backend,
  'fill' | 'cast' | 'unary' | 'binary' | 'affine' | 'relu' | 'reluGrad' | 'leakyRelu' | 'leakyReluGrad' | 'clamp' | 'clampGrad'
>;

const UNARY: Record<UnaryOp, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  square: (x) => x * x,
  reciprocal: (x) => 1 / x,
  sign: Math.sign,
};

/** `max` and `min` return NaN if either operand is NaN. */
const BINARY: Record<BinaryOp, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  greater: (a, b) => (a > b ? 1 : 0),
  equal: (a, b) => (a === b ? 1 : 0),
};

/** Ranges of the integer types. Conversion truncates the fraction, clamps to the range and turns NaN into 0. */
const RANGE: Partial<Record<DType, readonly [number, number]>> = { int32: [-(2 ** 31), 2 ** 31 - 1], uint8: [0, 255] };

export const elementwise: ElementwiseKernels = {
  fill(y, value) {
    values(y).fill(value);
  },

  cast(y, x) {
    const to = values(y);
    const from = values(x);
    const range = RANGE[y.dtype];
    if (range === undefined) {
      to.set(from);
      return;
    }
    const [low, high] = range;
    for (let i = 0; i < to.length; i++) to[i] = Math.min(Math.max(Math.trunc(from[i]), low), high);
  },

  unary(y, x, op) {
    const out = values(y);
    const input = inputValues(x, y);
    const f = UNARY[op];
    for (let i = 0; i < out.length; i++) out[i] = f(input[i]);
  },

  binary(y, a, b, op, p) {
    const out = values(y);
    const left = inputValues(a, y);
    const right = inputValues(b, y);
    const f = BINARY[op];
    const length = rowLength(p.shape);
    const stepA = rowStride(p.stridesA);
    const stepB = rowStride(p.stridesB);
    const rowsA = rowOffsets(p.shape, p.stridesA);
    const rowsB = rowOffsets(p.shape, p.stridesB);
    for (let row = 0; row < rowsA.length; row++) {
      for (let i = 0; i < length; i++) out[row * length + i] = f(left[rowsA[row] + i * stepA], right[rowsB[row] + i * stepB]);
    }
  },

  affine(y, x, scale, shift) {
    const out = values(y);
    const input = inputValues(x, y);
    for (let i = 0; i < out.length; i++) out[i] = scale * input[i] + shift;
  },

  relu(y, x) {
    const out = values(y);
    const input = inputValues(x, y);
    for (let i = 0; i < out.length; i++) out[i] = Math.max(input[i], 0);
  },

  reluGrad(dx, dy, y, rule) {
    const out = values(dx);
    const gradient = inputValues(dy, dx);
    const output = values(y);
    const mask = rule !== 'rectify';
    const rectify = rule !== 'mask';
    for (let i = 0; i < out.length; i++) {
      const passed = mask && !(output[i] > 0) ? 0 : gradient[i];
      out[i] = rectify ? Math.max(passed, 0) : passed;
    }
  },

  leakyRelu(y, x, slope) {
    const out = values(y);
    const input = values(x);
    for (let i = 0; i < out.length; i++) out[i] = input[i] > 0 ? input[i] : slope * input[i];
  },

  leakyReluGrad(dx, dy, x, slope) {
    const out = values(dx);
    const gradient = values(dy);
    const input = values(x);
    for (let i = 0; i < out.length; i++) out[i] = input[i] > 0 ? gradient[i] : slope * gradient[i];
  },

  clamp(y, x, low, high) {
    const out = values(y);
    const input = values(x);
    for (let i = 0; i < out.length; i++) out[i] = Math.min(Math.max(input[i], low), high);
  },

  clampGrad(dx, dy, x, low, high) {
    const out = values(dx);
    const gradient = values(dy);
    const input = values(x);
    for (let i = 0; i < out.length; i++) out[i] = input[i] >= low && input[i] <= high ? gradient[i] : 0;
  },
};
