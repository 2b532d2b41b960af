/** Elementwise kernels: arithmetic, activations and their gradients, and type conversion. */
import type { ActivationKind, Backend, BinaryOp, DType, UnaryOp } from '../backend.js';
import { inputValues, values } from './storage.js';
import { rowLength, rowOffsets, rowStride } from './strided.js';

type ElementwiseKernels = Pick<
  Backend,
  | 'fill'
  | 'cast'
  | 'unary'
  | 'binary'
  | 'affine'
  | 'relu'
  | 'reluGrad'
  | 'leakyRelu'
  | 'leakyReluGrad'
  | 'clamp'
  | 'clampGrad'
  | 'activation'
  | 'activationGrad'
  | 'select'
>;

/** Error function, to the precision of float64: a series of positive terms up to 3, the continued fraction of 1 − erf beyond. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 3)) {
    let fraction = a;
    for (let k = 60; k > 0; k--) fraction = a + k / 2 / fraction;
    return Math.sign(x) * (1 - (a === Infinity ? 0 : Math.exp(-a * a) / Math.sqrt(Math.PI) / fraction));
  }
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** Normal distribution function and density. */
const normal = (x: number) => (1 + erf(x / Math.SQRT2)) / 2;
const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const GELU = Math.sqrt(2 / Math.PI);
const geluTanh = (x: number) => Math.tanh(GELU * (x + 0.044715 * x ** 3));
const hardSigmoid = (x: number) => Math.min(Math.max(x + 3, 0), 6) / 6;

/** Activation functions and their derivatives; those of the hard functions are 0 at their kinks at ±3, except for `hardSwish` at 3. */
const ACTIVATIONS: Record<ActivationKind, readonly [f: (x: number) => number, derivative: (x: number) => number]> = {
  silu: [(x) => x * sigmoid(x), (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  gelu: [(x) => x * normal(x), (x) => normal(x) + x * density(x)],
  geluTanh: [
    (x) => (x / 2) * (1 + geluTanh(x)),
    (x) => (1 + geluTanh(x)) / 2 + (x / 2) * (1 - geluTanh(x) ** 2) * GELU * (1 + 3 * 0.044715 * x * x),
  ],
  hardSigmoid: [hardSigmoid, (x) => (x > -3 && x < 3 ? 1 / 6 : 0)],
  hardSwish: [(x) => x * hardSigmoid(x), (x) => (x <= -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1)],
};

const UNARY: Record<UnaryOp, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  sigmoid,
  tanh: Math.tanh,
  erf,
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

  activation(y, x, kind) {
    const out = values(y);
    const input = values(x);
    const [f] = ACTIVATIONS[kind];
    for (let i = 0; i < out.length; i++) out[i] = f(input[i]);
  },

  activationGrad(dx, dy, x, kind) {
    const out = values(dx);
    const gradient = values(dy);
    const input = values(x);
    const [, derivative] = ACTIVATIONS[kind];
    for (let i = 0; i < out.length; i++) out[i] = gradient[i] * derivative(input[i]);
  },

  select(y, condition, a, b) {
    const out = values(y);
    const [chosen, yes, no] = [values(condition), values(a), values(b)];
    for (let i = 0; i < out.length; i++) out[i] = chosen[i] !== 0 ? yes[i] : no[i];
  },
};
