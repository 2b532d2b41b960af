/**
 * Matrix products with few rows, as of a fully connected layer with a batch of one: each weight is read once, so that memory is the limit and
 * a tile would only idle. One workgroup computes the dot products of one row of the large matrix with all rows of the small one.
 */
import type { MatmulParams } from '../../params.js';
import type { GpuStorage } from '../buffers.js';
import { flatGroups, type GpuQueue, type Kernel } from '../kernel.js';
import { RELU } from './gemm.js';

/** Maximum rows of the small matrix. */
const MOST_ROWS = 4;
/** With a smaller depth than this, most threads of a workgroup would have nothing to add. */
const LEAST_DEPTH = 64;
/** Threads of a workgroup. */
const THREADS = 64;

/** Returns whether a product has few rows or columns, and operands whose elements are consecutive along the depth. */
export function suitsRowProducts({ m, n, k, transposeA, transposeB }: MatmulParams): boolean {
  if (k < LEAST_DEPTH || Math.min(m, n) > MOST_ROWS) return false;
  return (!transposeA || m === 1) && (transposeB || n === 1);
}

/**
 * Every thread adds every 64th product, in order; the sums of the threads are added as a binary tree. Threads read consecutive elements.
 * `few` [rows, k] is small enough for the cache; `many` [count, k] is read once.
 */
const KERNEL: Kernel = {
  name: 'row products',
  key: '',
  buffers: [
    { name: 'many', type: 'array<f32>', access: 'read' },
    { name: 'few', type: 'array<f32>', access: 'read' },
    { name: 'out', type: 'array<f32>', access: 'read_write' },
    { name: 'bias', type: 'array<f32>', access: 'read' },
  ],
  params: [
    ['total', 'u32'],
    ['count', 'u32'],
    ['rows', 'u32'],
    ['k', 'u32'],
    ['strideMany', 'u32'],
    ['strideFew', 'u32'],
    ['outMany', 'u32'],
    ['outFew', 'u32'],
    ['biasMany', 'u32'],
    ['bias', 'u32'],
    ['relu', 'u32'],
  ],
  code: () => /* wgsl */ `
var<workgroup> sums: array<vec4f, ${THREADS}>;
${RELU}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) t: u32) {
  let number = id.x + id.y * groups.x;
  if (number >= p.total) { return; }
  let item = number / p.count;
  let j = number % p.count;
  let start = item * p.strideMany + j * p.k;
  let first = item * p.strideFew;
  // Rows beyond the last repeat it; their sums are not stored.
  let at = vec4u(first) + min(vec4u(0u, 1u, 2u, 3u), vec4u(p.rows - 1u)) * p.k;
  var sum = vec4f();
  for (var k = t; k < p.k; k += ${THREADS}u) {
    sum += many[start + k] * vec4f(few[at.x + k], few[at.y + k], few[at.z + k], few[at.w + k]);
  }
  sums[t] = sum;
  for (var half = ${THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (t < half) { sums[t] += sums[t + half]; }
  }
  workgroupBarrier();
  if (t < p.rows) {
    var v = sums[0][t];
    if (p.bias != 0u) { v += bias[select(t, j, p.biasMany != 0u)]; }
    if (p.relu != 0u) { v = reluOf(v); }
    out[item * p.count * p.rows + j * p.outMany + t * p.outFew] = v;
  }
}
`,
};

/** Launches c [batch, m, n] = op(a) · op(b) + bias [n], with ReLU if asked for, for a product that `suitsRowProducts`. */
export function rowProducts(
  queue: GpuQueue,
  { c, a, b }: Readonly<Record<'c' | 'a' | 'b', GpuStorage>>,
  { batch, m, n, k, strideA, strideB }: MatmulParams,
  { bias, relu }: { readonly bias: GpuStorage | null; readonly relu: boolean },
): void {
  const fewA = m <= n;
  const [many, few] = fewA ? [b, a] : [a, b];
  const [count, rows] = fewA ? [n, m] : [m, n];
  const [strideMany, strideFew] = fewA ? [strideB, strideA] : [strideA, strideB];
  const [outMany, outFew] = fewA ? [1, n] : [n, 1];
  const flags = [fewA ? 1 : 0, bias === null ? 0 : 1, relu ? 1 : 0];
  const values = [batch * count, count, rows, k, strideMany, strideFew, outMany, outFew, ...flags];
  queue.launch(KERNEL, [many, few, c, bias ?? a], values, flatGroups(batch * count, 1));
}
