/** Batched matrix product of row-major matrices, each of which may be stored transposed. */
import type { Backend } from '../../backend.js';
import type { MatmulParams } from '../../params.js';
import type { GpuStorage } from '../buffers.js';
import type { GpuQueue, Kernel } from '../kernel.js';
import { launchProduct, type Operand, type Product, productKernels, productPlanner, withSlices } from './gemm.js';
import { rowProducts, suitsRowProducts } from './row_products.js';
import type { PlanProduct, Tile } from './tiles.js';

/** Which way the elements of an operand are consecutive in memory. */
type Along = Operand['along'];

/** A strided matrix as an operand: element (i, k) of item `item` is at item · stride + i · row + k · inner. */
const strided = (name: 'a' | 'b', along: Along): Operand => {
  const upper = name.toUpperCase();
  return {
    along,
    vector: (s, first) => `let v${s} = item * p.stride${upper} + ${first} * p.row${upper};`,
    load: (s, kk) => `load${upper}(v${s}, block, ${kk})`,
  };
};

/** Rows beyond the end read other elements of the buffer, or are clamped to its end by the device; their results are not stored. */
const loadFunction = (name: 'a' | 'b', width: number, depth: number) => {
  const upper = name.toUpperCase();
  return /* wgsl */ `
fn load${upper}(first: u32, block: u32, kk: u32) -> vec4f {
  let k = block * ${depth}u + kk;
  let at = select(0u, first + k * p.inner${upper}, k < p.k);
  let step = ${width / 4}u * p.row${upper};
  return select(vec4f(), vec4f(${name}[at], ${name}[at + step], ${name}[at + 2u * step], ${name}[at + 3u * step]), k < p.k);
}
`;
};

function stridedProduct(alongA: Along, alongB: Along, t: Tile): Product {
  return {
    name: `matmul ${alongA === 'depth' ? 'n' : 't'}${alongB === 'depth' ? 't' : 'n'} ${t.rows}x${t.columns}x${t.depth}`,
    buffers: [
      { name: 'a', type: 'array<f32>', access: 'read' },
      { name: 'b', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
      { name: 'bias', type: 'array<f32>', access: 'read' },
    ],
    params: [
      ['k', 'u32'],
      ['strideA', 'u32'],
      ['rowA', 'u32'],
      ['innerA', 'u32'],
      ['strideB', 'u32'],
      ['rowB', 'u32'],
      ['innerB', 'u32'],
    ],
    functions: loadFunction('a', t.rows, t.depth) + loadFunction('b', t.columns, t.depth),
    a: strided('a', alongA),
    b: strided('b', alongB),
    column: (n) => `item * p.m * p.n + ${n}`,
    row: (m) => `${m} * p.n`,
    bias: { of: 'column', value: (n) => `bias[${n}]` },
  };
}

/** Kernels by whether the elements of A and B are consecutive along the depth. */
const KERNELS: Readonly<Record<Along, Readonly<Record<Along, (t: Tile) => Kernel>>>> = {
  depth: {
    depth: productKernels((t) => stridedProduct('depth', 'depth', t)),
    width: productKernels((t) => stridedProduct('depth', 'width', t)),
  },
  width: {
    depth: productKernels((t) => stridedProduct('width', 'depth', t)),
    width: productKernels((t) => stridedProduct('width', 'width', t)),
  },
};

/** What is added to the products, per column, and whether ReLU follows. */
export interface Epilogue {
  readonly bias: GpuStorage | null;
  readonly relu: boolean;
}

export const NO_EPILOGUE: Epilogue = { bias: null, relu: false };

/** Launches c [batch, m, n] = op(a) · op(b) + bias [n], with ReLU if asked for. */
export function launchMatmul(
  queue: GpuQueue,
  { c, a, b }: Readonly<Record<'c' | 'a' | 'b', GpuStorage>>,
  p: MatmulParams,
  { bias, relu }: Epilogue,
  planned: ReturnType<typeof productPlanner>,
): void {
  const { batch, m, n, k } = p;
  const plan = planned(m, n, k, batch);
  const kernel = KERNELS[p.transposeA ? 'width' : 'depth'][p.transposeB ? 'depth' : 'width'](plan.tile);
  const values = [k, p.strideA, p.transposeA ? 1 : k, p.transposeA ? m : 1, p.strideB, p.transposeB ? k : 1, p.transposeB ? 1 : n];
  const blocks = Math.ceil(k / plan.tile.depth);
  const job = { rows: m, columns: n, items: batch, blocks, plan, outSize: batch * m * n, bias: bias !== null, relu };
  withSlices(queue, c, plan.slices, { bias, inner: 1, channels: n, relu }, (out) =>
    launchProduct(queue, kernel, [a, b, out, bias ?? a], job, values),
  );
}

/** Creates the kernel. Tests pass their own `plan`. */
export const matmul = (queue: GpuQueue, plan?: PlanProduct): Pick<Backend, 'matmul'> => {
  const planned = productPlanner(queue, plan);
  return {
    matmul(c, a, b, p) {
      if (p.batch * p.m * p.n === 0) return;
      const [to, left, right] = [queue.own(c), queue.own(a), queue.own(b)];
      if (plan === undefined && suitsRowProducts(p)) rowProducts(queue, { c: to, a: left, b: right }, p, NO_EPILOGUE);
      else launchMatmul(queue, { c: to, a: left, b: right }, p, NO_EPILOGUE, planned);
    },
  };
};
