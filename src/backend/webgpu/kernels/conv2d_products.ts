/**
 * The products of a convolution: how elements of images and weights are read without a matrix of patches in memory (implicit GEMM).
 *
 * - A gather (forward, or a phase of the input gradient): rows are output channels, columns pixels of all images, the depth channels × taps.
 * - A weight gradient: rows are output channels, columns input channels × taps, the depth pixels of all images.
 *
 * Padding counts as zeros, so that an infinite weight gives NaN where it meets padding, as on the WASM backend.
 */
import type { ConvParams } from '../../params.js';
import type { Kernel, ParamField } from '../kernel.js';
import type { Gather } from './conv2d_geometry.js';
import { type Operand, type Product, productKernels } from './gemm.js';
import { type Tile, threadsOf } from './tiles.js';

/**
 * Order of the depth of a gather:
 * - `taps`: blocks of channels, and in each all taps. A block has one tap, so that the position in the image is computed once per block, and
 *   the weights of a block of channels stay in the cache for all of its taps.
 * - `flat`: channel · taps + tap, for few channels. A few threads compute the taps of the next block while the others copy the panels.
 */
export type DepthOrder = 'taps' | 'flat';

/** With `taps`, at most this share of the arithmetic may be spent on channels beyond the last. */
const MOST_WASTE = 1.25;

/** Returns the order of the depth for a number of channels. */
export const depthOrder = (channels: number, depth: number): DepthOrder =>
  Math.ceil(channels / depth) * depth <= MOST_WASTE * channels ? 'taps' : 'flat';

/** Returns the number of blocks of a gather. */
export function gatherBlocks({ channels, y, x }: Gather, { depth }: Tile): number {
  const taps = y.taps * x.taps;
  return depthOrder(channels, depth) === 'taps' ? Math.ceil(channels / depth) * taps : Math.ceil((channels * taps) / depth);
}

const GATHER_FIELDS = [
  ['channels', 'u32'],
  ['tapsY', 'u32'],
  ['tapsX', 'u32'],
  ['gridH', 'u32'],
  ['gridW', 'u32'],
  ['sourceImage', 'u32'],
  ['sourceGroup', 'u32'],
  ['sourceH', 'i32'],
  ['sourceW', 'i32'],
  ['sourceY0', 'i32'],
  ['sourceX0', 'i32'],
  ['sourceStepY', 'i32'],
  ['sourceStepX', 'i32'],
  ['tapStepY', 'i32'],
  ['tapStepX', 'i32'],
  ['weight0', 'u32'],
  ['weightGroup', 'u32'],
  ['weightRow', 'u32'],
  ['weightChannel', 'u32'],
  ['weightTapY', 'u32'],
  ['weightTapX', 'u32'],
  ['out0', 'u32'],
  ['outImage', 'u32'],
  ['outGroup', 'u32'],
  ['outPlane', 'u32'],
  ['outStepY', 'u32'],
  ['outStepX', 'u32'],
] as const satisfies readonly ParamField[];

/** Returns the values of `GATHER_FIELDS`. */
export function gatherValues(g: Gather): number[] {
  const [sourcePlane, outPlane] = [g.sourceH * g.sourceW, g.outH * g.outW];
  const { y, x } = g;
  return [
    ...[g.channels, y.taps, x.taps, y.grid, x.grid],
    ...[g.groups * g.channels * sourcePlane, g.channels * sourcePlane, g.sourceH, g.sourceW],
    ...[y.source0, x.source0, y.sourceStep, x.sourceStep, y.tapStep, x.tapStep],
    ...[y.tap0 * g.kernelW + x.tap0, g.weightGroup, g.weightRow, g.weightChannel, y.tapEvery * g.kernelW, x.tapEvery],
    ...[y.out0 * g.outW + x.out0, g.groups * g.rows * outPlane, g.rows * outPlane, outPlane, y.outStep * g.outW, x.outStep],
  ];
}

