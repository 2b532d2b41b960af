/**
 * Winograd's F(2×2, 3×3) in four steps: transform the weights and the images into 16 planes, multiply plane by plane (one product with 16
 * items, by the tiled kernel), and transform the results back. Not measured on a GPU.
 *
 * Tiles are [image, row, column]. Transformed images are [16, phases · channels, tiles], transformed weights [16, rows, depth] of the
 * product. Threads that are consecutive have consecutive tiles, so that each of the 16 accesses to a plane covers consecutive elements.
 * Infinite inputs give NaN in all pixels of their tiles.
 */
import type { ConvPass } from '../../backend.js';
import type { ConvParams } from '../../params.js';
import type { GpuStorage } from '../buffers.js';
import { flatGroups, type GpuQueue, type Kernel, type ParamField } from '../kernel.js';
import { launchProduct, type Operand, type Product, productKernels, RELU, withScratch } from './gemm.js';
import type { Tile } from './tiles.js';
import { PLANES, type WinogradPlan, type WinogradSizes, winogradShape, winogradSizes } from './winograd_geometry.js';

/** The order of the phases: those with an even row, and those with an even column, are adjacent. */
const PHASE = /* wgsl */ `
fn phaseOf(number: u32) -> vec2u {
  if (p.stride == 1u) { return vec2u(); }
  return vec2u(number >> 1u, 1u - ((number ^ (number >> 1u)) & 1u));
}
`;

const MAIN = /* wgsl */ `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) { return; }`;

const READ = { type: 'array<f32>', access: 'read' } as const;
const WRITE = { type: 'array<f32>', access: 'read_write' } as const;

const u32 = (...names: string[]): ParamField[] => names.map((name) => [name, 'u32']);
const i32 = (...names: string[]): ParamField[] => names.map((name) => [name, 'i32']);

/** Bᵀ d B of each 4×4 patch d. Row r of a patch is source row `step` · (2 · tile row + r) + row0 + phase. */
const TRANSFORM_IMAGES: Kernel = {
  name: 'winograd images',
  key: '',
  buffers: [
    { name: 'v', ...WRITE },
    { name: 'x', ...READ },
  ],
  params: [...u32('count', 'tiles', 'tilesH', 'tilesW', 'channels', 'stride', 'image0', 'planeSize'), ...i32('h', 'w', 'row0', 'column0')],
  code: () => /* wgsl */ `
${PHASE}
fn pixel(base: i32, y: i32, x_: i32) -> f32 {
  if (u32(y) < u32(p.h) && u32(x_) < u32(p.w)) { return x[base + y * p.w + x_]; }
  return 0.0;
}
fn row(base: i32, y: i32, x_: i32) -> vec4f {
  let s = i32(p.stride);
  return vec4f(pixel(base, y, x_), pixel(base, y, x_ + s), pixel(base, y, x_ + 2 * s), pixel(base, y, x_ + 3 * s));
}
fn store(at: u32, t: vec4f) {
  v[at] = t.x - t.z;
  v[at + p.planeSize] = t.y + t.z;
  v[at + 2u * p.planeSize] = t.z - t.y;
  v[at + 3u * p.planeSize] = t.y - t.w;
}
${MAIN}
  let tile = i % p.tiles;
  let channel = i / p.tiles;
  let phase = phaseOf(channel / p.channels);
  let image = p.image0 + tile / (p.tilesH * p.tilesW);
  let s = i32(p.stride);
  let y = 2 * s * i32(tile / p.tilesW % p.tilesH) + p.row0 + i32(phase.x);
  let x_ = 2 * s * i32(tile % p.tilesW) + p.column0 + i32(phase.y);
  let base = i32(image * p.channels + channel % p.channels) * p.h * p.w;
  let d0 = row(base, y, x_);
  let d1 = row(base, y + s, x_);
  let d2 = row(base, y + 2 * s, x_);
  let d3 = row(base, y + 3 * s, x_);
  store(i, d0 - d2);
  store(i + 4u * p.planeSize, d1 + d2);
  store(i + 8u * p.planeSize, d2 - d1);
  store(i + 12u * p.planeSize, d1 - d3);
}
`,
};

