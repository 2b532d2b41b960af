/** The reduction operators: ReduceMean, ReduceSum and their relatives, ArgMax and ArgMin. */
import {
  abs,
  add,
  argmax,
  exp,
  log,
  max,
  mean,
  min,
  neg,
  type ReduceOptions,
  reshape,
  sqrt,
  square,
  squeeze,
  sub,
  sum,
  type Tensor,
} from '../../../tensor/index.js';
import { hostArray } from '../decoding/element_types.js';
import { HostValue, isHost, makeHost, typeOf, type Value } from '../decoding/host_value.js';
import type { Call, Operator } from '../operator.js';
import { hostMap, hostReduce } from '../running/host_ops.js';

interface Fold {
  start: number;
  step(sum: number, value: number): number;
  end?(sum: number, count: number): number;
}

/**
 * A reduction. The axes are an attribute in older operator sets and an input in newer ones (ReduceSum from opset 13 on, the others from
 * opset 18 on). Without axes, all axes are reduced, or none with `noop_with_empty_axes`. The reduction of no elements is `fold.start`.
 */
const reduction = (
  device: (x: Tensor, options: ReduceOptions) => Tensor,
  fold: Fold,
  alone: (x: Tensor) => Tensor = (x) => x,
): Operator => ({
  run: (call) => {
    const x = call.value(0);
    const list = call.listFrom('axes', 1);
    const keepDims = call.attributes.int('keepdims', 1) !== 0;
    const none = !list || list.length === 0;
    if (none && call.attributes.int('noop_with_empty_axes', 0) !== 0) {
      // No axis is reduced, but the function of a single element still applies: ReduceSumSquare squares each element.
      return [isHost(x) ? hostReduce(x, [], true, fold.start, fold.step, fold.end) : alone(reshape(x, x.shape))];
    }
    const axes = none ? x.shape.map((_, axis) => axis) : [...new Set(list.map((axis) => call.axis(axis, x.rank)))];
    if (isHost(x) || x.size === 0) return [hostReduce(isHost(x) ? x : emptyOf(x), axes, keepDims, fold.start, fold.step, fold.end)];
    return [axes.length === 0 ? alone(reshape(x, x.shape)) : device(x, { axes, keepDims })];
  },
  host: [1],
});

/** Returns a tensor without elements as a host value. */
const emptyOf = (x: Tensor): HostValue => new HostValue(typeOf(x), x.shape, hostArray(typeOf(x), 0));

/** ArgMax. Index of the largest value along an axis: the first one, or the last one with `select_last_index` (from opset 12 on). */
const runArgMax = (call: Call): readonly Value[] => argMaxOf(call, call.value(0));

function argMaxOf(call: Call, x: Value): readonly Value[] {
  const axis = call.axis(call.attributes.int('axis', 0), x.rank);
  const keepDims = call.attributes.int('keepdims', 1) !== 0;
  const last = call.attributes.int('select_last_index', 0) !== 0;
  if (!isHost(x)) return [argmax(x, { axis, keepDims })];
  const count = x.shape[axis];
  const inner = x.shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const shape = keepDims ? x.shape.map((extent, i) => (i === axis ? 1 : extent)) : x.shape.filter((_, i) => i !== axis);
  if (count === 0) throw call.error(`axis ${axis} of shape [${x.shape}] is empty, expected at least one element`);
  return [
    makeHost('int64', shape, (i) => {
      const at = (k: number) => x.data[(Math.floor(i / inner) * count + k) * inner + (i % inner)];
      let best = 0;
      for (let k = 1; k < count; k++) if (at(k) > at(best) || (last && at(k) === at(best))) best = k;
      return best;
    }),
  ];
}

const plus = (a: number, b: number): number => a + b;

/** ArgMin. Index of the smallest value along an axis, computed as the ArgMax of the negated values. */
const runArgMin = (call: Call): readonly Value[] => {
  const x = call.value(0);
  return argMaxOf(call, isHost(x) ? hostMap(x, (value) => -value) : neg(x));
};

/** ln Σ eˣ, shifted by the maximum so that it does not overflow. */
function logSumExp(x: Tensor, { axes, keepDims }: ReduceOptions): Tensor {
  const most = max(x.detach(), { axes, keepDims: true });
  const total = add(log(sum(exp(sub(x, most)), { axes, keepDims: true })), most);
  return keepDims ? total : squeeze(total, axes);
}

export const reductions = {
  ReduceSum: reduction(sum, { start: 0, step: plus }),
  ReduceMean: reduction(mean, { start: 0, step: plus, end: (total, count) => total / count }),
  ReduceMax: reduction(max, { start: Number.NEGATIVE_INFINITY, step: Math.max }),
  ReduceMin: reduction(min, { start: Number.POSITIVE_INFINITY, step: Math.min }),
  ReduceSumSquare: reduction((x, options) => sum(square(x), options), { start: 0, step: (total, value) => total + value * value }, square),
  ReduceL1: reduction((x, options) => sum(abs(x), options), { start: 0, step: (total, value) => total + Math.abs(value) }, abs),
  ReduceL2: reduction(
    (x, options) => sqrt(sum(square(x), options)),
    { start: 0, step: (total, value) => total + value * value, end: (total) => Math.sqrt(total) },
    abs,
  ),
  ReduceLogSum: reduction((x, options) => log(sum(x, options)), { start: 0, step: plus, end: (total) => Math.log(total) }, log),
  ReduceLogSumExp: reduction(
    logSumExp,
    { start: 0, step: (total, value) => total + Math.exp(value), end: (total) => Math.log(total) },
    (x) => x,
  ),
  // The gradient of a product is not supported, so it is computed on the host.
  ReduceProd: { ...reduction(sum, { start: 1, step: (product, value) => product * value }), host: 'all' },
  ArgMin: {
    run: runArgMin,
    host: (attributes) => (attributes.int('select_last_index', 0) !== 0 ? [0] : []),
    attributes: ['axis', 'keepdims', 'select_last_index'],
  },
  ArgMax: { run: runArgMax, host: (attributes) => (attributes.int('select_last_index', 0) !== 0 ? [0] : []) },
} satisfies Record<string, Operator>;
