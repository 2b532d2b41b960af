/** Batch normalisation of x [n, channels, inner] per channel, and its gradient. */
import type { Backend } from '../../backend.js';
import type { BatchNormParams } from '../../params.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { BITS, NAN_MAX } from '../wgsl.js';
import { channelGradients, channelStatistics } from './channel_sums.js';
import { expect } from './dtype.js';
import { eachElement, fields, memo, ownAll, reads, writes } from './lanes.js';

const CHANNEL = '  let c = (i / p.inner) % p.channels;\n';

/** The key names the options: `w` with weight, `b` with bias, `r` with ReLU. */
const normalize = memo((options: string): Kernel => {
  const has = (option: string) => options.includes(option);
  return {
    name: 'batchNorm',
    key: options,
    buffers: [
      writes('y'),
      reads('x'),
      reads('mean'),
      reads('variance'),
      ...(has('w') ? [reads('weight')] : []),
      ...(has('b') ? [reads('bias')] : []),
    ],
    params: [...fields('u32', 'count', 'channels', 'inner'), ...fields('f32', 'epsilon')],
    code: () =>
      BITS +
      NAN_MAX +
      eachElement(`${CHANNEL}
  let factor = ${has('w') ? 'weight[c]' : '1.0'} / sqrt(variance[c] + p.epsilon);
  let v = (x[i] - mean[c]) * factor${has('b') ? ' + bias[c]' : ''};
  y[i] = ${has('r') ? 'nanMax(v, 0.0)' : 'v'};`),
  };
});

/** The gradient with respect to x; with `t`, through the statistics. */
const gradient = memo((options: string): Kernel => {
  const has = (option: string) => options.includes(option);
  return {
    name: 'batchNormGrad',
    key: options,
    buffers: [
      writes('dx'),
      ...['dy', 'x', 'mean', 'variance', 'dweight', 'dbias'].map((name) => reads(name)),
      ...(has('w') ? [reads('weight')] : []),
    ],
    params: [...fields('u32', 'count', 'channels', 'inner'), ...fields('f32', 'epsilon', 'elements')],
    code: () =>
      eachElement(`${CHANNEL}
  let inverse = 1.0 / sqrt(variance[c] + p.epsilon);
  let normal = (x[i] - mean[c]) * inverse;
  let through = (dbias[c] + normal * dweight[c]) / p.elements;
  dx[i] = ${has('w') ? 'weight[c] * ' : ''}inverse * (dy[i]${has('t') ? ' - through' : ''});`),
  };
});

const sizesOf = ({ n, channels, inner }: BatchNormParams) => ({ rows: n, groups: 1, channels, inner });

export const batchNorm = (queue: GpuQueue): Pick<Backend, 'batchNorm' | 'batchNormGrad'> => ({
  batchNorm({ y, mean, variance }, { x, weight, bias }, p) {
    expect('batchNorm', 'float32', y, mean, variance, x, weight, bias);
    const [out, means, variances, input] = ownAll(queue, [y, mean, variance, x]);
    if (p.training && mean.size > 0) channelStatistics(queue, means, variances, input, sizesOf(p));
    if (y.size === 0) return;
    const storages = [out, input, means, variances];
    for (const each of [weight, bias]) if (each !== null) storages.push(queue.own(each));
    const options = `${weight === null ? '' : 'w'}${bias === null ? '' : 'b'}${p.relu ? 'r' : ''}`;
    queue.launch(normalize(options), storages, [y.size, p.channels, p.inner, p.epsilon], flatGroups(y.size));
  },

  batchNormGrad({ dx, dweight, dbias }, { dy, x, mean, variance, weight }, p) {
    expect('batchNormGrad', 'float32', dx, dweight, dbias, dy, x, mean, variance, weight);
    const [products, sums, gradients, input, means, variances] = ownAll(queue, [dweight, dbias, dy, x, mean, variance]);
    const storages = { dweight: products, dbias: sums, dy: gradients, x: input, mean: means, variance: variances };
    if (dbias.size > 0) channelGradients(queue, storages, sizesOf(p), p.epsilon, 'channel');
    if (dx === null || dx.size === 0) return;
    const operands = [queue.own(dx), gradients, input, means, variances, products, sums];
    if (weight !== null) operands.push(queue.own(weight));
    const values = [dx.size, p.channels, p.inner, p.epsilon, p.n * p.inner];
    queue.launch(gradient(`${weight === null ? '' : 'w'}${p.training ? 't' : ''}`), operands, values, flatGroups(dx.size));
  },
});
