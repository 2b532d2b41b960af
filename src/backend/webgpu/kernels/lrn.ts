/**
 * Local response normalisation, y = x / s^beta with s = k + alphaOverSize · Σ x² over a window, and its exact gradient.
 *
 * Each thread adds the window of its element, whose values other threads have read before it: a running window would save reads from the
 * cache only, and lose digits by subtracting. The gradient has two steps, since it needs s of every element of the window.
 */
import type { Backend } from '../../backend.js';
import type { LrnParams } from '../../params.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { BITS, EXP_LOG } from '../wgsl.js';
import { expect } from './dtype.js';
import { eachElement, fields, memo, reads, writes } from './lanes.js';

type Variant = `${LrnParams['region']} ${'0.75' | 'beta'}`;

const FIELDS: Kernel['params'] = [
  ...fields('u32', 'count'),
  ...fields('i32', 'c', 'h', 'w', 'before', 'after'),
  ...fields('f32', 'alphaOverSize', 'k', 'beta', 'factor'),
];

/** `windowOf(array, i, back, ahead)` adds the window of element i; `term` is the value of one element. */
function windowSum(name: string, term: string, region: LrnParams['region']): string {
  if (region === 'across')
    return `
fn ${name}(i: u32, back: i32, ahead: i32) -> f32 {
  let plane = p.h * p.w;
  let c = (i32(i) / plane) % p.c;
  let last = min(p.c - 1, c + ahead);
  var sum = 0.0;
  var at = i32(i) + (max(0, c - back) - c) * plane;
  for (var other = max(0, c - back); other <= last; other++) {
    ${term}
    at += plane;
  }
  return sum;
}
`;
  return `
fn ${name}(i: u32, back: i32, ahead: i32) -> f32 {
  let column = i32(i) % p.w;
  let row = (i32(i) / p.w) % p.h;
  let last = min(p.w - 1, column + ahead);
  let bottom = min(p.h - 1, row + ahead);
  var total = 0.0;
  for (var iy = max(0, row - back); iy <= bottom; iy++) {
    var sum = 0.0;
    for (var ix = max(0, column - back); ix <= last; ix++) {
      let at = i32(i) + (iy - row) * p.w + ix - column;
      ${term}
    }
    total += sum;
  }
  return total;
}
`;
}

/** s^-beta. For beta = 0.75, the usual value, two roots are faster and more exact than a power. */
const POWER: Record<'0.75' | 'beta', string> = {
  '0.75': 'fn power(s: f32) -> f32 { let r = 1.0 / sqrt(s); return r * sqrt(r); }\n',
  beta: `${BITS + EXP_LOG}fn power(s: f32) -> f32 { return exp1(-p.beta * log1(s)); }\n`,
};

const scale = (region: LrnParams['region']) =>
  `${windowSum('squares', 'sum += x[at] * x[at];', region)}
fn scaleOf(i: u32) -> f32 { return p.k + p.alphaOverSize * squares(i, p.before, p.after); }
`;

const split = (variant: Variant) => variant.split(' ') as [LrnParams['region'], '0.75' | 'beta'];

const forward = memo((variant: Variant): Kernel => {
  const [region, power] = split(variant);
  return {
    name: 'localResponseNorm',
    key: variant,
    buffers: [writes('y'), reads('x')],
    params: FIELDS,
    code: () => POWER[power] + scale(region) + eachElement('  y[i] = x[i] * power(scaleOf(i));'),
  };
});

/** The terms dy · x / s^(beta + 1), of which the gradient needs the sum over a window. */
const terms = memo((variant: Variant): Kernel => {
  const [region, power] = split(variant);
  return {
    name: 'localResponseNormGrad terms',
    key: variant,
    buffers: [writes('terms'), reads('dy'), reads('x')],
    params: FIELDS,
    code: () => POWER[power] + scale(region) + eachElement('  let s = scaleOf(i);\n  terms[i] = dy[i] * x[i] * power(s) / s;'),
  };
});

const gradient = memo((variant: Variant): Kernel => {
  const [region, power] = split(variant);
  return {
    name: 'localResponseNormGrad',
    key: variant,
    buffers: [writes('dx'), reads('dy'), reads('x'), reads('terms')],
    params: FIELDS,
    code: () =>
      POWER[power] +
      scale(region) +
      windowSum('around', 'sum += terms[at];', region) +
      eachElement('  dx[i] = dy[i] * power(scaleOf(i)) - p.factor * x[i] * around(i, p.after, p.before);'),
  };
});

const variantOf = ({ region, beta }: LrnParams): Variant => `${region} ${beta === 0.75 ? '0.75' : 'beta'}`;

const valuesOf = (count: number, { c, h, w, before, after, alphaOverSize, k, beta }: LrnParams) => [
  count,
  c,
  h,
  w,
  before,
  after,
  alphaOverSize,
  k,
  beta,
  2 * alphaOverSize * beta,
];

export const lrn = (queue: GpuQueue): Pick<Backend, 'localResponseNorm' | 'localResponseNormGrad'> => ({
  localResponseNorm(y, x, p) {
    expect('localResponseNorm', 'float32', y, x);
    if (y.size > 0) queue.launch(forward(variantOf(p)), [queue.own(y), queue.own(x)], valuesOf(y.size, p), flatGroups(y.size));
  },

  localResponseNormGrad(dx, dy, x, p) {
    expect('localResponseNormGrad', 'float32', dx, dy, x);
    if (dx.size === 0) return;
    const [values, groups] = [valuesOf(dx.size, p), flatGroups(dx.size)];
    const between = queue.scratch(4 * dx.size);
    queue.launch(terms(variantOf(p)), [between, queue.own(dy), queue.own(x)], values, groups);
    queue.launch(gradient(variantOf(p)), [queue.own(dx), queue.own(dy), queue.own(x), between], values, groups);
    queue.release(between);
  },
});
