/** Reductions over axes of a strided view (sum, mean, maximum, minimum, argmax) and the sum of squares. */
import type { Backend, ReduceOp } from '../../backend.js';
import { BackendError } from '../../errors.js';
import type { ReduceParams } from '../../params.js';
import type { GpuStorage } from '../buffers.js';
import type { GpuQueue, Kernel } from '../kernel.js';
import { BITS, NAN_MAX } from '../wgsl.js';
import { type Axis, axesOf, mergeAxes } from './axes.js';
import { expect } from './dtype.js';
import { eachRow, fields, lanesFor, memo, reads, rowGroups, writes } from './lanes.js';
import { ORDER } from './numeric.js';

/** A mean is a sum with a divisor; the squares are those of the elements. */
type Operation = 'sum' | 'squares' | 'max' | 'min';

/** Most axes, after merging, that are kept or reduced. Contiguous tensors that alternate between both need 2 axes of size 2 for each. */
const MOST_AXES = 12;

/** How outputs are computed. */
interface Plan {
  lanes: number;
  /** Elements that one workgroup, or thread, reduces. */
  chunk: number;
  slices: number;
}

/** Returns the number of positions of the axes. */
const countOf = (axes: readonly Axis[]) => axes.reduce((count, [size]) => count * size, 1);

/** WGSL: `${name}Offset(i)`, the offset of position i of some axes, whose sizes and strides are parameters. */
function offsetOf(name: string, rank: number): string {
  const steps = Array.from({ length: rank }, (_, i) => rank - 1 - i).map((axis) =>
    axis === 0
      ? `  offset += rest * p.${name}Stride0;`
      : `  offset += (rest % p.${name}Size${axis}) * p.${name}Stride${axis};\n  rest /= p.${name}Size${axis};`,
  );
  return `
fn ${name}Offset(i: u32) -> u32 {
  var rest = i;
  var offset = 0u;
${steps.join('\n')}
  return offset;
}
`;
}

const axisFields = (name: string, rank: number) =>
  Array.from({ length: rank }, (_, axis) => fields('u32', `${name}Size${axis}`, `${name}Stride${axis}`)).flat();

/** Values of `axisFields`. */
const sizesOf = (axes: readonly Axis[]) => axes.flatMap((axis) => axis.slice(0, 2));

/** Slices of one output follow each other at a distance of `outputs`, so that neighbouring threads have neighbouring outputs. */
const SLICE = `
  let base = keptOffset(row % p.outputs);
  let begin = (row / p.outputs) * p.chunk;
  let end = min(begin + p.chunk, p.elements);
`;

const OPERATIONS: Record<Operation, { combine: 'sum' | 'max' | 'min'; start: string; step: string; join: string }> = {
  sum: { combine: 'sum', start: '0.0', step: 'part + v', join: 'total + part' },
  squares: { combine: 'sum', start: '0.0', step: 'part + v * v', join: 'total + part' },
  max: { combine: 'max', start: '-infinity()', step: 'nanMax(part, v)', join: 'nanMax(total, part)' },
  min: { combine: 'min', start: 'infinity()', step: 'nanMin(part, v)', join: 'nanMin(total, part)' },
};

/** The key is `operation lanes rank of kept axes rank of reduced axes`. Each lane adds parts of 32 elements, which rounds less. */
const reduction = memo((key: string): Kernel => {
  const [operation, lanes, kept, reduced] = key.split(' ');
  const { combine, start, step, join } = OPERATIONS[operation as Operation];
  return {
    name: operation,
    key,
    buffers: [writes('y'), reads('x')],
    params: [
      ...fields('u32', 'rows', 'outputs', 'elements', 'chunk'),
      ...fields('f32', 'divisor'),
      ...axisFields('kept', Number(kept)),
      ...axisFields('reduced', Number(reduced)),
    ],
    code: () =>
      BITS +
      NAN_MAX +
      offsetOf('kept', Number(kept)) +
      offsetOf('reduced', Number(reduced)) +
      eachRow(
        Number(lanes),
        [combine],
        `${SLICE}
  var total = ${start};
  var j = begin + lane;
  while (j < end) {
    var part = ${start};
    for (var n = 0u; n < 32u && j < end; n++) {
      let v = x[base + reducedOffset(j)];
      part = ${step};
      j += LANES;
    }
    total = ${join};
  }
  let result = ${combine}Lanes(total, lane);
  if (lane == 0u) { y[row] = result${combine === 'sum' ? ' / p.divisor' : ''}; }`,
      ),
  };
});

const argmaxKernel = memo((key: string): Kernel => {
  const [lanes, kept, reduced] = key.split(' ');
  return {
    name: 'argmax',
    key,
    buffers: [writes('y', 'u32'), reads('x', 'u32')],
    params: [
      ...fields('u32', 'rows', 'outputs', 'elements', 'chunk'),
      ...axisFields('kept', Number(kept)),
      ...axisFields('reduced', Number(reduced)),
    ],
    code: () =>
      ORDER +
      offsetOf('kept', Number(kept)) +
      offsetOf('reduced', Number(reduced)) +
      eachRow(
        Number(lanes),
        ['best'],
        `${SLICE}
  var best = vec2u(LEAST_ORDER, 0u);
  for (var j = begin + lane; j < end; j += LANES) {
    let rank = order(x[base + reducedOffset(j)]);
    if (rank > best.x) { best = vec2u(rank, j); }
  }
  let first = bestLanes(best, lane);
  if (lane == 0u) { y[row] = first.y; }`,
      ),
  };
});

