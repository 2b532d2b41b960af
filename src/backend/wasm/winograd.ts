/**
 * Winograd's convolution and its gradients: prepares the images for the kernels of assembly/winograd.ts and divides the work into units.
 * Everything that affects the order of summation depends on the shape alone.
 */
import type { Storage } from '../backend.js';
import type { ConvParams } from '../params.js';
import { gemmKernel, grainOf, MOVE_FLOP, roundUp } from './gemm.js';
import type { WasmEngine } from './runtime/engine.js';

/** Maximum elements of transformed tiles and of products per unit: larger units read the filters less often, smaller ones fit the cache. */
const TILE_NUMBERS = 768 * 1024;
const PRODUCT_NUMBERS = 128 * 1024;
/** Maximum tiles per unit. */
const UNIT_COLUMNS = 96;
/** Approximate size of the groups of images that are prepared together. */
const IMAGE_BYTES = 16 * 2 ** 20;
/** Scratch memory independent of the shape, and per tile position: see assembly/winograd.ts. */
const FIXED_SCRATCH = 2048 + 256;
const PLACE_BYTES = 16;
/** Maximum tiles per block of the weight gradient's sums. */
const SUMMED_TILES = 512;
/** Rows per unit of `winogradWeights`. */
const WEIGHT_ROWS = 8;

/** A phase of a strided convolution: the row and column of its first tap. */
interface Phase {
  a: number;
  b: number;
}

const ONE_PHASE: readonly Phase[] = [{ a: 0, b: 0 }];
/** In the order of the kernel `phases2d`: phases with a = 0, and phases with b = 0, are adjacent. */
const FOUR_PHASES: readonly Phase[] = [
  { a: 0, b: 1 },
  { a: 0, b: 0 },
  { a: 1, b: 0 },
  { a: 1, b: 1 },
];

const phasesOf = (p: ConvParams) => (p.strideH === 1 ? ONE_PHASE : FOUR_PHASES);

/** Layout of the images in memory, and number of tiles. */
interface Layout {
  tile: 2 | 4;
  tilesH: number;
  tilesW: number;
  depth: number;
  rows: number;
  columns: number;
}

function layoutOf(tile: 2 | 4, outH: number, outW: number, depth: number): Layout {
  const tilesH = Math.ceil(outH / tile);
  const tilesW = Math.ceil(outW / tile);
  return { tile, tilesH, tilesW, depth, rows: tile * tilesH + 2, columns: tile * tilesW + 2 };
}

/** Returns the number of images per group, which bounds the size of their copy. */
const groupOf = (n: number, bytesOfOne: number) => Math.max(1, Math.min(n, Math.floor(IMAGE_BYTES / bytesOfOne)));

/** Returns the index in the filter of each of the 3×3 taps of a phase, or -1. `turned`: flipped, for the input gradient. */
function tapsOf(p: ConvParams, { a, b }: Phase, turned: boolean): number[] {
  return Array.from({ length: 9 }, (_, index) => {
    const [i, j] = [Math.floor(index / 3), index % 3].map((place) => (turned ? 2 - place : place));
    const [row, column] = [p.strideH * i + a, p.strideW * j + b];
    return row < p.kh && column < p.kw ? row * p.kw + column : -1;
  });
}

/** Returns whether product (i, j) of a tile is always zero, as at one end of a phase with two taps along an axis. */
function isZero(p: ConvParams, { a, b }: Phase, i: number, j: number, end: number): boolean {
  const three = (kernel: number, first: number) => Math.ceil((kernel - first) / p.strideH) === 3;
  return (i === end && !three(p.kh, a)) || (j === end && !three(p.kw, b));
}

/** Returns, for each product of a tile, the range [begin, end) of phases where it is not zero, multiplied by `step`. */
function partsOf(p: ConvParams, phases: readonly Phase[], side: number, end: number, step: number): number[] {
  const parts: number[] = [];
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      const used = phases.map((phase, index) => (isZero(p, phase, i, j, end) ? -1 : index)).filter((index) => index >= 0);
      parts.push((used[0] ?? 0) * step, used.length === 0 ? 0 : (used[used.length - 1] + 1) * step);
    }
  }
  return parts;
}