/** A d Aᵀ of each 2×2 patch d of the output's gradient. */
const TRANSFORM_GRADIENTS: Kernel = {
  name: 'winograd gradients',
  key: '',
  buffers: [
    { name: 'v', ...WRITE },
    { name: 'dy', ...READ },
  ],
  params: u32('count', 'tiles', 'tilesH', 'tilesW', 'channels', 'image0', 'planeSize', 'h', 'w'),
  code: () => /* wgsl */ `
fn store(at: u32, t: vec2f) {
  v[at] = t.x;
  v[at + p.planeSize] = t.x + t.y;
  v[at + 2u * p.planeSize] = t.x - t.y;
  v[at + 3u * p.planeSize] = -t.y;
}
${MAIN}
  let tile = i % p.tiles;
  let image = p.image0 + tile / (p.tilesH * p.tilesW);
  let y = 2u * (tile / p.tilesW % p.tilesH);
  let x = 2u * (tile % p.tilesW);
  let at = ((image * p.channels + i / p.tiles) * p.h + y) * p.w + x;
  var d0 = vec2f(dy[at], 0.0);
  var d1 = vec2f();
  if (x + 1u < p.w) { d0.y = dy[at + 1u]; }
  if (y + 1u < p.h) {
    d1.x = dy[at + p.w];
    if (x + 1u < p.w) { d1.y = dy[at + p.w + 1u]; }
  }
  store(i, d0);
  store(i + 4u * p.planeSize, d0 + d1);
  store(i + 8u * p.planeSize, d0 - d1);
  store(i + 12u * p.planeSize, -d1);
}
`,
};

/**
 * G g Gᵀ of the kernel g of each pair of channels. Tap (i, j) of a phase is tap (stride · i + phase row, stride · j + phase column) of the
 * kernel. Forward: element [o, phase · channels + c]. Turned, for the input gradient: element [phase · channels + c, o], with the taps of
 * each phase in reverse.
 */
const TRANSFORM_WEIGHTS: Kernel = {
  name: 'winograd weights',
  key: '',
  buffers: [
    { name: 'u', ...WRITE },
    { name: 'w', ...READ },
  ],
  params: u32('count', 'outputs', 'channels', 'phases', 'stride', 'kh', 'kw', 'turned'),
  code: () => /* wgsl */ `
${PHASE}
fn tap(base: u32, phase: vec2u, place: vec2u) -> f32 {
  let at = p.stride * select(place, vec2u(2u) - place, p.turned != 0u) + phase;
  if (at.x < p.kh && at.y < p.kw) { return w[base + at.x * p.kw + at.y]; }
  return 0.0;
}
fn row(base: u32, phase: vec2u, y: u32) -> vec3f {
  return vec3f(tap(base, phase, vec2u(y, 0u)), tap(base, phase, vec2u(y, 1u)), tap(base, phase, vec2u(y, 2u)));
}
fn store(at: u32, g: vec3f) {
  u[at] = g.x;
  u[at + p.count] = 0.5 * (g.x + g.y + g.z);
  u[at + 2u * p.count] = 0.5 * (g.x - g.y + g.z);
  u[at + 3u * p.count] = g.z;
}
${MAIN}
  let depth = select(p.phases * p.channels, p.outputs, p.turned != 0u);
  let output = select(i / depth, i % depth, p.turned != 0u);
  let channel = select(i % depth, i / depth, p.turned != 0u);
  let phase = phaseOf(channel / p.channels);
  let base = (output * p.channels + channel % p.channels) * p.kh * p.kw;
  let g0 = row(base, phase, 0u);
  let g1 = row(base, phase, 1u);
  let g2 = row(base, phase, 2u);
  store(i, g0);
  store(i + 4u * p.count, 0.5 * (g0 + g1 + g2));
  store(i + 8u * p.count, 0.5 * (g0 - g1 + g2));
  store(i + 12u * p.count, g2);
}
`,
};

