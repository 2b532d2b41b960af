/** Kernels that update weights in place: SGD, Adam, RMSprop, and the limit on the root mean square of filters (paper, section 3). */
import type { Backend } from '../../backend.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { BITS, NAN_MAX } from '../wgsl.js';
import { expect } from './dtype.js';
import { eachElement, eachRow, fields, lanesFor, memo, ownAll, reads, rowGroups, writes } from './lanes.js';

type UpdateKernels = Pick<Backend, 'sgd' | 'sgdClipRms' | 'adam' | 'rmsprop' | 'clipRms'>;

/** `updated` is the new weight i; without and with momentum. The velocity is not read in the first step, in which it has no value. */
const PLAIN = `
  let own = w[i];
  let updated = own - p.lr * (grad[i] + p.weightDecay * own);
`;
const MOMENTUM = `
  let own = w[i];
  let step = grad[i] + p.weightDecay * own;
  var speed = step;
  if (p.first == 0u) { speed = p.momentum * velocity[i] + p.undamped * step; }
  velocity[i] = speed;
  let updated = own - p.lr * select(speed, step + p.momentum * speed, p.nesterov == 1u);
`;

/** Each thread updates four weights. */
const sgd: Kernel = {
  name: 'sgd',
  key: '',
  buffers: [writes('w', 'vec4f'), reads('grad', 'vec4f')],
  params: [...fields('u32', 'count'), ...fields('f32', 'lr', 'weightDecay')],
  code: () => eachElement(`${PLAIN}  w[i] = updated;`),
};

const sgdMomentum: Kernel = {
  name: 'sgd',
  key: 'momentum',
  buffers: [writes('w', 'vec4f'), writes('velocity', 'vec4f'), reads('grad', 'vec4f')],
  params: [...fields('u32', 'count', 'first', 'nesterov'), ...fields('f32', 'lr', 'weightDecay', 'momentum', 'undamped')],
  code: () => eachElement(`${MOMENTUM}  w[i] = updated;`),
};

/** The lanes of a row sum the squares of the weights that they have updated; each rescales its own. */
const sgdClipRms = memo((key: string): Kernel => {
  const [lanes, momentum] = key.split(' ');
  return {
    name: 'sgdClipRms',
    key,
    buffers: [writes('w'), ...(momentum ? [writes('velocity')] : []), reads('grad')],
    params: [
      ...fields('u32', 'rows', 'columns', 'first', 'nesterov'),
      ...fields('f32', 'lr', 'weightDecay', 'momentum', 'undamped', 'most'),
    ],
    code: () =>
      eachRow(
        Number(lanes),
        ['sum'],
        `
  let end = (row + 1u) * p.columns;
  var squares = 0.0;
  for (var i = row * p.columns + lane; i < end; i += LANES) {${momentum ? MOMENTUM : PLAIN}
    w[i] = updated;
    squares += updated * updated;
  }
  let rms = sqrt(sumLanes(squares, lane) / f32(p.columns));
  if (rms > p.most) {
    for (var i = row * p.columns + lane; i < end; i += LANES) { w[i] *= p.most / rms; }
  }`,
      ),
  };
});

/** With the key `max`, the divisor comes from the largest mean square so far (AMSGrad). */
const adam = memo(
  (key: 'max' | ''): Kernel => ({
    name: 'adam',
    key,
    buffers: [writes('w'), writes('mean'), writes('square'), ...(key ? [writes('largest')] : []), reads('grad')],
    params: [
      ...fields('u32', 'count'),
      ...fields('f32', 'rate', 'beta1', 'rest1', 'beta2', 'rest2', 'eps', 'correction', 'weightDecay', 'shrink'),
    ],
    code: () =>
      BITS +
      NAN_MAX +
      eachElement(`
  let own = w[i];
  let g = grad[i] + p.weightDecay * own;
  let first = p.beta1 * mean[i] + p.rest1 * g;
  let second = p.beta2 * square[i] + p.rest2 * (g * g);
  mean[i] = first;
  square[i] = second;
  ${key ? 'let bound = nanMax(largest[i], second);\n  largest[i] = bound;' : 'let bound = second;'}
  w[i] = p.shrink * own - p.rate * (first / (sqrt(bound) / p.correction + p.eps));`),
  }),
);

/** The variance in the place of the mean square. Rounding can make it negative. */
const CENTRE = `
  let first = p.alpha * mean[i] + p.rest * g;
  mean[i] = first;
  spread = nanMax(second - first * first, 0.0);
`;