const gatherFunctions = (t: Tile, order: DepthOrder) => /* wgsl */ `
struct Pixels { image: vec4u, y: vec4u, x: vec4u }
fn pixelsOf(n: vec4u) -> Pixels {
  let size = p.gridH * p.gridW;
  let image = n / size;
  let rest = n - image * size;
  let y = rest / p.gridW;
  return Pixels(image, y, rest - y * p.gridW);
}
fn outputAt(n: u32, item: u32) -> u32 {
  let size = p.gridH * p.gridW;
  let image = n / size;
  let rest = n - image * size;
  let y = rest / p.gridW;
  return p.out0 + image * p.outImage + item * p.outGroup + y * p.outStepY + (rest - y * p.gridW) * p.outStepX;
}
fn inside(y: vec4i, x: vec4i) -> vec4<bool> {
  return (bitcast<vec4u>(y) < vec4u(u32(p.sourceH))) & (bitcast<vec4u>(x) < vec4u(u32(p.sourceW)));
}
// Without branches, so that a device can issue all reads at once; outside the image it reads element 0.
fn loadX(at: vec4i, ok: vec4<bool>) -> vec4f {
  let i = select(vec4i(), at, ok);
  return select(vec4f(), vec4f(x[i.x], x[i.y], x[i.z], x[i.w]), ok);
}
fn flatX(base: vec4i, y: vec4i, x: vec4i, tap: vec4i, ok: bool) -> vec4f {
  return loadX(base + tap.x, inside(y + tap.y, x + tap.z) & vec4<bool>(ok));
}
fn loadW(first: u32, ok: bool) -> vec4f {
  let at = select(0u, first, ok);
  let step = ${t.rows / 4}u * p.weightRow;
  return select(vec4f(), vec4f(w[at], w[at + step], w[at + 2u * step], w[at + 3u * step]), ok);
}
${order === 'taps' ? '' : flatFunctions(t)}
`;

const flatFunctions = ({ depth }: Tile) => /* wgsl */ `
// For each step of a block: offset in the source, vertical and horizontal distance from the first tap, offset in the weights.
var<workgroup> blockTaps: array<vec4i, ${depth}>;
fn tapOf(k: u32) -> vec4i {
  let taps = p.tapsY * p.tapsX;
  let channel = k / taps;
  let rest = k - channel * taps;
  let tapY = rest / p.tapsX;
  let tapX = rest - tapY * p.tapsX;
  let dy = i32(tapY) * p.tapStepY;
  let dx = i32(tapX) * p.tapStepX;
  let weight = channel * p.weightChannel + tapY * p.weightTapY + tapX * p.weightTapX;
  return vec4i((i32(channel) * p.sourceH + dy) * p.sourceW + dx, dy, dx, i32(weight));
}
`;

/** The weights: consecutive threads read channels of one tap in a forward pass, output channels in an input gradient. */
const weightOperand = (along: Operand['along'], order: DepthOrder, { depth }: Tile): Operand => ({
  along,
  vector: (s, first) => `let w${s} = p.weight0 + item * p.weightGroup + ${first} * p.weightRow;`,
  load: (s, kk) =>
    order === 'taps'
      ? `loadW(w${s} + (channel0 + ${kk}) * p.weightChannel + weightTap, channel0 + ${kk} < p.channels)`
      : `loadW(w${s} + u32(blockTaps[${kk}].w), block * ${depth}u + ${kk} < flatDepth)`,
});

/** The pixels: consecutive threads read consecutive pixels of a row, all of them at the same channel and tap. */
const pixelOperand = (order: DepthOrder, { depth }: Tile): Operand => ({
  along: 'width',
  vector: (s, first, step) => /* wgsl */ `
let at${s} = pixelsOf(min(vec4u(${first}) + vec4u(0u, ${step}u, ${2 * step}u, ${3 * step}u), vec4u(p.n - 1u)));
let y${s} = vec4i(at${s}.y) * p.sourceStepY + p.sourceY0;
let x${s} = vec4i(at${s}.x) * p.sourceStepX + p.sourceX0;
let base${s} = vec4i(at${s}.image * p.sourceImage + item * p.sourceGroup) + y${s} * p.sourceW + x${s};`,
  block:
    order === 'taps'
      ? (s) => /* wgsl */ `
let ok${s} = inside(y${s} + tapDy, x${s} + tapDx);
let from${s} = base${s} + sourceTap;`
      : undefined,
  load: (s, kk) =>
    order === 'taps'
      ? `loadX(from${s} + i32(channel0 + ${kk}) * sourcePlane, ok${s} & vec4<bool>(channel0 + ${kk} < p.channels))`
      : `flatX(base${s}, y${s}, x${s}, blockTaps[${kk}], block * ${depth}u + ${kk} < flatDepth)`,
});