/**
 * Aᵀ m A of each 4×4 tile m of the products. Pixel (r, s) of a tile is output row `stride` · (2 · tile row + r) + row0 + phase, where a
 * forward pass has stride 1 and one phase.
 */
const TRANSFORM_RESULTS: Kernel = {
  name: 'winograd results',
  key: '',
  buffers: [
    { name: 'y', ...WRITE },
    { name: 'm', ...READ },
    { name: 'b', ...READ },
  ],
  params: [
    ...u32('count', 'tiles', 'tilesH', 'tilesW', 'channels', 'stride', 'image0', 'planeSize', 'bias', 'relu'),
    ...i32('h', 'w', 'row0', 'column0'),
  ],
  code: () => /* wgsl */ `
${RELU}
${PHASE}
fn store(base: i32, y_: i32, x: i32, v: f32) {
  if (u32(y_) >= u32(p.h) || u32(x) >= u32(p.w)) { return; }
  y[base + y_ * p.w + x] = select(v, reluOf(v), p.relu != 0u);
}
fn row(at: u32) -> vec4f {
  return vec4f(m[at], m[at + p.planeSize], m[at + 2u * p.planeSize], m[at + 3u * p.planeSize]);
}
${MAIN}
  let tile = i % p.tiles;
  let channel = i / p.tiles % p.channels;
  let phase = phaseOf(i / p.tiles / p.channels);
  let image = p.image0 + tile / (p.tilesH * p.tilesW);
  let s = i32(p.stride);
  let y_ = 2 * s * i32(tile / p.tilesW % p.tilesH) + p.row0 + i32(phase.x);
  let x = 2 * s * i32(tile % p.tilesW) + p.column0 + i32(phase.y);
  let base = i32(image * p.channels + channel) * p.h * p.w;
  let m0 = row(i);
  let m1 = row(i + 4u * p.planeSize);
  let m2 = row(i + 8u * p.planeSize);
  let m3 = row(i + 12u * p.planeSize);
  let t0 = m0 + m1 + m2;
  let t1 = m1 - m2 - m3;
  var bias = 0.0;
  if (p.bias != 0u) { bias = b[channel]; }
  store(base, y_, x, t0.x + t0.y + t0.z + bias);
  store(base, y_, x + s, t0.y - t0.z - t0.w + bias);
  store(base, y_ + s, x, t1.x + t1.y + t1.z + bias);
  store(base, y_ + s, x + s, t1.y - t1.z - t1.w + bias);
}
`,
};

/** Gᵀ u G of the products u of each pair of channels, which are the sums over slices, in order. */
const TRANSFORM_WEIGHT_GRADS: Kernel = {
  name: 'winograd weight gradients',
  key: '',
  buffers: [
    { name: 'dw', ...WRITE },
    { name: 'u', ...READ },
  ],
  params: u32('count', 'channels', 'phases', 'stride', 'kh', 'kw', 'slices'),
  code: () => /* wgsl */ `
${PHASE}
fn element(at: u32) -> f32 {
  var sum = u[at];
  for (var s = 1u; s < p.slices; s++) { sum += u[at + s * ${PLANES}u * p.count]; }
  return sum;
}
fn row(at: u32) -> vec4f {
  return vec4f(element(at), element(at + p.count), element(at + 2u * p.count), element(at + 3u * p.count));
}
fn store(base: u32, y: u32, x: u32, v: f32) {
  if (y < p.kh && x < p.kw) { dw[base + y * p.kw + x] = v; }
}
fn columns(base: u32, y: u32, x: u32, g: vec4f) {
  store(base, y, x, g.x + 0.5 * (g.y + g.z));
  store(base, y, x + p.stride, 0.5 * (g.y - g.z));
  store(base, y, x + 2u * p.stride, 0.5 * (g.y + g.z) + g.w);
}
${MAIN}
  let depth = p.phases * p.channels;
  let phase = phaseOf(i % depth / p.channels);
  let base = (i / depth * p.channels + i % p.channels) * p.kh * p.kw;
  let u0 = row(i);
  let u1 = row(i + 4u * p.count);
  let u2 = row(i + 8u * p.count);
  let u3 = row(i + 12u * p.count);
  columns(base, phase.x, phase.y, u0 + 0.5 * (u1 + u2));
  columns(base, phase.x + p.stride, phase.y, 0.5 * (u1 - u2));
  columns(base, phase.x + 2u * p.stride, phase.y, 0.5 * (u1 + u2) + u3);
}
`,
};