/** Axes of a view, merged. @throws BackendError for more axes than the parameters of a kernel can hold */
function axesFor(op: string, shape: readonly number[], strides: readonly number[]): Axis[] {
  const axes = mergeAxes(axesOf(shape, strides, strides));
  if (axes.length > MOST_AXES)
    throw new BackendError(`${op}: got ${axes.length} separate axes on the webgpu backend, expected at most ${MOST_AXES}`);
  return axes;
}

/** Chooses lanes and slices from the sizes, so that sums have a fixed order. */
function planOf(queue: GpuQueue, outputs: number, kept: readonly Axis[], reduced: readonly Axis[]): Plan {
  const elements = countOf(reduced);
  const columns = kept.at(-1)![1] === 1 && kept.at(-1)![0] > 1 && reduced.at(-1)![1] !== 1;
  const lanes = columns ? 1 : lanesFor(queue, elements);
  const [least, most] = lanes === 1 ? [64, 65536] : [8192, 1024];
  const wanted = Math.max(1, Math.min(Math.ceil(elements / least), Math.floor(most / outputs), 1024));
  const chunk = Math.max(1, Math.ceil(elements / wanted));
  return { lanes, chunk, slices: Math.max(1, Math.ceil(elements / chunk)) };
}

interface Reduction {
  operation: Operation;
  kept: readonly Axis[];
  reduced: readonly Axis[];
  divisor: number;
}

/** Reduces x to y. Several slices per output go to memory first and are reduced by a second launch. */
function launchReduction(queue: GpuQueue, y: GpuStorage, x: GpuStorage, { operation, kept, reduced, divisor }: Reduction): void {
  const outputs = countOf(kept);
  const { lanes, chunk, slices } = planOf(queue, outputs, kept, reduced);
  const rows = outputs * slices;
  const target = slices === 1 ? y : queue.scratch(4 * rows);
  const sizes = [rows, outputs, countOf(reduced), chunk, slices === 1 ? divisor : 1, ...sizesOf(kept), ...sizesOf(reduced)];
  queue.launch(reduction(`${operation} ${lanes} ${kept.length} ${reduced.length}`), [target, x], sizes, rowGroups(rows, lanes));
  if (slices === 1) return;
  const rest = { kept: [[outputs, 1, 1]] as const, reduced: [[slices, outputs, outputs]] as const, divisor };
  launchReduction(queue, y, target, { ...rest, operation: operation === 'squares' ? 'sum' : operation });
  queue.release(target);
}

/** Writes the sum of the first `count` elements of x, divided by `divisor`, to y[0]. */
export const sumInto = (queue: GpuQueue, y: GpuStorage, x: GpuStorage, count: number, divisor: number): void =>
  launchReduction(queue, y, x, { operation: 'sum', kept: [[1, 1, 1]], reduced: [[count, 1, 1]], divisor });

/** A sum of no elements is 0, their mean NaN. */
const divisorOf = (op: ReduceOp, elements: number) => (op !== 'mean' ? 1 : elements === 0 ? Number.NaN : elements);

export const reduce = (queue: GpuQueue): Pick<Backend, 'reduce' | 'argmax' | 'sumSquares'> => ({
  reduce(y, x, op, p) {
    expect(op, 'float32', y, x);
    if (y.size === 0) return;
    const [kept, reduced] = bothAxes(op, p);
    const operation = op === 'mean' ? 'sum' : op;
    launchReduction(queue, queue.own(y), queue.own(x), { operation, kept, reduced, divisor: divisorOf(op, countOf(reduced)) });
  },

  argmax(y, x, p) {
    expect('argmax', 'int32', y);
    expect('argmax', 'float32', x);
    if (y.size === 0) return;
    const [kept, reduced] = bothAxes('argmax', p);
    const elements = countOf(reduced);
    const lanes = lanesFor(queue, elements);
    const sizes = [y.size, y.size, elements, elements, ...sizesOf(kept), ...sizesOf(reduced)];
    const kernel = argmaxKernel(`${lanes} ${kept.length} ${reduced.length}`);
    queue.launch(kernel, [queue.own(y), queue.own(x)], sizes, rowGroups(y.size, lanes));
  },

  sumSquares(y, x) {
    expect('sumSquares', 'float32', y, x);
    const all = { operation: 'squares', kept: [[1, 1, 1]], reduced: [[x.size, 1, 1]], divisor: 1 } as const;
    launchReduction(queue, queue.own(y), queue.own(x), all);
  },
});

const bothAxes = (op: string, p: ReduceParams) =>
  [axesFor(op, p.keptShape, p.keptStrides), axesFor(op, p.reducedShape, p.reducedStrides)] as const;
