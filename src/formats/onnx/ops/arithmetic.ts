/**
 * Elementwise operators with broadcasting: Add, Sub, Mul, Div, Pow, Max, Min, Sum, Mean, and functions of one input.
 * Integers and other host values are computed on the host.
 */
import {
  abs,
  add,
  div,
  exp,
  log,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  reciprocal,
  reshape,
  sqrt,
  sub,
  type Tensor,
} from '../../../tensor/index.js';
import { isFloat } from '../decoding/element_types.js';
import { HostValue, isHost, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostBinary, hostMap } from '../running/host_ops.js';

type DeviceBinary = (a: Tensor, b: Tensor) => Tensor;
type HostBinary = (a: number, b: number) => number;

/** Up to opset 6, the second operand is aligned by the attributes `broadcast` and `axis`; from opset 7 on by NumPy's rule. */
export function legacyAligned(call: Call): [Value, Value] {
  const [a, b] = [call.value(0), call.value(1)];
  if (call.opset >= 7 || call.attributes.int('broadcast', 0) === 0) return [a, b];
  const axis = call.axis(call.attributes.int('axis', a.rank - b.rank), a.rank, true);
  const shape = [...b.shape, ...new Array<number>(Math.max(0, a.rank - axis - b.rank)).fill(1)];
  return [a, isHost(b) ? new HostValue(b.type, shape, b.data) : reshape(b, shape)];
}

function combine(call: Call, name: string, a: Value, b: Value, device: DeviceBinary, host: HostBinary): Value {
  if (isHost(a) && isHost(b)) return hostBinary(name, a, b, host);
  return device(call.asTensor(a, 'input 0'), call.asTensor(b, 'input 1'));
}

const binary = (name: string, device: DeviceBinary, host: HostBinary): Operator => ({
  run: (call) => {
    const [a, b] = legacyAligned(call);
    return [combine(call, name, a, b, device, host)];
  },
  receptiveWindow: 'point',
});

/** Marks both inputs as trainable: a constant operand with more than one element is a bias or a scale. */
const learned = (operator: Operator): Operator => ({ ...operator, weights: [0, 1] });

/** An operator with any number of inputs, which are broadcast together. */
const variadic = (name: string, device: DeviceBinary, host: HostBinary, end?: (call: Call, value: Value) => Value): Operator => ({
  run: (call) => {
    const fold = call.inputs
      .slice(1)
      .reduce<Value>((sum, _, i) => combine(call, name, sum, call.value(i + 1), device, host), call.value(0));
    return [end ? end(call, fold) : fold];
  },
  receptiveWindow: 'point',
});

const unary = (device: (x: Tensor) => Tensor, host: (x: number) => number): Operator => ({
  run: (call) => {
    const x = call.value(0);
    return [isHost(x) ? hostMap(x, host) : device(call.tensor(0))];
  },
  receptiveWindow: 'point',
});

/** Div. Integer division truncates towards zero. */
const divide: Operator = {
  ...binary('Div', div, (a, b) => a / b),
  run: (call) => {
    const [a, b] = legacyAligned(call);
    const whole = isHost(a) && !isFloat(a.type);
    return [combine(call, 'Div', a, b, div, whole ? (x, y) => Math.trunc(x / y) : (x, y) => x / y)];
  },
};

/** Pow. The exponent may have another type than the base; the result has the type of the base. */
const power: Operator = {
  ...binary('Pow', pow, (a, b) => a ** b),
  run: (call) => {
    const [a, b] = legacyAligned(call);
    if (isHost(a) && isHost(b)) return [hostBinary('Pow', a, b, (x, y) => (isFloat(a.type) ? x ** y : Math.trunc(x ** y)))];
    const exponent = isHost(b) && !isFloat(b.type) ? hostMap(b, (value) => value, 'float32') : b;
    return [pow(call.asTensor(a, 'input 0'), call.asTensor(exponent, 'input 1'))];
  },
};

const mean = (call: Call, sum: Value): Value => {
  const count = call.inputs.length;
  return isHost(sum) ? hostMap(sum, (value) => value / count) : div(sum, count);
};

export const arithmetic = {
  Add: learned(binary('Add', add, (a, b) => a + b)),
  Sub: binary('Sub', sub, (a, b) => a - b),
  Mul: learned(binary('Mul', mul, (a, b) => a * b)),
  Div: divide,
  Pow: power,
  Max: variadic('Max', maximum, (a, b) => Math.max(a, b)),
  Min: variadic('Min', minimum, (a, b) => Math.min(a, b)),
  Sum: variadic('Sum', add, (a, b) => a + b),
  Mean: variadic('Mean', add, (a, b) => a + b, mean),
  Sqrt: unary(sqrt, Math.sqrt),
  Exp: unary(exp, Math.exp),
  Log: unary(log, Math.log),
  Neg: unary(neg, (x) => -x),
  Abs: unary(abs, Math.abs),
  Reciprocal: unary(reciprocal, (x) => 1 / x),
} satisfies Record<string, Operator>;
