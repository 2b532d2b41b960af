/** Activation functions beside ReLU: smooth ones, their piecewise linear relatives, and those with a bound or a learned slope. */
import type { ActivationKind } from '../../backend/backend.js';
import { ShapeError } from '../../backend/errors.js';
import { checkOptions, oneOf } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { defineOp } from '../graph/define_op.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';
import { greater, minimum, mul } from './arithmetic.js';
import { reshape } from './movement.js';
import { sum } from './reduce.js';
import { clamp } from './relu.js';
import { where } from './where.js';

/** One kernel forwards and one back, which computes the derivative from the input again: nothing but the input is kept. */
function activation(op: string, kind: ActivationKind, x: Tensor): Tensor {
  checkFloat(op, x);
  const y = empty(op, x.shape, x.dtype, x.backend);
  x.backend.activation(y.storage, x.storage, kind);
  return record(op, y, [x], [x], (dy, [x]) => {
    const dx = empty(`${op} backward`, x.shape, dy.dtype, dy.backend, false);
    dy.backend.activationGrad(dx.storage, dy.storage, x.storage, kind);
    return [dx];
  });
}

/**
 * Returns x · sigmoid(x), also called swish. PyTorch `silu`; ONNX `Sigmoid` and `Mul`.
 *
 * @example silu(x)
 */
export const silu = (x: Tensor): Tensor => activation('silu', 'silu', x);

/** Options of `gelu`. */
export interface GeluOptions {
  /** `tanh`: the approximation x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))). Default `none`. */
  approximate?: 'none' | 'tanh';
}

/** @internal */
export const GELU_RULES = { approximate: oneOf('none', 'tanh') };

/**
 * Returns x · Φ(x) with the normal distribution function Φ. PyTorch and ONNX `gelu`.
 *
 * @example gelu(x, { approximate: 'tanh' })
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions('gelu', options, GELU_RULES);
  return activation('gelu', options.approximate === 'tanh' ? 'geluTanh' : 'gelu', x);
}

/**
 * Returns min(max(x + 3, 0), 6) / 6. PyTorch `hardsigmoid`, ONNX `HardSigmoid` with alpha 1/6 and beta 1/2.
 *
 * @example hardSigmoid(x)
 */
export const hardSigmoid = (x: Tensor): Tensor => activation('hardSigmoid', 'hardSigmoid', x);

/**
 * Returns x · hardSigmoid(x). PyTorch `hardswish`, ONNX `HardSwish`.
 *
 * @example hardSwish(x)
 */
export const hardSwish = (x: Tensor): Tensor => activation('hardSwish', 'hardSwish', x);

const bounded = /* @__PURE__ */ defineOp({
  name: 'relu6',
  forward(ctx, [x]) {
    const y = clamp(x, 0, 6);
    ctx.save(y);
    return y;
  },
  backward({ saved: [y] }, dy, { relu }) {
    // The upper bound stops the signal under all rules; the lower one is a ReLU and follows the rule for it.
    const passed = mul(dy, greater(6, y));
    const dx = empty('relu6 backward', y.shape, y.dtype, y.backend);
    y.backend.reluGrad(dx.storage, passed.storage, y.storage, relu);
    return [dx];
  },
});

/**
 * Returns min(max(x, 0), 6). PyTorch `relu6`, ONNX `Clip`. The backward pass treats the lower bound as a ReLU under all rules.
 *
 * @example relu6(tensor([-1, 3, 9])) // 0, 3, 6
 */
export function relu6(x: Tensor): Tensor {
  checkFloat('relu6', x);
  return bounded(x);
}

/** The slopes in a shape that broadcasts along the channels of x [N, C, …]. */
const perChannel = (slope: Tensor, { length }: readonly number[]): Tensor =>
  slope.size === 1 ? slope : reshape(slope, [slope.size, ...new Array<number>(Math.max(0, length - 2)).fill(1)]);

const parametric = /* @__PURE__ */ defineOp({
  name: 'prelu',
  forward(ctx, [x, slope]) {
    ctx.save(x, slope);
    return where(greater(x, 0), x, mul(x, perChannel(slope, x.shape)));
  },
  backward({ saved: [x, slope], needs }, dy) {
    const dx = needs[0] ? where(greater(x, 0), dy, mul(dy, perChannel(slope, x.shape))) : null;
    if (!needs[1]) return [dx, null];
    const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1 || slope.size === 1);
    return [dx, reshape(sum(mul(dy, minimum(x, 0)), { axes }), slope.shape)];
  },
});

/**
 * Returns x where x > 0 and slope · x elsewhere, with learned slopes. PyTorch `prelu`, ONNX `PRelu`. The derivative at 0 is the slope. The
 * backward pass uses the gradient under all rules.
 *
 * @example prelu(x, tensor([0.25]))
 * @param x [N, C, …]
 * @param slope [C], or [1] for one slope for all channels
 * @throws ShapeError for another number of slopes
 */
export function prelu(x: Tensor, slope: Tensor): Tensor {
  checkFloat('prelu', x, slope);
  if (slope.rank !== 1 || (slope.size !== 1 && slope.size !== x.shape[1]))
    throw new ShapeError(`prelu: input has shape [${x.shape}] and slope [${slope.shape}], expected [N, C, …] and [C] or [1]`);
  return parametric(x, slope);
}
