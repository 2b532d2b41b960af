/** Activation functions that have a kernel of their own, with their gradients, and the choice by a condition. */
import type { ActivationKind, Backend, Storage } from '../../backend.js';
import { DTypeError } from '../../errors.js';
import type { GpuQueue } from '../kernel.js';
import { BITS, EXP_LOG, TANH_SIGMOID_ERF } from '../wgsl.js';
import { expect } from './dtype.js';
import { flat } from './flat.js';
import { memo } from './lanes.js';
import { ORDER } from './numeric.js';

type ActivationKernels = Pick<Backend, 'leakyRelu' | 'leakyReluGrad' | 'clamp' | 'clampGrad' | 'activation' | 'activationGrad' | 'select'>;

type Flat = ReturnType<typeof flat>;

const SLOPE = { type: 'f32', params: [['slope', 'f32']], helpers: BITS } as const;
const RANGE = {
  type: 'f32',
  params: [
    ['low', 'f32'],
    ['high', 'f32'],
  ],
  helpers: BITS,
} as const;

const leakyRelu = flat({ ...SLOPE, name: 'leakyRelu', operands: ['x'], result: 'select(p.slope * x, x, isPositive(x))' });
const leakyReluGrad = flat({ ...SLOPE, name: 'leakyReluGrad', operands: ['dy', 'x'], result: 'select(p.slope * dy, dy, isPositive(x))' });
const clamp = flat({ ...RANGE, name: 'clamp', operands: ['x'], result: 'select(min(max(x, p.low), p.high), x, isNan(x))' });
/** Compares the order of bits, so that neither NaN nor subnormal numbers depend on the device. */
const clampGrad = flat({
  ...RANGE,
  name: 'clampGrad',
  operands: ['dy', 'x'],
  helpers: `${ORDER}
fn inside(x: f32) -> bool {
  let rank = order(bitcast<u32>(x));
  return rank >= order(bitcast<u32>(p.low)) && rank <= order(bitcast<u32>(p.high));
}`,
  result: 'select(0.0, dy, inside(x))',
});

const ELEMENTARY = BITS + EXP_LOG + TANH_SIGMOID_ERF;
const NORMAL = `
fn normalOf(x: f32) -> f32 { return 0.5 + 0.5 * erf1(x * 0.70710678); }
fn density(x: f32) -> f32 { return exp1(-0.5 * x * x) * 0.3989422804; }
`;
const GELU_TANH = 'fn inner(x: f32) -> f32 { return tanh1(0.7978845608 * (x + 0.044715 * x * x * x)); }\n';
const HARD_SIGMOID = 'fn hardSigmoid(x: f32) -> f32 { return select(min(max(x + 3.0, 0.0), 6.0) / 6.0, x, isNan(x)); }\n';

/** WGSL of each function: helpers, the value and the derivative at x. */
const ACTIVATIONS: Record<ActivationKind, readonly [helpers: string, value: string, derivative: string]> = {
  silu: [ELEMENTARY, 'x * sigmoid1(x)', 'sigmoid1(x) * (1.0 + x * (1.0 - sigmoid1(x)))'],
  gelu: [ELEMENTARY + NORMAL, 'x * normalOf(x)', 'normalOf(x) + x * density(x)'],
  geluTanh: [
    ELEMENTARY + GELU_TANH,
    '0.5 * x * (1.0 + inner(x))',
    '0.5 * (1.0 + inner(x)) + 0.5 * x * (1.0 - inner(x) * inner(x)) * 0.7978845608 * (1.0 + 0.134145 * min(x * x, 1e30))',
  ],
  hardSigmoid: [BITS + HARD_SIGMOID, 'hardSigmoid(x)', 'select(0.0, 1.0 / 6.0, abs(x) < 3.0 && !isNan(x))'],
  hardSwish: [BITS + HARD_SIGMOID, 'x * hardSigmoid(x)', 'select(select(x / 3.0 + 0.5, 0.0, x <= -3.0), 1.0, x > 3.0 || isNan(x))'],
};

const value = memo((kind: ActivationKind): Flat => {
  const [helpers, result] = ACTIVATIONS[kind];
  return flat({ name: kind, type: 'f32', operands: ['x'], helpers, result });
});

const gradient = memo((kind: ActivationKind): Flat => {
  const [helpers, , derivative] = ACTIVATIONS[kind];
  return flat({ name: `${kind}Grad`, type: 'f32', operands: ['dy', 'x'], helpers, result: `dy * (${derivative})` });
});

/** Copies bits, so that it serves floats and whole numbers. Shifting out the sign makes both zeros of floats equal to 0. */
const select = memo(
  (shift: 0 | 1): Flat =>
    flat({
      name: shift === 1 ? 'select' : 'select by int32',
      type: 'u32',
      operands: ['condition', 'a', 'b'],
      result: `select(b, a, (condition << ${shift}u) != 0u)`,
    }),
);

export function activation(queue: GpuQueue): ActivationKernels {
  const run = (op: string, kernel: Flat, y: Storage, inputs: readonly Storage[], ...values: number[]) => {
    expect(op, 'float32', y, ...inputs);
    kernel(queue, queue.own(y), inputs, values);
  };
  return {
    leakyRelu: (y, x, slope) => run('leakyRelu', leakyRelu, y, [x], slope),
    leakyReluGrad: (dx, dy, x, slope) => run('leakyReluGrad', leakyReluGrad, dx, [dy, x], slope),
    clamp: (y, x, low, high) => run('clamp', clamp, y, [x], low, high),
    clampGrad: (dx, dy, x, low, high) => run('clampGrad', clampGrad, dx, [dy, x], low, high),
    activation: (y, x, kind) => run(kind, value(kind), y, [x]),
    activationGrad: (dx, dy, x, kind) => run(kind, gradient(kind), dx, [dy, x]),

    select(y, condition, a, b) {
      expect('select', a.dtype, y, b);
      if (y.dtype === 'uint8' || condition.dtype === 'uint8')
        throw new DTypeError('select: got uint8 on the webgpu backend, expected float32 or int32');
      select(condition.dtype === 'int32' ? 0 : 1)(queue, queue.own(y), [condition, a, b]);
    },
  };
}