/** Copies a group of images to the layout, with padding and divided into phases. */
function layOut(engine: WasmEngine, to: number, x: number, p: ConvParams, n: number, l: Layout): void {
  const planes = n * l.depth;
  const grain = grainOf(planes, MOVE_FLOP * planes * l.rows * l.columns);
  if (p.strideH === 1) engine.parallel('pad2d', planes, grain, to, x, p.h, p.w, l.rows, l.columns, p.padTop, p.padLeft);
  else engine.parallel('phases2d', planes, grain, to, x, p.c, p.h, p.w, l.rows, l.columns, p.padTop, p.padLeft);
}

/** The output of a product. */
interface Output {
  h: number;
  w: number;
  stride: number;
  /** Channels. */
  rows: number;
  /** Row and column of each phase's first pixel. */
  places: readonly (readonly [number, number])[];
  /** For each phase, the range of the depth that each product covers. */
  parts: readonly number[];
}

/** Transformed weights: [(tile + 2)², phases · rows, depth]. */
interface Weights {
  planeBytes: number;
  bytes: number;
  compute(to: number): void;
}

function weightsOf(engine: WasmEngine, w: number, p: ConvParams, tile: 2 | 4, turned: boolean): Weights {
  const phases = phasesOf(p);
  const taps = p.kh * p.kw;
  // The extra 64 bytes keep the same element of all planes from mapping to the same cache sets.
  const planeBytes = roundUp(phases.length * p.o * p.c * 4, 64) + 64;
  const [rows, depth] = turned ? [p.c, p.o] : [p.o, p.c];
  const [rowStep, depthStep] = turned ? [taps, p.c * taps] : [p.c * taps, taps];
  const ld = turned ? depth : phases.length * depth;
  const units = Math.ceil(rows / WEIGHT_ROWS);
  const grain = grainOf(units, MOVE_FLOP * (tile + 2) ** 2 * rows * depth);
  return {
    planeBytes,
    bytes: (tile + 2) ** 2 * planeBytes,
    compute: (to) =>
      phases.forEach((phase, index) => {
        const at = to + index * (turned ? rows * depth : depth) * 4;
        const places = engine.parameters(tapsOf(p, phase, turned));
        engine.parallel('winogradWeights', units, grain, at, planeBytes, ld, w, rowStep, depthStep, tile, rows, depth, places);
      }),
  };
}

/** Divides the tiles of `n` images into units. The division does not affect the result. */
function cut(engine: WasmEngine, l: Layout, n: number, out: Output) {
  const square = (l.tile + 2) ** 2;
  const tiles = n * l.tilesH * l.tilesW;
  const most = Math.min(UNIT_COLUMNS, Math.max(16, Math.floor(TILE_NUMBERS / (square * l.depth * 16)) * 16));
  const unitColumns = roundUp(tiles / Math.ceil(tiles / most), 16);
  const across = Math.ceil(tiles / unitColumns);
  const mostRows = Math.max(12, Math.floor(PRODUCT_NUMBERS / (square * unitColumns * 12)) * 12);
  const blockRows = Math.min(out.rows, roundUp(out.rows / Math.ceil(out.rows / mostRows), 12));
  const blocks = out.places.length * Math.ceil(out.rows / blockRows);
  // Each unit transforms its tiles again, so rows are divided only as far as the threads need it.
  const down = engine.threads === 1 ? 1 : Math.min(blocks, Math.ceil((3 * engine.threads) / across));
  const unitBlocks = Math.ceil(blocks / down);
  return { blockRows, unitBlocks, unitColumns, units: across * Math.ceil(blocks / unitBlocks) };
}

type Cut = ReturnType<typeof cut>;

/** Reserves scratch memory for the positions of `tiles` tiles, and `numbers` elements in each plane. */
function reserve(engine: WasmEngine, l: Layout, tiles: number, numbers: number): void {
  engine.reserveScratch(FIXED_SCRATCH + tiles * PLACE_BYTES + (l.tile + 2) ** 2 * (numbers * 4 + 128));
}

/** `WinogradShape` of assembly/winograd.ts. */
function describe(
  engine: WasmEngine,
  l: Layout,
  n: number,
  out: Pick<Output, 'h' | 'w' | 'stride' | 'rows'>,
  phases: number,
  c: Cut,
): number {
  const planes = [l.depth, l.columns, l.rows * l.columns];
  const outputs = [out.rows, phases, out.h, out.w, out.stride];
  return engine.parameters([l.tile, n, l.tilesH, l.tilesW, ...planes, ...outputs, c.blockRows, c.unitBlocks, c.unitColumns]);
}

