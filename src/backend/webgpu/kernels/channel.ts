/** A bias per channel and its gradient, over [n, channels, inner]. */
import type { Backend } from '../../backend.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { withSlices } from './gemm.js';

/** Threads of a workgroup of the sum over long rows. */
const THREADS = 64;
/** With fewer elements per row than this, one thread adds a channel's elements, and consecutive threads have consecutive channels. */
const LONG_ROW = 16;
/** Workgroups that keep a large GPU busy: memory answers late, and each thread waits for one element at a time. */
const WANTED = 4096;
/** Minimum number of elements that one workgroup adds, or one thread. */
const LEAST_ELEMENTS = 1024;
const LEAST_ROWS = 16;

const BUFFERS = [
  { name: 'y', type: 'array<f32>', access: 'read_write' },
  { name: 'x', type: 'array<f32>', access: 'read' },
] as const;

const FIELDS = [
  ['total', 'u32'],
  ['n', 'u32'],
  ['channels', 'u32'],
  ['inner', 'u32'],
  ['images', 'u32'],
] as const;

/**
 * Part s of channel c: the sum over images [s · images, (s + 1) · images) and all elements of their rows. One workgroup computes it: each thread
 * adds every 64th element of each row, in order, and the sums of the threads are added as a binary tree.
 */
const LONG: Kernel = {
  name: 'channelSum',
  key: 'long rows',
  buffers: BUFFERS,
  params: FIELDS,
  code: () => /* wgsl */ `
var<workgroup> sums: array<f32, ${THREADS}>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) t: u32) {
  let number = id.x + id.y * groups.x;
  if (number >= p.total) { return; }
  let c = number % p.channels;
  let first = number / p.channels * p.images;
  var sum = 0.0;
  for (var image = first; image < min(first + p.images, p.n); image++) {
    let row = (image * p.channels + c) * p.inner;
    for (var i = t; i < p.inner; i += ${THREADS}u) { sum += x[row + i]; }
  }
  sums[t] = sum;
  for (var half = ${THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (t < half) { sums[t] += sums[t + half]; }
  }
  if (t == 0u) { y[number] = sums[0]; }
}
`,
};

/** The same parts with one thread each. */
const SHORT: Kernel = {
  name: 'channelSum',
  key: 'short rows',
  buffers: BUFFERS,
  params: FIELDS,
  code: () => /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let number = id.x + id.y * groups.x * 64u;
  if (number >= p.total) { return; }
  let c = number % p.channels;
  let first = number / p.channels * p.images;
  var sum = 0.0;
  for (var image = first; image < min(first + p.images, p.n); image++) {
    let row = (image * p.channels + c) * p.inner;
    for (var i = 0u; i < p.inner; i++) { sum += x[row + i]; }
  }
  y[number] = sum;
}
`,
};

const ADD: Kernel = {
  name: 'channelAdd',
  key: '',
  buffers: [
    { name: 'y', type: 'array<f32>', access: 'read_write' },
    { name: 'b', type: 'array<f32>', access: 'read' },
  ],
  params: [
    ['count', 'u32'],
    ['channels', 'u32'],
    ['inner', 'u32'],
  ],
  code: () => /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) { return; }
  y[i] += b[i / p.inner % p.channels];
}
`,
};

/** Returns whether rows are long enough for a workgroup each, and the number of images per partial sum; a pure function. */
export function channelSumPlan(n: number, channels: number, inner: number): { long: boolean; images: number; parts: number } {
  const long = inner >= LONG_ROW;
  const wanted = Math.ceil((long ? WANTED : WANTED * THREADS) / Math.max(channels, 1));
  const least = long ? Math.ceil(LEAST_ELEMENTS / inner) : LEAST_ROWS;
  const images = Math.max(Math.ceil(n / wanted), least, 1);
  return { long, images, parts: Math.max(1, Math.ceil(n / images)) };
}

export const channel = (queue: GpuQueue): Pick<Backend, 'channelSum' | 'channelAdd'> => ({
  channelSum(db, dy, n, channels, inner) {
    if (channels === 0) return;
    const [to, from] = [queue.own(db), queue.own(dy)];
    const { long, images, parts } = channelSumPlan(n, channels, inner);
    const total = channels * parts;
    withSlices(queue, to, parts, { bias: null, inner: 1, channels, relu: false }, (out) =>
      queue.launch(long ? LONG : SHORT, [out, from], [total, n, channels, inner, images], flatGroups(total, long ? 1 : 64)),
    );
  },

  channelAdd(y, b, n, channels, inner) {
    const count = n * channels * inner;
    if (count > 0) queue.launch(ADD, [queue.own(y), queue.own(b)], [count, channels, inner], flatGroups(count, 64));
  },
});