/** The axis of the product on which the phases lie: phases whose plane is zero are skipped there. */
type PhaseAxis = 'rows' | 'columns' | 'depth';

/**
 * Ranges of phases with a plane that is not zero. A phase with two taps along an axis has a zero plane: the last (in an input gradient,
 * whose taps are reversed, the first). Phases [0, 2) have three taps along the vertical axis, phases [1, 3) along the horizontal axis.
 */
const RANGE = /* wgsl */ `
  var low = 0u;
  var high = p.phased;
  if (p.twoY != 0u && item / 4u == p.edge) { high = p.phased / 2u; }
  if (p.twoX != 0u && item % 4u == p.edge) { low = p.phased / 4u; high = min(high, p.phased / 4u * 3u); }`;

const SKIPPED: Readonly<Record<PhaseAxis, (t: Tile) => string>> = {
  depth: (t) => `let k0 = low;\nlet kEnd = high;\nend = min(end, (high - low + ${t.depth - 1}u) / ${t.depth}u);`,
  rows: (t) => `let k0 = 0u;\nlet kEnd = p.k;\nif (m0 >= high || m0 + ${t.rows}u <= low) { end = block; }`,
  columns: (t) => `let k0 = 0u;\nlet kEnd = p.k;\nif (n0 >= high || n0 + ${t.columns}u <= low) { end = block; }`,
};

const load = (name: 'a' | 'b', width: number) => /* wgsl */ `
fn load_${name}(first: u32, k: u32, end: u32) -> vec4f {
  let at = select(0u, first + k * p.${name}Inner, k < end);
  let step = ${width / 4}u * p.${name}Row;
  return select(vec4f(), vec4f(${name}[at], ${name}[at + step], ${name}[at + 2u * step], ${name}[at + 3u * step]), k < end);
}
`;

function planeProduct(axis: PhaseAxis, alongB: Operand['along'], t: Tile): Product {
  const operand = (name: 'a' | 'b', along: Operand['along']): Operand => ({
    along,
    vector: (s, first) => `let at${s} = item * p.${name}Plane + ${first} * p.${name}Row;`,
    load: (s, kk) => `load_${name}(at${s}, k0 + block * ${t.depth}u + ${kk}, kEnd)`,
  });
  return {
    name: `winograd product ${t.rows}x${t.columns}x${t.depth} by ${axis}`,
    buffers: [
      { name: 'a', ...READ },
      { name: 'b', ...READ },
      { name: 'out', ...WRITE },
    ],
    params: u32('k', 'aPlane', 'aRow', 'aInner', 'bPlane', 'bRow', 'bInner', 'outFirst', 'phased', 'twoY', 'twoX', 'edge'),
    functions: load('a', t.rows) + load('b', t.columns),
    start: `${RANGE}\n${SKIPPED[axis](t)}`,
    a: operand('a', 'depth'),
    b: operand('b', alongB),
    column: (n) => `p.outFirst + item * p.m * p.n + ${n}`,
    row: (m) => `${m} * p.n`,
    bias: null,
  };
}