/** Computes the products for `n` prepared images. */
function multiply(
  engine: WasmEngine,
  y: number,
  images: number,
  weights: number,
  planeBytes: number,
  bias: number,
  relu: boolean,
  l: Layout,
  n: number,
  out: Output,
): void {
  const c = cut(engine, l, n, out);
  reserve(engine, l, c.unitColumns, (l.depth + c.blockRows) * c.unitColumns);
  const flop = 2 * (l.tile + 2) ** 2 * out.places.length * out.rows * l.depth * n * l.tilesH * l.tilesW;
  const grain = grainOf(c.units, flop);
  const [kernel, flag] = [gemmKernel(engine, flop), relu ? 1 : 0];
  const shape = describe(engine, l, n, out, out.places.length, c);
  const table = engine.parameters([...out.places.flat(), ...out.parts]);
  engine.parallel('winograd', c.units, grain, kernel, y, images, weights, planeBytes, bias, flag, shape, table);
}

/**
 * y = conv(x, w) + b, then ReLU if `relu`. With `keep`, the transformed weights are cached until the weights change.
 */
export function winogradForward(
  engine: WasmEngine,
  tile: 2 | 4,
  y: number,
  x: number,
  w: Storage,
  b: number,
  relu: boolean,
  p: ConvParams,
  keep: boolean,
): void {
  const phases = phasesOf(p);
  const l = layoutOf(tile, p.oh, p.ow, phases.length * p.c);
  const parts = partsOf(p, phases, tile + 2, tile + 1, p.c);
  const out: Output = { h: p.oh, w: p.ow, stride: 1, rows: p.o, places: [[0, 0]], parts };
  const imageBytes = l.depth * l.rows * l.columns * 4;
  const group = groupOf(p.n, imageBytes);
  const { planeBytes, bytes, compute } = weightsOf(engine, engine.readingPointer(w), p, tile, false);
  // Allocates all other memory before looking up the cached weights, since an allocation may evict them.
  const c = cut(engine, l, group, out);
  reserve(engine, l, c.unitColumns, (l.depth + c.blockRows) * c.unitColumns);
  engine.temporary(group * imageBytes, (images) => {
    const run = (weights: number) => {
      for (let first = 0; first < p.n; first += group) {
        const n = Math.min(group, p.n - first);
        layOut(engine, images, x + first * p.c * p.h * p.w * 4, p, n, l);
        multiply(engine, y + first * p.o * p.oh * p.ow * 4, images, weights, planeBytes, b, relu, l, n, out);
      }
    };
    const kept = keep ? engine.derived(w, `winograd${tile} ${p.strideH}`, bytes, compute) : null;
    if (kept !== null) run(kept);
    else
      engine.temporary(bytes, (weights) => {
        compute(weights);
        run(weights);
      });
  });
}

/** dx: the convolution of dy with the flipped filters; at stride 2, with four filters, each for a quarter of the pixels. */
export function winogradInputGrad(engine: WasmEngine, dx: number, dy: number, w: number, p: ConvParams): void {
  const phases = phasesOf(p);
  const s = p.strideH;
  // First pixel that any phase needs, in strides from the corner of the padded image.
  const [firstH, firstW] = [Math.floor(p.padTop / s), Math.floor(p.padLeft / s)];
  const countH = Math.floor((p.padTop + p.h - 1) / s) - firstH + 1;
  const countW = Math.floor((p.padLeft + p.w - 1) / s) - firstW + 1;
  const l = layoutOf(2, countH, countW, p.o);
  const out: Output = {
    h: p.h,
    w: p.w,
    stride: s,
    rows: p.c,
    places: phases.map(({ a, b }) => [s * firstH + a - p.padTop, s * firstW + b - p.padLeft]),
    parts: phases.flatMap((phase) => partsOf(p, [phase], 4, 0, p.o)),
  };
  const imageBytes = p.o * l.rows * l.columns * 4;
  const group = groupOf(p.n, imageBytes);
  const { planeBytes, bytes, compute } = weightsOf(engine, w, p, 2, true);
  engine.temporary(group * imageBytes, (images) =>
    engine.temporary(bytes, (weights) => {
      compute(weights);
      for (let first = 0; first < p.n; first += group) {
        const n = Math.min(group, p.n - first);
        const planes = n * p.o;
        const grain = grainOf(planes, MOVE_FLOP * planes * l.rows * l.columns);
        const from = dy + first * p.o * p.oh * p.ow * 4;
        engine.parallel('pad2d', planes, grain, images, from, p.oh, p.ow, l.rows, l.columns, 2 - firstH, 2 - firstW);
        multiply(engine, dx + first * p.c * p.h * p.w * 4, images, weights, planeBytes, 0, false, l, n, out);
      }
    }),
  );
}

