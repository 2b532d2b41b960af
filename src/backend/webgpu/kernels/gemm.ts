/**
 * The tiled matrix product behind `matmul`, `linear` and the convolutions: c [rows, columns] = a [rows, depth] · b [depth, columns].
 *
 * A workgroup computes one tile. In each block it copies a panel of A and one of B to workgroup memory, and every thread multiplies its rows
 * and columns of them in registers. The operands are pluggable: a `Product` says in WGSL how elements of A and B are read and where results
 * are stored, so that a convolution needs no matrix in memory.
 *
 * Both panels are [depth][width / 4] vectors, so A is stored transposed. Vector q of a panel of width W holds the rows (of B: columns) q,
 * q + W/4, q + 2W/4 and q + 3W/4. Consecutive threads own consecutive vectors; each of their four reads and writes of global memory then
 * covers consecutive elements. No alignment is required, and workgroup memory is accessed 16 bytes at a time without bank conflicts.
 *
 * If the depth is cut into slices, each slice stores its partial sum in scratch memory, and `addSlices` adds them in order. There are no
 * atomics: the same device gives the same bits.
 */
import type { GpuStorage } from '../buffers.js';
import { type BufferBinding, flatGroups, type GpuQueue, type Kernel, type ParamField } from '../kernel.js';
import {
  type Adapter,
  flopPerByteOf,
  PANEL_PADDING,
  type PlanProduct,
  type ProductPlan,
  planProduct,
  type Tile,
  threadsOf,
} from './tiles.js';

/**
 * One operand of a product. In its WGSL, `item` is the number of the product of a batch, `block` the number of the block, `p` the parameters.
 */
export interface Operand {
  /**
   * What consecutive threads read: steps along the depth (for an operand whose elements are consecutive along the depth), or consecutive
   * rows or columns.
   */
  readonly along: 'depth' | 'width';
  /** Statements before the loop that prepare vector `s`. `first` is the row or column of its first component, the others follow by `step`. */
  readonly vector: (s: string, first: string, step: number) => string;
  /** Statements at the start of each block for vector `s`, if there are any. */
  readonly block?: (s: string) => string;
  /** Expression of type vec4f: the elements of vector `s` at step `kk` (u32) of the block. Zero beyond the end of the depth. */
  readonly load: (s: string, kk: string) => string;
}

/** A kind of product: how operands are read and results stored. */
export interface Product {
  readonly name: string;
  readonly buffers: readonly BufferBinding[];
  readonly params: readonly ParamField[];
  /** WGSL of module scope. */
  readonly functions: string;
  readonly a: Operand;
  readonly b: Operand;
  /** Statements before the loop, after `item`, the blocks `block` to `end`, and the tile's first row and column `m0` and `n0` are known. */
  readonly start?: string;
  /** Statements at the start of each block, and at its end, when `block` is still its number. */
  readonly blockStart?: string;
  readonly blockEnd?: string;
  /** Statements that may write workgroup memory which `load` reads in the next block, number `block` + 1. */
  readonly prepareNext?: string;
  /** Expression (u32): the place in the output of the given column (u32), without the part that depends on the row. */
  readonly column: (column: string) => string;
  /** Expression (u32): the part of the place that depends on the row. */
  readonly row: (row: string) => string;
  /** Expression (f32) of the bias of a row or column; read only if `p.bias` is not 0. */
  readonly bias: { readonly of: 'row' | 'column'; readonly value: (index: string) => string } | null;
}

/** Parameters of every product. The output of slice s starts at s · `outSize`. */
const COMMON: readonly ParamField[] = [
  ['tiles', 'u32'],
  ['tilesM', 'u32'],
  ['tilesN', 'u32'],
  ['m', 'u32'],
  ['n', 'u32'],
  ['blocks', 'u32'],
  ['blocksPerSlice', 'u32'],
  ['slices', 'u32'],
  ['outSize', 'u32'],
  ['bias', 'u32'],
  ['relu', 'u32'],
];

