/**
 * Softmax, log-softmax and cross entropy along the rows of [rows, columns], and their gradients, with one kernel each. The losses of the rows
 * are averaged by a second one.
 */
import type { Backend, Storage } from '../../backend.js';
import type { RowParams } from '../../params.js';
import type { GpuQueue, Kernel } from '../kernel.js';
import { BITS, EXP_LOG, NAN_MAX } from '../wgsl.js';
import { expect } from './dtype.js';
import { eachRow, fields, lanesFor, memo, ownAll, reads, rowGroups, writes } from './lanes.js';
import { sumInto } from './reduce.js';

type SoftmaxKernels = Pick<Backend, 'softmax' | 'softmaxGrad' | 'logSoftmax' | 'logSoftmaxGrad' | 'crossEntropy' | 'crossEntropyGrad'>;

const SIZES = fields('u32', 'rows', 'columns');
const START = '  let start = row * p.columns;\n';

/** The maximum `most` of the row and the sum `total` of exp(x − most). */
const SUM_OF_EXPONENTIALS = `${START}
  var own = -infinity();
  for (var i = lane; i < p.columns; i += LANES) { own = nanMax(own, x[start + i]); }
  let most = maxLanes(own, lane);
  var sum = 0.0;
  for (var i = lane; i < p.columns; i += LANES) { sum += exp1(x[start + i] - most); }
  let total = sumLanes(sum, lane);
`;

/** Adds \`value\` of each element over the row to \`total\`. */
const sumOf = (value: string) => `${START}
  var sum = 0.0;
  for (var i = lane; i < p.columns; i += LANES) { sum += ${value}; }
  let total = sumLanes(sum, lane);
`;

const each = (statement: string) => `  for (var i = lane; i < p.columns; i += LANES) { ${statement} }`;

/** A label outside of the columns reads the nearest column; the callers report it. */
const LABEL = '  let label = u32(clamp(labels[row], 0, i32(p.columns) - 1));\n';

/** Name, bindings and body of each kernel. */
const KERNELS: Record<keyof SoftmaxKernels, readonly [buffers: Kernel['buffers'], body: string]> = {
  softmax: [[writes('y'), reads('x')], SUM_OF_EXPONENTIALS + each('y[start + i] = exp1(x[start + i] - most) / total;')],
  logSoftmax: [
    [writes('y'), reads('x')],
    `${SUM_OF_EXPONENTIALS}  let shift = log1(total);\n${each('y[start + i] = (x[start + i] - most) - shift;')}`,
  ],
  softmaxGrad: [
    [writes('dx'), reads('dy'), reads('y')],
    sumOf('dy[start + i] * y[start + i]') + each('dx[start + i] = y[start + i] * (dy[start + i] - total);'),
  ],
  logSoftmaxGrad: [
    [writes('dx'), reads('dy'), reads('y')],
    sumOf('dy[start + i]') + each('dx[start + i] = dy[start + i] - exp1(y[start + i]) * total;'),
  ],
  crossEntropy: [
    [writes('losses'), reads('x'), reads('labels', 'i32')],
    `${SUM_OF_EXPONENTIALS}${LABEL}  if (lane == 0u) { losses[row] = (most - x[start + label]) + log1(total); }`,
  ],
  crossEntropyGrad: [
    [writes('dx'), reads('dloss'), reads('x'), reads('labels', 'i32')],
    `${SUM_OF_EXPONENTIALS}
  let label = labels[row];
  let scale = dloss[0] / f32(p.rows);
${each(`
    let probability = exp1(x[start + i] - most) / total;
    dx[start + i] = scale * select(probability, probability - 1.0, i32(i) == label);
  `)}`,
  ],
};

const kernelOf = memo((key: string): Kernel => {
  const [name, lanes] = key.split(' ') as [keyof SoftmaxKernels, string];
  const [buffers, body] = KERNELS[name];
  const code = () => BITS + NAN_MAX + EXP_LOG + eachRow(Number(lanes), ['max', 'sum'], body);
  return { name, key, buffers, params: SIZES, code };
});

export function softmax(queue: GpuQueue): SoftmaxKernels {
  const launch = (name: keyof SoftmaxKernels, storages: readonly Storage[], { rows, columns }: RowParams) => {
    if (rows === 0 || columns === 0) return;
    const lanes = lanesFor(queue, columns);
    queue.launch(kernelOf(`${name} ${lanes}`), ownAll(queue, storages), [rows, columns], rowGroups(rows, lanes));
  };
  const floats = (name: keyof SoftmaxKernels, storages: readonly Storage[], p: RowParams) => {
    expect(name, 'float32', ...storages);
    launch(name, storages, p);
  };

  return {
    softmax: (y, x, p) => floats('softmax', [y, x], p),
    softmaxGrad: (dx, dy, y, p) => floats('softmaxGrad', [dx, dy, y], p),
    logSoftmax: (y, x, p) => floats('logSoftmax', [y, x], p),
    logSoftmaxGrad: (dx, dy, y, p) => floats('logSoftmaxGrad', [dx, dy, y], p),

    crossEntropy(loss, x, labels, p) {
      expect('crossEntropy', 'float32', loss, x);
      expect('crossEntropy', 'int32', labels);
      const losses = queue.scratch(4 * p.rows);
      launch('crossEntropy', [losses, x, labels], p);
      sumInto(queue, queue.own(loss), losses, p.rows, p.rows === 0 ? Number.NaN : p.rows);
      queue.release(losses);
    },

    crossEntropyGrad(dx, dloss, x, labels, p) {
      expect('crossEntropyGrad', 'float32', dx, dloss, x);
      expect('crossEntropyGrad', 'int32', labels);
      launch('crossEntropyGrad', [dx, dloss, x, labels], p);
    },
  };
}