/** dw: summed over blocks of tiles, one group of images after another. */
export function winogradWeightGrad(engine: WasmEngine, dw: number, x: number, dy: number, p: ConvParams): void {
  const phases = phasesOf(p);
  const l = layoutOf(2, p.oh, p.ow, phases.length * p.c);
  const [evenH, evenW] = [2 * l.tilesH, 2 * l.tilesW];
  const imageBytes = l.depth * l.rows * l.columns * 4;
  const signalBytes = p.o * evenH * evenW * 4;
  const group = groupOf(p.n, imageBytes + signalBytes);
  const padded = roundUp(p.c, 8);
  const ldm = phases.length * padded;
  const sumPlane = roundUp(p.o * ldm * 4, 64) + 64;
  const room = blockOf(group * l.tilesH * l.tilesW);
  const signalPlane = p.o * room * 4 + 64;
  const c = cutChannels(engine, p.c, phases.length, room);
  reserve(engine, l, room, room * c.unitColumns);
  const parts = partsOf(p, phases, 4, 3, 1);
  const run = (images: number, bordered: number, signal: number, sums: number) => {
    let accumulate = 0;
    for (let first = 0; first < p.n; first += group) {
      const n = Math.min(group, p.n - first);
      layOut(engine, images, x + first * p.c * p.h * p.w * 4, p, n, l);
      const planes = n * p.o;
      const from = dy + first * p.o * p.oh * p.ow * 4;
      const grain = grainOf(planes, MOVE_FLOP * planes * evenH * evenW);
      engine.parallel('pad2d', planes, grain, bordered, from, p.oh, p.ow, evenH, evenW, 0, 0);
      const tiles = n * l.tilesH * l.tilesW;
      const signalLayout = { ...l, depth: p.o, rows: evenH, columns: evenW };
      const plain = { h: 0, w: 0, stride: 1, rows: p.o };
      for (let tile = 0; tile < tiles; tile += room) {
        const count = Math.min(room, tiles - tile);
        const signals = describe(engine, signalLayout, n, plain, 1, c);
        const signalGrain = grainOf(p.o, MOVE_FLOP * 16 * p.o * count);
        engine.parallel('winogradSignal', p.o, signalGrain, signal, signalPlane, room, bordered, signals, tile, count);
        const flop = 2 * 16 * p.o * l.depth * count;
        const [kernel, shape, table] = [
          gemmKernel(engine, flop),
          describe(engine, l, n, plain, phases.length, c),
          engine.parameters(parts),
        ];
        const [grain, from] = [grainOf(c.units, flop), [sums, sumPlane, signal, signalPlane, room] as const];
        engine.parallel('winogradWeightGrad', c.units, grain, kernel, ...from, images, shape, table, tile, count, accumulate);
        accumulate = 1;
      }
    }
    const taps = p.kh * p.kw;
    phases.forEach((phase, index) => {
      const places = engine.parameters(tapsOf(p, phase, false));
      const grain = grainOf(p.o, MOVE_FLOP * 16 * p.o * p.c);
      engine.parallel('winogradFilterGrad', p.o, grain, dw, sums + index * padded * 4, sumPlane, ldm, p.c, taps, places);
    });
  };
  engine.temporary(group * imageBytes, (images) =>
    engine.temporary(group * signalBytes, (bordered) =>
      engine.temporary(16 * signalPlane, (signal) => engine.temporary(16 * sumPlane, (sums) => run(images, bordered, signal, sums))),
    ),
  );
}

/** Returns the number of tiles per block of the weight gradient: equal blocks, the last of which may be shorter. It affects rounding. */
function blockOf(tiles: number): number {
  return roundUp(tiles / Math.ceil(tiles / SUMMED_TILES), 4);
}

/** Divides the columns of the weight gradient (channels within phases) into units. The division does not affect the result. */
function cutChannels(engine: WasmEngine, channels: number, phases: number, room: number): Cut {
  const most = Math.max(16, Math.floor(TILE_NUMBERS / (16 * room * 16)) * 16);
  const wanted = engine.threads === 1 ? 1 : Math.ceil((4 * engine.threads) / phases);
  const unitColumns = Math.min(most, roundUp(channels / wanted, 16));
  return { blockRows: 0, unitBlocks: 0, unitColumns, units: phases * Math.ceil(channels / unitColumns) };
}