/** max(v, 0), with NaN for NaN on every device: negative numbers are recognised by their bits. */
export const RELU = /* wgsl */ `
fn reluOf(v: f32) -> f32 {
  return select(v, 0.0, bitcast<u32>(v) - 0x80000000u <= 0x7f800000u);
}
`;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Vectors of a panel per thread, how far apart, and how the thread's vector and depth follow from its number `t`. */
function share(along: Operand['along'], width: number, t: Tile) {
  const threads = threadsOf(t);
  const vectors = width / 4;
  const loads = (t.depth * vectors) / threads;
  return along === 'depth'
    ? { loads, vector: (j: number) => `t / ${t.depth}u + ${(j * threads) / t.depth}u`, step: () => `t % ${t.depth}u` }
    : { loads, vector: () => `t % ${vectors}u`, step: (j: number) => `t / ${vectors}u + ${(j * threads) / vectors}u` };
}

/** Names of the vectors that a thread prepares: one per load along the depth, one in all along the width. */
const vectorNames = (name: 'A' | 'B', operand: Operand, loads: number): string[] =>
  operand.along === 'depth' ? range(loads).map((j) => `${name}${j}`) : [`${name}0`];

function prepare(name: 'A' | 'B', operand: Operand, width: number, origin: string, t: Tile): string {
  const { loads, vector } = share(operand.along, width, t);
  return vectorNames(name, operand, loads)
    .map((s, j) => operand.vector(s, `(${origin} + ${vector(j)})`, width / 4))
    .join('\n');
}

/** The statements that read a thread's share of a panel into registers, and those that write it to workgroup memory. */
function fill(name: 'A' | 'B', operand: Operand, width: number, t: Tile): { read: string; write: string } {
  const { loads, vector, step } = share(operand.along, width, t);
  const names = vectorNames(name, operand, loads);
  const stride = width / 4 + PANEL_PADDING;
  const read = names.map((s) => operand.block?.(s) ?? '');
  const write: string[] = [];
  for (const j of range(loads)) {
    const s = names[operand.along === 'depth' ? j : 0];
    read.push(`let read${name}${j} = ${operand.load(s, `(${step(j)})`)};`);
    write.push(`panel${name}[(${step(j)}) * ${stride}u + ${vector(j)}] = read${name}${j};`);
  }
  return { read: read.join('\n'), write: write.join('\n') };
}

/**
 * The position of a thread in its tile. 32 consecutive threads form a block of 8 columns by 4 rows, so that a step along the depth reads few
 * different vectors of both panels, and 8 consecutive threads read 128 consecutive bytes of B.
 */
function position(t: Tile): string {
  const [across, down] = [t.columns / t.threadColumns, t.rows / t.threadRows];
  if (across <= 8 || across % 8 !== 0 || down % 4 !== 0) return `let tx = t % ${across}u;\nlet ty = t / ${across}u;`;
  return `let tx = t % 8u + t / 32u % ${across / 8}u * 8u;\nlet ty = t / 8u % 4u + t / ${4 * across}u * 4u;`;
}

/** One step along the depth: adds the products of the thread's rows and columns. `at` is an expression of the step. */
function multiply(t: Tile, at: string): string {
  const [is, js] = [range(t.threadRows / 4), range(t.threadColumns / 4)];
  const lines = is.map((i) => `let a${i} = panelA[(${at}) * ${t.rows / 4 + PANEL_PADDING}u + ty + ${(i * t.rows) / t.threadRows}u];`);
  for (const j of js)
    lines.push(`let b${j} = panelB[(${at}) * ${t.columns / 4 + PANEL_PADDING}u + tx + ${(j * t.columns) / t.threadColumns}u];`);
  for (const i of is) for (const e of range(4)) for (const j of js) lines.push(`c${i}${e}${j} += a${i}[${e}] * b${j};`);
  return `{ ${lines.join('\n')} }`;
}