/** The key has `m` with a mean of the gradient, and `b` with a momentum buffer. */
const rmsprop = memo(
  (key: string): Kernel => ({
    name: 'rmsprop',
    key,
    buffers: [
      writes('w'),
      writes('square'),
      ...(key.includes('m') ? [writes('mean')] : []),
      ...(key.includes('b') ? [writes('buffer')] : []),
      reads('grad'),
    ],
    params: [...fields('u32', 'count'), ...fields('f32', 'lr', 'alpha', 'rest', 'eps', 'weightDecay', 'momentum')],
    code: () =>
      BITS +
      NAN_MAX +
      eachElement(`
  let own = w[i];
  let g = grad[i] + p.weightDecay * own;
  let second = p.alpha * square[i] + p.rest * (g * g);
  square[i] = second;
  var spread = second;
  ${key.includes('m') ? CENTRE : ''}
  var step = g / (sqrt(spread) + p.eps);
  ${key.includes('b') ? 'step += p.momentum * buffer[i];\n  buffer[i] = step;' : ''}
  w[i] = own - p.lr * step;`),
  }),
);

const clipRms = memo(
  (lanes: number): Kernel => ({
    name: 'clipRms',
    key: `${lanes}`,
    buffers: [writes('w')],
    params: [...fields('u32', 'rows', 'columns'), ...fields('f32', 'most')],
    code: () =>
      eachRow(
        lanes,
        ['sum'],
        `
  let start = row * p.columns;
  var squares = 0.0;
  for (var i = lane; i < p.columns; i += LANES) { squares += w[start + i] * w[start + i]; }
  let rms = sqrt(sumLanes(squares, lane) / f32(p.columns));
  if (rms > p.most) {
    for (var i = lane; i < p.columns; i += LANES) { w[start + i] *= p.most / rms; }
  }`,
      ),
  }),
);

export const updates = (queue: GpuQueue): UpdateKernels => ({
  sgd(w, velocity, grad, p) {
    expect('sgd', 'float32', w, velocity, grad);
    if (w.size === 0) return;
    const vectors = Math.ceil(w.size / 4);
    if (velocity === null || p.momentum === 0) {
      queue.launch(sgd, ownAll(queue, [w, grad]), [vectors, p.lr, p.weightDecay], flatGroups(vectors));
      return;
    }
    const values = [vectors, p.first ? 1 : 0, p.nesterov ? 1 : 0, p.lr, p.weightDecay, p.momentum, 1 - p.dampening];
    queue.launch(sgdMomentum, ownAll(queue, [w, velocity, grad]), values, flatGroups(vectors));
  },

  sgdClipRms(w, velocity, grad, p) {
    expect('sgdClipRms', 'float32', w, velocity, grad);
    if (w.size === 0) return;
    const moving = velocity !== null && p.momentum !== 0;
    const columns = w.size / p.rows;
    const lanes = lanesFor(queue, columns);
    const flags = [p.first ? 1 : 0, p.nesterov ? 1 : 0];
    const values = [p.rows, columns, ...flags, p.lr, p.weightDecay, p.momentum, 1 - p.dampening, p.maxRms];
    const storages = ownAll(queue, moving ? [w, velocity, grad] : [w, grad]);
    queue.launch(sgdClipRms(`${lanes} ${moving ? 'momentum' : ''}`), storages, values, rowGroups(p.rows, lanes));
  },

  adam({ w, mean, square, maxSquare }, { grad }, p) {
    expect('adam', 'float32', w, mean, square, maxSquare, grad);
    if (w.size === 0) return;
    const storages = ownAll(queue, maxSquare === null ? [w, mean, square, grad] : [w, mean, square, maxSquare, grad]);
    const betas = [p.beta1, 1 - p.beta1, p.beta2, 1 - p.beta2];
    const values = [w.size, p.rate, ...betas, p.eps, p.correction, p.weightDecay, p.shrink];
    queue.launch(adam(maxSquare === null ? '' : 'max'), storages, values, flatGroups(w.size));
  },

  rmsprop({ w, square, mean, buffer }, { grad }, p) {
    expect('rmsprop', 'float32', w, square, mean, buffer, grad);
    if (w.size === 0) return;
    const used = [w, square, mean, buffer, grad].filter((each) => each !== null);
    const values = [w.size, p.lr, p.alpha, 1 - p.alpha, p.eps, p.weightDecay, p.momentum];
    const key = `${mean === null ? '' : 'm'}${buffer === null ? '' : 'b'}`;
    queue.launch(rmsprop(key), ownAll(queue, used), values, flatGroups(w.size));
  },

  clipRms(w, rows, columns, max) {
    expect('clipRms', 'float32', w);
    if (w.size === 0) return;
    const lanes = lanesFor(queue, columns);
    queue.launch(clipRms(lanes), [queue.own(w)], [rows, columns, max], rowGroups(rows, lanes));
  },
});
