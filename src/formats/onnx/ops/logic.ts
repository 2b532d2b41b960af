/**
 * Comparisons, logical operators and Where. A bool is a host value if its operands are, otherwise a uint8 tensor of 0 and 1 on the
 * backend.
 */
import { abs, cast, equal, greater, maximum, mul, sub, type Tensor, where } from '../../../tensor/index.js';
import { broadcastShape, broadcastStrides } from '../../../tensor/shape.js';
import { type HostValue, isHost, makeHost, toTensor, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostBinary, hostMap, places } from '../running/host_ops.js';
import { legacyAligned } from './arithmetic.js';

type DeviceBinary = (a: Tensor, b: Tensor) => Tensor;

/** A comparison. It has no gradient. */
const comparison = (name: string, device: DeviceBinary, holds: (a: number, b: number) => boolean): Operator => ({
  run: (call) => {
    const [a, b] = legacyAligned(call);
    if (isHost(a) && isHost(b)) return [hostBinary(name, a, b, (x, y) => (holds(x, y) ? 1 : 0), 'bool')];
    return [cast(device(call.asTensor(a, 'input 0'), call.asTensor(b, 'input 1')), 'uint8')];
  },
  receptiveWindow: 'point',
});

const less: DeviceBinary = (a, b) => greater(b, a);

/** Returns a bool as a float32 tensor of 0 and 1. */
function asMask(call: Call, value: Value, what: string): Tensor {
  const tensor = isHost(value) ? toTensor(value, call.backend, what) : value;
  return cast(tensor, 'float32');
}

/** A logical operator with two inputs. */
const logical = (name: string, device: DeviceBinary, holds: (a: number, b: number) => number): Operator => ({
  run: (call) => {
    const [a, b] = legacyAligned(call);
    if (isHost(a) && isHost(b)) return [hostBinary(name, a, b, holds, 'bool')];
    return [cast(device(asMask(call, a, 'input 0'), asMask(call, b, 'input 1')), 'uint8')];
  },
  receptiveWindow: 'point',
  integers: 'all',
  attributes: ['axis', 'broadcast'],
});

const not: Operator = {
  run: (call) => {
    const x = call.value(0);
    return [isHost(x) ? hostMap(x, (value) => (value === 0 ? 1 : 0), 'bool') : cast(sub(1, asMask(call, x, 'input 0')), 'uint8')];
  },
  receptiveWindow: 'point',
  integers: 'all',
  attributes: [],
};

function hostWhere(condition: HostValue, a: HostValue, b: HostValue): HostValue {
  const shape = broadcastShape('Where', broadcastShape('Where', condition.shape, a.shape), b.shape);
  const [at, atA, atB] = [condition, a, b].map((value) => places(shape, broadcastStrides(value.shape, shape)));
  return makeHost(a.type, shape, (i) => (condition.data[at(i)] !== 0 ? a.data[atA(i)] : b.data[atB(i)]));
}

/** Where. Opsets 9, 16. The gradient of each element goes to the operand that it was taken from. */
function runWhere(call: Call): readonly Value[] {
  const [condition, a, b] = [0, 1, 2].map((slot) => call.value(slot));
  if (isHost(condition) && isHost(a) && isHost(b)) return [hostWhere(condition, a, b)];
  const mask = isHost(condition) ? toTensor(condition, call.backend, 'input 0') : condition;
  return [where(mask, call.asTensor(a, 'input 1'), call.asTensor(b, 'input 2'))];
}

export const logic = {
  Equal: comparison('Equal', equal, (a, b) => a === b),
  Greater: comparison('Greater', greater, (a, b) => a > b),
  Less: comparison('Less', less, (a, b) => a < b),
  GreaterOrEqual: {
    ...comparison(
      'GreaterOrEqual',
      (a, b) => maximum(greater(a, b), equal(a, b)),
      (a, b) => a >= b,
    ),
    since: 12,
    attributes: [],
  },
  LessOrEqual: {
    ...comparison(
      'LessOrEqual',
      (a, b) => maximum(less(a, b), equal(a, b)),
      (a, b) => a <= b,
    ),
    since: 12,
    attributes: [],
  },
  And: logical('And', mul, (a, b) => (a !== 0 && b !== 0 ? 1 : 0)),
  Or: logical('Or', maximum, (a, b) => (a !== 0 || b !== 0 ? 1 : 0)),
  Xor: logical(
    'Xor',
    (a, b) => abs(sub(a, b)),
    (a, b) => ((a !== 0) !== (b !== 0) ? 1 : 0),
  ),
  Not: not,
  Where: { run: runWhere, receptiveWindow: 'point', integers: [0], since: 9, attributes: [] },
} satisfies Record<string, Operator>;