/** Stores the results of a thread, with bias and ReLU. */
function store(t: Tile, product: Product): string {
  const [is, js, es] = [range(t.threadRows / 4), range(t.threadColumns / 4), range(4)];
  const bias = (of: 'row' | 'column', index: string) =>
    product.bias?.of === of ? `var bias_${of} = 0.0; if (p.bias != 0u) { bias_${of} = ${product.bias.value(index)}; }` : '';
  const lines: string[] = [];
  for (const j of js)
    for (const e of es) {
      const name = `${j}${e}`;
      lines.push(`let n${name} = n0 + tx + ${(j * t.columns) / t.threadColumns + (e * t.columns) / 4}u;`);
      lines.push(`let at${name} = ${product.column(`n${name}`)} + slice * p.outSize;`);
      if (product.bias?.of === 'column') lines.push(bias('column', `n${name}`).replaceAll('bias_column', `bias${name}`));
    }
  for (const i of is)
    for (const e of es) {
      const stores = js.flatMap((j) =>
        es.map((f) => {
          const added = product.bias === null ? '' : product.bias.of === 'row' ? ' + bias_row' : ` + bias${j}${f}`;
          return `if (n${j}${f} < p.n) { out[row + at${j}${f}] = finish(c${i}${e}${j}[${f}]${added}); }`;
        }),
      );
      lines.push(`{ let m = m0 + ty + ${(i * t.rows) / t.threadRows + (e * t.rows) / 4}u;
if (m < p.m) { let row = ${product.row('m')}; ${bias('row', 'm')} ${stores.join('\n')} } }`);
    }
  return lines.join('\n');
}

/** Returns the WGSL of a product with a tile. */
export function productCode(product: Product, t: Tile): string {
  const threads = threadsOf(t);
  const [a, b] = [fill('A', product.a, t.rows, t), fill('B', product.b, t.columns, t)];
  const sums = range(t.threadRows / 4).flatMap((i) => range(4).flatMap((e) => range(t.threadColumns / 4).map((j) => `c${i}${e}${j}`)));
  const steps = range(t.unroll).map((u) => multiply(t, t.unroll === t.depth ? `${u}u` : `s + ${u}u`));
  const compute =
    t.unroll === t.depth ? steps.join('\n') : `for (var s = 0u; s < ${t.depth}u; s += ${t.unroll}u) {\n${steps.join('\n')}\n}`;
  return /* wgsl */ `
var<workgroup> panelA: array<vec4f, ${t.depth * (t.rows / 4 + PANEL_PADDING)}>;
var<workgroup> panelB: array<vec4f, ${t.depth * (t.columns / 4 + PANEL_PADDING)}>;
${RELU}
fn finish(v: f32) -> f32 {
  return select(v, reluOf(v), p.relu != 0u);
}
${product.functions}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) t: u32) {
  // Consecutive workgroups share the columns of a tile, since B is usually the larger operand.
  let number = id.x + id.y * groups.x;
  if (number >= p.tiles) { return; }
  let m0 = (number % p.tilesM) * ${t.rows}u;
  let n0 = (number / p.tilesM % p.tilesN) * ${t.columns}u;
  let item = number / (p.tilesM * p.tilesN) / p.slices;
  let slice = number / (p.tilesM * p.tilesN) % p.slices;
  ${position(t)}
  var end = min((slice + 1u) * p.blocksPerSlice, p.blocks);
  var block = slice * p.blocksPerSlice;
  ${product.start ?? ''}
  ${prepare('A', product.a, t.rows, 'm0', t)}
  ${prepare('B', product.b, t.columns, 'n0', t)}
  ${sums.map((name) => `var ${name} = vec4f();`).join(' ')}
  for (; block < end; block++) {
    ${product.blockStart ?? ''}
    // Reads of global memory start before the other threads have finished the previous block.
    ${a.read}
    ${b.read}
    workgroupBarrier();
    ${a.write}
    ${b.write}
    ${product.prepareNext ?? ''}
    workgroupBarrier();
    ${compute}
    ${product.blockEnd ?? ''}
  }
  ${store(t, product)}
}
`;
}

/** Returns a function that makes the kernel of a product for each tile, once. */
export function productKernels(make: (t: Tile) => Product): (t: Tile) => Kernel {
  const kernels = new Map<Tile, Kernel>();
  return (t) => {
    let kernel = kernels.get(t);
    if (kernel === undefined) {
      const product = make(t);
      kernel = {
        name: product.name,
        key: `${t.name} ${t.rows}x${t.columns}x${t.depth} by ${t.threadRows}x${t.threadColumns}, ${t.unroll} steps`,
        buffers: product.buffers,
        params: [...COMMON, ...product.params],
        code: () => productCode(product, t),
      };
      kernels.set(t, kernel);
    }
    return kernel;
  };
}

/** One product to compute: `items` products of [rows, depth] with [depth, columns], in blocks of the tile's depth. */
export interface ProductJob {
  readonly rows: number;
  readonly columns: number;
  readonly items: number;
  /** Number of blocks along the depth. */
  readonly blocks: number;
  readonly plan: ProductPlan;
  /** Elements of the whole output. */
  readonly outSize: number;
  readonly bias: boolean;
  readonly relu: boolean;
}