const inTaps = (depth: number) => ({
  start: /* wgsl */ `
  let sourcePlane = p.sourceH * p.sourceW;
  let taps = max(p.tapsY * p.tapsX, 1u);
  var channel0 = block / taps * ${depth}u;
  var tapY = block % taps / max(p.tapsX, 1u);
  var tapX = block % taps % max(p.tapsX, 1u);`,
  blockStart: /* wgsl */ `
  let tapDy = i32(tapY) * p.tapStepY;
  let tapDx = i32(tapX) * p.tapStepX;
  let sourceTap = tapDy * p.sourceW + tapDx;
  let weightTap = tapY * p.weightTapY + tapX * p.weightTapX;`,
  blockEnd: /* wgsl */ `
  tapX++;
  if (tapX == p.tapsX) {
    tapX = 0u;
    tapY++;
    if (tapY == p.tapsY) { tapY = 0u; channel0 += ${depth}u; }
  }`,
});

const flat = (depth: number) => ({
  start: /* wgsl */ `
  let flatDepth = p.channels * p.tapsY * p.tapsX;
  if (t < ${depth}u && block < end) { blockTaps[t] = tapOf(block * ${depth}u + t); }
  workgroupBarrier();`,
  prepareNext: `if (t < ${depth}u) { blockTaps[t] = tapOf((block + 1u) * ${depth}u + t); }`,
});

