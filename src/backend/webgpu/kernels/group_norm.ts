/** Normalisation of each row of x [rows, channels · inner] (group and layer normalisation), and its gradients. */
import type { Backend } from '../../backend.js';
import type { GroupNormParams } from '../../params.js';
import type { GpuQueue, Kernel } from '../kernel.js';
import { BITS } from '../wgsl.js';
import { channelGradients } from './channel_sums.js';
import { expect } from './dtype.js';
import { eachRow, fields, lanesFor, memo, ownAll, reads, rowGroups, writes } from './lanes.js';

const FIELDS: Kernel['params'] = [...fields('u32', 'rows', 'columns', 'groups', 'channels', 'inner'), ...fields('f32', 'epsilon')];

/** Element `start + i` of a row belongs to channel `channelOf(row, i)`. */
const CHANNEL = 'fn channelOf(row: u32, i: u32) -> u32 { return (row % p.groups) * p.channels + i / p.inner; }\n';

const split = (variant: string) => {
  const [lanes, options = ''] = variant.split(' ');
  return { lanes: Number(lanes), has: (option: string) => options.includes(option) };
};

/** Sums differences from the first element, so that a large mean costs no digits. */
const normalize = memo((variant: string): Kernel => {
  const { lanes, has } = split(variant);
  return {
    name: 'groupNorm',
    key: variant,
    buffers: [
      writes('y'),
      writes('mean'),
      writes('variance'),
      reads('x'),
      ...(has('w') ? [reads('weight')] : []),
      ...(has('b') ? [reads('bias')] : []),
    ],
    params: FIELDS,
    code: () =>
      BITS +
      CHANNEL +
      eachRow(
        lanes,
        ['sum'],
        `
  let start = row * p.columns;
  let first = x[start];
  let origin = select(0.0, first, abs(first) <= 1e30 && !isNan(first));
  var sum = 0.0;
  for (var i = lane; i < p.columns; i += LANES) { sum += x[start + i] - origin; }
  let average = origin + sumLanes(sum, lane) / f32(p.columns);
  var squares = 0.0;
  for (var i = lane; i < p.columns; i += LANES) {
    let d = x[start + i] - average;
    squares += d * d;
  }
  let spread = sumLanes(squares, lane) / f32(p.columns);
  if (lane == 0u) {
    mean[row] = average;
    variance[row] = spread;
  }
  let inverse = 1.0 / sqrt(spread + p.epsilon);
  for (var i = lane; i < p.columns; i += LANES) {
    let c = channelOf(row, i);
    y[start + i] = (x[start + i] - average) * inverse${has('w') ? ' * weight[c]' : ''}${has('b') ? ' + bias[c]' : ''};
  }`,
      ),
  };
});

const gradient = memo((variant: string): Kernel => {
  const { lanes, has } = split(variant);
  const scaled = `dy[start + i]${has('w') ? ' * weight[channelOf(row, i)]' : ''}`;
  return {
    name: 'groupNormGrad',
    key: variant,
    buffers: [writes('dx'), ...['dy', 'x', 'mean', 'variance'].map((name) => reads(name)), ...(has('w') ? [reads('weight')] : [])],
    params: FIELDS,
    code: () =>
      CHANNEL +
      eachRow(
        lanes,
        ['sum'],
        `
  let start = row * p.columns;
  let average = mean[row];
  let inverse = 1.0 / sqrt(variance[row] + p.epsilon);
  var sum = 0.0;
  var products = 0.0;
  for (var i = lane; i < p.columns; i += LANES) {
    let g = ${scaled};
    sum += g;
    products += g * ((x[start + i] - average) * inverse);
  }
  let total = sumLanes(sum, lane);
  let product = sumLanes(products, lane);
  for (var i = lane; i < p.columns; i += LANES) {
    let normal = (x[start + i] - average) * inverse;
    dx[start + i] = inverse * (${scaled} - (total + normal * product) / f32(p.columns));
  }`,
      ),
  };
});

const valuesOf = ({ rows, groups, channels, inner, epsilon }: GroupNormParams) => [
  rows,
  channels * inner,
  groups,
  channels,
  inner,
  epsilon,
];

export const groupNorm = (queue: GpuQueue): Pick<Backend, 'groupNorm' | 'groupNormGrad' | 'groupNormParamGrad'> => ({
  groupNorm({ y, mean, variance }, { x, weight, bias }, p) {
    expect('groupNorm', 'float32', y, mean, variance, x, weight, bias);
    if (mean.size === 0) return;
    const storages = ownAll(queue, [y, mean, variance, x]);
    for (const each of [weight, bias]) if (each !== null) storages.push(queue.own(each));
    const lanes = lanesFor(queue, p.channels * p.inner);
    const options = `${weight === null ? '' : 'w'}${bias === null ? '' : 'b'}`;
    queue.launch(normalize(`${lanes} ${options}`), storages, valuesOf(p), rowGroups(p.rows, lanes));
  },

  groupNormGrad({ dx }, { dy, x, mean, variance, weight }, p) {
    expect('groupNormGrad', 'float32', dx, dy, x, mean, variance, weight);
    if (dx.size === 0) return;
    const storages = ownAll(queue, [dx, dy, x, mean, variance]);
    if (weight !== null) storages.push(queue.own(weight));
    const lanes = lanesFor(queue, p.channels * p.inner);
    queue.launch(gradient(`${lanes} ${weight === null ? '' : 'w'}`), storages, valuesOf(p), rowGroups(p.rows, lanes));
  },

  groupNormParamGrad({ dweight, dbias }, { dy, x, mean, variance }, p) {
    expect('groupNormParamGrad', 'float32', dweight, dbias, dy, x, mean, variance);
    if (dbias.size === 0) return;
    const [products, sums, gradients, input, means, variances] = ownAll(queue, [dweight, dbias, dy, x, mean, variance]);
    const storages = { dweight: products, dbias: sums, dy: gradients, x: input, mean: means, variance: variances };
    channelGradients(queue, storages, p, p.epsilon, 'row');
  },
});