/** The properties of a queue's device on which choices depend. */
export const adapterOf = ({ software, limits, info }: GpuQueue): Adapter => ({
  software,
  maxInvocations: limits.maxInvocations,
  maxWorkgroupBytes: limits.maxWorkgroupBytes,
  maxBufferBytes: limits.maxBufferBytes,
  flopPerByte: flopPerByteOf(info),
});

/** Launches a product. With several slices, the output gets their partial sums, without bias and ReLU: see `withSlices`. */
export function launchProduct(
  queue: GpuQueue,
  kernel: Kernel,
  storages: readonly GpuStorage[],
  { rows, columns, items, blocks, plan, outSize, bias, relu }: ProductJob,
  values: readonly number[],
): void {
  const { tile, slices } = plan;
  const [tilesM, tilesN] = [Math.ceil(rows / tile.rows), Math.ceil(columns / tile.columns)];
  const tiles = tilesM * tilesN * items * slices;
  if (tiles === 0) return;
  const finish = slices === 1;
  const common = [tiles, tilesM, tilesN, rows, columns, blocks, Math.ceil(blocks / slices), slices, outSize];
  queue.launch(kernel, storages, [...common, finish && bias ? 1 : 0, finish && relu ? 1 : 0, ...values], flatGroups(tiles, 1));
}

/** How the results of slices become the output: element i gets bias (i / inner) % channels. */
export interface Finish {
  readonly bias: GpuStorage | null;
  readonly inner: number;
  readonly channels: number;
  readonly relu: boolean;
}

/** Calls `use` with a scratch storage, which goes back to the pool afterwards, also if `use` throws. */
export function withScratch(queue: GpuQueue, bytes: number, use: (storage: GpuStorage) => void): void {
  const storage = queue.scratch(bytes);
  try {
    use(storage);
  } finally {
    queue.release(storage);
  }
}

/** Calls `launch` with the storage that gets the results: `y`, or with several slices a scratch storage whose parts are then added to `y`. */
export function withSlices(queue: GpuQueue, y: GpuStorage, slices: number, finish: Finish, launch: (out: GpuStorage) => void): void {
  if (slices === 1) {
    launch(y);
    return;
  }
  withScratch(queue, 4 * slices * y.size, (parts) => {
    launch(parts);
    addSlices(queue, y, parts, slices, finish);
  });
}

const ADD_SLICES: Kernel = {
  name: 'add slices',
  key: '',
  buffers: [
    { name: 'y', type: 'array<f32>', access: 'read_write' },
    { name: 'parts', type: 'array<f32>', access: 'read' },
    { name: 'b', type: 'array<f32>', access: 'read' },
  ],
  params: [
    ['count', 'u32'],
    ['slices', 'u32'],
    ['inner', 'u32'],
    ['channels', 'u32'],
    ['bias', 'u32'],
    ['relu', 'u32'],
  ],
  code: () => /* wgsl */ `
${RELU}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) { return; }
  var sum = parts[i];
  for (var s = 1u; s < p.slices; s++) { sum += parts[s * p.count + i]; }
  if (p.bias != 0u) { sum += b[i / p.inner % p.channels]; }
  if (p.relu != 0u) { sum = reluOf(sum); }
  y[i] = sum;
}
`,
};

/** y[i] = Σ over slices of parts[slice, i], in order, plus bias, then max(·, 0) if `relu`. */
export function addSlices(queue: GpuQueue, y: GpuStorage, parts: GpuStorage, slices: number, finish: Finish): void {
  const { bias, inner, channels, relu } = finish;
  const values = [y.size, slices, inner, channels, bias === null ? 0 : 1, relu ? 1 : 0];
  queue.launch(ADD_SLICES, [y, parts, bias ?? parts], values, flatGroups(y.size, 64));
}

/** Chooses the division of products on a queue's device. Tests pass their own `plan`, to run every tile and number of slices. */
export const productPlanner = (queue: GpuQueue, plan: PlanProduct = planProduct) => {
  const adapter = adapterOf(queue);
  return (rows: number, columns: number, depth: number, items: number): ProductPlan => plan({ rows, columns, depth, items }, adapter);
};