function gatherProduct(name: string, along: Operand['along'], order: DepthOrder, t: Tile): Product {
  return {
    name: `${name} ${order} ${t.rows}x${t.columns}x${t.depth}`,
    buffers: [
      { name: 'w', type: 'array<f32>', access: 'read' },
      { name: 'x', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
      { name: 'bias', type: 'array<f32>', access: 'read' },
    ],
    params: GATHER_FIELDS,
    functions: gatherFunctions(t, order),
    ...(order === 'taps' ? inTaps(t.depth) : flat(t.depth)),
    a: weightOperand(along, order, t),
    b: pixelOperand(order, t),
    column: (n) => `outputAt(${n}, item)`,
    row: (m) => `${m} * p.outPlane`,
    bias: { of: 'row', value: (m) => `bias[item * p.m + ${m}]` },
  };
}

const both = (name: string, along: Operand['along']) => ({
  taps: productKernels((t) => gatherProduct(name, along, 'taps', t)),
  flat: productKernels((t) => gatherProduct(name, along, 'flat', t)),
});

/** Kernels of the gathers, by pass and order of the depth. */
export const GATHER_KERNELS: Readonly<Record<'forward' | 'inputGrad', Readonly<Record<DepthOrder, (t: Tile) => Kernel>>>> = {
  forward: both('conv2d', 'depth'),
  inputGrad: both('conv2dInputGrad', 'width'),
};

const WEIGHT_FIELDS = [
  ['pixels', 'u32'],
  ['outPlane', 'u32'],
  ['outH', 'u32'],
  ['outW', 'u32'],
  ['outImage', 'u32'],
  ['outGroup', 'u32'],
  ['inImage', 'u32'],
  ['inGroup', 'u32'],
  ['inH', 'i32'],
  ['inW', 'i32'],
  ['strideY', 'i32'],
  ['strideX', 'i32'],
  ['padTop', 'i32'],
  ['padLeft', 'i32'],
  ['taps', 'u32'],
  ['tapsX', 'u32'],
  ['dilationY', 'i32'],
  ['dilationX', 'i32'],
] as const satisfies readonly ParamField[];

/** Returns the values of `WEIGHT_FIELDS`. */
export function weightValues(p: ConvParams): number[] {
  const [outPlane, inPlane] = [p.oh * p.ow, p.h * p.w];
  return [
    ...[p.n * outPlane, outPlane, p.oh, p.ow, p.o * outPlane, (p.o / p.groups) * outPlane],
    ...[p.c * inPlane, (p.c / p.groups) * inPlane, p.h, p.w],
    ...[p.strideH, p.strideW, p.padTop, p.padLeft, p.kh * p.kw, p.kw, p.dilationH, p.dilationW],
  ];
}

const weightFunctions = (t: Tile) => /* wgsl */ `
// Offset from the first tap of the first channel, and vertical and horizontal distance from the first tap, of each column of the tile.
var<workgroup> columnTaps: array<vec4i, ${t.columns}>;
fn columnTap(n: u32) -> vec4i {
  let channel = n / p.taps;
  let rest = n - channel * p.taps;
  let row = rest / p.tapsX;
  let dy = i32(row) * p.dilationY;
  let dx = i32(rest - row * p.tapsX) * p.dilationX;
  return vec4i((i32(channel) * p.inH + dy) * p.inW + dx, dy, dx, 0);
}
fn loadY(first: u32, ok: bool) -> vec4f {
  let at = select(0u, first, ok);
  let step = ${t.rows / 4}u * p.outPlane;
  return select(vec4f(), vec4f(dy[at], dy[at + step], dy[at + 2u * step], dy[at + 3u * step]), ok);
}
// Without branches, so that a device can issue all reads at once; outside the image it reads element 0.
fn oneX(tap: vec4i, pixel: vec3i, ok: bool) -> f32 {
  let place = pixel + tap.xyz;
  let inside = ok & (u32(place.y) < u32(p.inH)) & (u32(place.z) < u32(p.inW));
  return select(0.0, x[select(0, place.x, inside)], inside);
}
fn loadX(column: u32, pixel: vec3i, ok: bool) -> vec4f {
  return vec4f(
    oneX(columnTaps[column], pixel, ok),
    oneX(columnTaps[column + ${t.columns / 4}u], pixel, ok),
    oneX(columnTaps[column + ${t.columns / 2}u], pixel, ok),
    oneX(columnTaps[column + ${(3 * t.columns) / 4}u], pixel, ok));
}
`;

/** Consecutive threads read consecutive pixels. Each thread has one pixel per block, and steps from one to the next without divisions. */
function weightProduct(t: Tile): Product {
  return {
    name: `conv2dWeightGrad ${t.rows}x${t.columns}x${t.depth}`,
    buffers: [
      { name: 'dy', type: 'array<f32>', access: 'read' },
      { name: 'x', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    params: WEIGHT_FIELDS,
    functions: weightFunctions(t),
    start: /* wgsl */ `
  for (var column = t; column < ${t.columns}u; column += ${threadsOf(t)}u) { columnTaps[column] = columnTap(min(n0 + column, p.n - 1u)); }
  workgroupBarrier();
  let pixel = block * ${t.depth}u + t % ${t.depth}u;
  var image = pixel / p.outPlane;
  var outRow = pixel % p.outPlane / p.outW;
  var outColumn = pixel % p.outPlane % p.outW;`,
    blockStart: /* wgsl */ `
  let ok = block * ${t.depth}u + t % ${t.depth}u < p.pixels;
  let inY = i32(outRow) * p.strideY - p.padTop;
  let inX = i32(outColumn) * p.strideX - p.padLeft;
  let dyAt = image * p.outImage + item * p.outGroup + outRow * p.outW + outColumn;
  let xAt = vec3i(i32(image * p.inImage + item * p.inGroup) + inY * p.inW + inX, inY, inX);`,
    blockEnd: /* wgsl */ `
  outColumn += ${t.depth}u;
  while (outColumn >= p.outW) { outColumn -= p.outW; outRow++; }
  while (outRow >= p.outH) { outRow -= p.outH; image++; }`,
    a: {
      along: 'depth',
      vector: (s, first) => `let dy${s} = ${first} * p.outPlane;`,
      load: (s) => `loadY(dyAt + dy${s}, ok)`,
    },
    b: {
      along: 'depth',
      vector: (s, first) => `let column${s} = ${first} - n0;`,
      load: (s) => `loadX(column${s}, xAt, ok)`,
    },
    column: (n) => `item * p.m * p.n + ${n}`,
    row: (m) => `${m} * p.n`,
    bias: null,
  };
}

/** Kernels of the weight gradient. */
export const WEIGHT_KERNELS: (t: Tile) => Kernel = productKernels(weightProduct);