const PRODUCTS: Readonly<Record<ConvPass, (t: Tile) => Kernel>> = {
  forward: productKernels((t) => planeProduct('depth', 'width', t)),
  inputGrad: productKernels((t) => planeProduct('rows', 'width', t)),
  weightGrad: productKernels((t) => planeProduct('columns', 'depth', t)),
};

/** Launches the product of the transformed operands a and b of a chunk. The results of slice s are part `part` + s of `out`. */
function multiply(
  queue: GpuQueue,
  pass: ConvPass,
  { out, a, b }: Readonly<Record<'out' | 'a' | 'b', GpuStorage>>,
  { p, plan, images, part }: { readonly p: ConvParams; readonly plan: WinogradPlan; readonly images: number; readonly part: number },
): void {
  const { rows, columns, depth } = winogradShape(pass, p, images);
  const { tile } = plan.product;
  const outSize = PLANES * rows * columns;
  const job = {
    rows,
    columns,
    items: PLANES,
    blocks: Math.ceil(depth / tile.depth),
    plan: plan.product,
    outSize,
    bias: false,
    relu: false,
  };
  const b_ = pass === 'weightGrad' ? [depth, 1] : [1, columns];
  const two = (taps: number) => (p.strideH === 2 && taps === 5 ? 1 : 0);
  const phased = p.strideH * p.strideW * p.c;
  const values = [depth, rows * depth, depth, 1, depth * columns, ...b_, part * outSize, phased, two(p.kh), two(p.kw)];
  launchProduct(queue, PRODUCTS[pass](tile), [a, b, out], job, [...values, pass === 'inputGrad' ? 0 : 3]);
}

/** Returns the first image and the number of images of each chunk. */
function chunksOf(n: number, images: number): { first: number; count: number }[] {
  return Array.from({ length: Math.ceil(n / images) }, (_, i) => ({ first: i * images, count: Math.min(images, n - i * images) }));
}

function transformWeights(queue: GpuQueue, u: GpuStorage, w: GpuStorage, p: ConvParams, phases: number, turned: boolean): void {
  const count = phases * p.o * p.c;
  const values = [count, p.o, p.c, phases, p.strideH, p.kh, p.kw, turned ? 1 : 0];
  queue.launch(TRANSFORM_WEIGHTS, [u, w], values, flatGroups(count, 64));
}

/** Transforms the images [first, first + count) of x for a forward pass or a weight gradient. */
function transformImages(queue: GpuQueue, v: GpuStorage, x: GpuStorage, p: ConvParams, sizes: WinogradSizes, first: number, tiles: number) {
  const count = sizes.phases * p.c * tiles;
  const values = [count, tiles, sizes.tilesH, sizes.tilesW, p.c, p.strideH, first, count, p.h, p.w, -p.padTop, -p.padLeft];
  queue.launch(TRANSFORM_IMAGES, [v, x], values, flatGroups(count, 64));
}

/** y = x * w + b, with ReLU if asked for. */
export function winogradForward(
  queue: GpuQueue,
  { y, x, w, b }: { readonly [name in 'y' | 'x' | 'w']: GpuStorage } & { readonly b: GpuStorage | null },
  p: ConvParams,
  { plan, relu }: { readonly plan: WinogradPlan; readonly relu: boolean },
): void {
  const sizes = winogradSizes('forward', p);
  const chunk = (u: GpuStorage, first: number, images: number) => {
    const tiles = images * sizes.tilesH * sizes.tilesW;
    const count = p.o * tiles;
    const flags = [b === null ? 0 : 1, relu ? 1 : 0];
    const values = [count, tiles, sizes.tilesH, sizes.tilesW, p.o, 1, first, count, ...flags, p.oh, p.ow, 0, 0];
    withScratch(queue, 4 * PLANES * sizes.phases * p.c * tiles, (v) => {
      transformImages(queue, v, x, p, sizes, first, tiles);
      withScratch(queue, 4 * PLANES * count, (m) => {
        multiply(queue, 'forward', { out: m, a: u, b: v }, { p, plan, images, part: 0 });
        queue.launch(TRANSFORM_RESULTS, [y, m, b ?? m], values, flatGroups(count, 64));
      });
    });
  };
  withScratch(queue, 4 * PLANES * sizes.phases * p.o * p.c, (u) => {
    transformWeights(queue, u, w, p, sizes.phases, false);
    for (const { first, count } of chunksOf(p.n, plan.images)) chunk(u, first, count);
  });
}

