/** Activation operators: Relu and its variants, Sigmoid, Tanh, Softplus, Softsign, Clip, Softmax, LogSoftmax, Dropout, Identity. */
import {
  abs,
  add,
  cast,
  clamp,
  div,
  dropout,
  exp,
  flatten,
  greater,
  leakyRelu,
  log,
  logSoftmax,
  maximum,
  minimum,
  mul,
  neg,
  ones,
  permute,
  relu,
  reshape,
  sigmoid,
  softmax,
  sub,
  type Tensor,
  tanh,
} from '../../../tensor/index.js';
import { isFloat } from '../decoding/element_types.js';
import { isHost, makeHost, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostMap } from '../running/host_ops.js';

const activation = (fn: (x: Tensor, call: Call) => Tensor): Operator => ({
  run: (call) => [fn(call.tensor(0), call)],
  receptiveWindow: 'point',
});

/** Elu and Selu: scale · (max(x, 0) + alpha · (exp(min(x, 0)) − 1)). */
function exponential(x: Tensor, alpha: number, scale: number): Tensor {
  const negative = mul(sub(exp(minimum(x, 0)), 1), alpha * scale);
  const positive = maximum(x, 0);
  return add(scale === 1 ? positive : mul(positive, scale), negative);
}

/** Softplus, ln(1 + eˣ), computed without overflow as max(x, 0) + ln(1 + e^−|x|). */
const softplus = (x: Tensor): Tensor => add(maximum(x, 0), log(add(exp(neg(abs(x))), 1)));

/** PRelu. Up to opset 6, a slope with one axis has one element per channel; from opset 7 on it is broadcast. */
function prelu(x: Tensor, call: Call): Tensor {
  const slope = call.tensor(1);
  const perChannel = call.opset < 7 && slope.rank === 1 && slope.size > 1 && x.rank > 2;
  const factor = perChannel ? reshape(slope, [slope.size, ...new Array<number>(x.rank - 2).fill(1)]) : slope;
  return add(maximum(x, 0), mul(factor, minimum(x, 0)));
}

/** Clip. The bounds are attributes up to opset 10, and optional inputs from opset 11 on. If min > max, the result is max. */
function clip(call: Call): readonly Value[] {
  const x = call.value(0);
  const low = call.number(1) ?? call.attributes.float('min') ?? Number.NEGATIVE_INFINITY;
  const high = call.number(2) ?? call.attributes.float('max') ?? Number.POSITIVE_INFINITY;
  if (isHost(x)) return [hostMap(x, (value) => Math.min(Math.max(value, low), high))];
  // A Clip with lower bound 0 is a bounded ReLU: it is computed with `relu`, so that the backward rules for ReLU apply.
  const input = low === 0 ? relu(call.tensor(0)) : call.tensor(0);
  return [low === 0 && high === Number.POSITIVE_INFINITY ? input : clamp(input, low, high)];
}

/**
 * Softmax and LogSoftmax. From opset 13 on along one axis (default: the last); before, over all axes from `axis` (default 1) on,
 * flattened.
 */
const overRows = (fn: (x: Tensor) => Tensor): Operator => ({
  run: (call) => {
    const x = call.tensor(0);
    const axis = call.axis(call.attributes.int('axis', call.opset < 13 ? 1 : -1), x.rank, call.opset < 13);
    if (x.rank === 0) return [reshape(fn(reshape(x, [1])), [])];
    if (call.opset < 13) {
      const rows = x.shape.slice(0, axis).reduce((product, extent) => product * extent, 1);
      return [reshape(fn(reshape(flatten(x, axis), [rows, x.size / rows])), x.shape)];
    }
    if (axis === x.rank - 1) return [fn(x)];
    const order = x.shape.map((_, i) => (i === axis ? x.rank - 1 : i === x.rank - 1 ? axis : i));
    return [permute(fn(permute(x, order)), order)];
  },
  receptiveWindow: (attributes) => (attributes.int('axis', 1) === 1 ? 'point' : 'global'),
});

/**
 * Dropout. It is active in the model's training mode, or if the input `training_mode` of the node is set (from opset 12 on). The ratio
 * is an attribute up to opset 11, and an input from opset 12 on.
 */
function runDropout(call: Call): readonly (Value | null)[] {
  const x = call.tensor(0);
  const ratio = call.number(1) ?? call.attributes.float('ratio', 0.5);
  const training = call.training || (call.number(2) ?? 0) !== 0;
  if (!training || ratio === 0) return [reshape(x, x.shape), call.wants(1) ? makeHost('bool', x.shape, () => 1) : null];
  if (!call.wants(1)) return [dropout(x, ratio), null];
  const kept = dropout(ones(x.shape, { backend: x.backend, dtype: x.dtype }), ratio);
  return [mul(x, kept), cast(greater(kept, 0), 'uint8')];
}

/** Identity. Host values are passed on; for tensors, a new tensor with the same buffer is created. */
const identity: Operator = {
  run: (call) => {
    const x = call.value(0);
    return [isHost(x) ? x : reshape(x, x.shape)];
  },
  receptiveWindow: 'point',
  integers: 'all',
};

const relus: Operator = {
  run: (call) => {
    const x = call.value(0);
    return [isHost(x) && !isFloat(x.type) ? hostMap(x, (value) => Math.max(value, 0)) : relu(call.tensor(0))];
  },
  receptiveWindow: 'point',
};

export const activations = {
  Relu: relus,
  LeakyRelu: activation((x, { attributes }) => leakyRelu(x, attributes.float('alpha', 0.01))),
  PRelu: { ...activation(prelu), weights: [1] },
  Elu: activation((x, { attributes }) => exponential(x, attributes.float('alpha', 1), 1)),
  Selu: activation((x, { attributes }) =>
    exponential(x, attributes.float('alpha', 1.6732631921768188), attributes.float('gamma', 1.0507010221481323)),
  ),
  Sigmoid: activation(sigmoid),
  HardSigmoid: activation((x, { attributes }) => clamp(add(mul(x, attributes.float('alpha', 0.2)), attributes.float('beta', 0.5)), 0, 1)),
  Tanh: activation(tanh),
  Softplus: activation(softplus),
  Softsign: activation((x) => div(x, add(abs(x), 1))),
  Clip: { run: clip, receptiveWindow: 'point', host: [1, 2] },
  Softmax: overRows(softmax),
  LogSoftmax: overRows(logSoftmax),
  Dropout: { run: runDropout, receptiveWindow: 'point', host: [1, 2], trains: true },
  Identity: identity,
} satisfies Record<string, Operator>;