/** The gradient with respect to the input: the gradient of the output is transformed once for all phases. */
export function winogradInputGrad(
  queue: GpuQueue,
  dx: GpuStorage,
  { dy, w }: Readonly<Record<'dy' | 'w', GpuStorage>>,
  p: ConvParams,
  plan: WinogradPlan,
): void {
  const sizes = winogradSizes('inputGrad', p);
  const { phases, tilesH, tilesW, firstY, firstX } = sizes;
  const origin = [p.strideH * firstY - p.padTop, p.strideW * firstX - p.padLeft];
  const chunk = (u: GpuStorage, first: number, images: number) => {
    const tiles = images * tilesH * tilesW;
    const [read, count] = [p.o * tiles, phases * p.c * tiles];
    const source = [read, tiles, tilesH, tilesW, p.o, 1, first, read, p.oh, p.ow, firstY - 2, firstX - 2];
    const values = [count, tiles, tilesH, tilesW, p.c, p.strideH, first, count, 0, 0, p.h, p.w, ...origin];
    withScratch(queue, 4 * PLANES * read, (v) => {
      queue.launch(TRANSFORM_IMAGES, [v, dy], source, flatGroups(read, 64));
      withScratch(queue, 4 * PLANES * count, (m) => {
        multiply(queue, 'inputGrad', { out: m, a: u, b: v }, { p, plan, images, part: 0 });
        queue.launch(TRANSFORM_RESULTS, [dx, m, m], values, flatGroups(count, 64));
      });
    });
  };
  withScratch(queue, 4 * PLANES * phases * p.o * p.c, (u) => {
    transformWeights(queue, u, w, p, phases, true);
    for (const { first, count } of chunksOf(p.n, plan.images)) chunk(u, first, count);
  });
}

/** The gradient with respect to the weights. The sums over the tiles of a chunk, or of a slice of one, are added at the end, in order. */
export function winogradWeightGrad(
  queue: GpuQueue,
  dw: GpuStorage,
  { x, dy }: Readonly<Record<'x' | 'dy', GpuStorage>>,
  p: ConvParams,
  plan: WinogradPlan,
): void {
  const sizes = winogradSizes('weightGrad', p);
  const chunks = chunksOf(p.n, plan.images);
  const count = sizes.phases * p.o * p.c;
  const slices = chunks.length * plan.product.slices;
  const chunk = (u: GpuStorage, first: number, images: number, part: number) => {
    const tiles = images * sizes.tilesH * sizes.tilesW;
    const read = p.o * tiles;
    withScratch(queue, 4 * PLANES * sizes.phases * p.c * tiles, (v) => {
      transformImages(queue, v, x, p, sizes, first, tiles);
      withScratch(queue, 4 * PLANES * read, (g) => {
        const values = [read, tiles, sizes.tilesH, sizes.tilesW, p.o, first, read, p.oh, p.ow];
        queue.launch(TRANSFORM_GRADIENTS, [g, dy], values, flatGroups(read, 64));
        multiply(queue, 'weightGrad', { out: u, a: g, b: v }, { p, plan, images, part });
      });
    });
  };
  withScratch(queue, 4 * PLANES * count * slices, (u) => {
    chunks.forEach(({ first, count: images }, i) => {
      chunk(u, first, images, i * plan.product.slices);
    });
    const values = [count, p.c, sizes.phases, p.strideH, p.kh, p.kw, slices];
    queue.launch(TRANSFORM_WEIGHT_GRADS, [dw, u], values, flatGroups(count, 64));
  });
}
