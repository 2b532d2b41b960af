/**
 * Shapes of the tiles of a matrix product, and the choice among them. The tile and the number of slices decide the order of summation, so
 * both are pure functions of the shape and the adapter.
 */

import type { DeviceInfo } from '../../backend.js';

/** How a matrix product is divided: one workgroup computes a tile, and each of its threads a part of the tile. */
export interface Tile {
  readonly name: TileName;
  /** Rows and columns of the tile of one workgroup. */
  readonly rows: number;
  readonly columns: number;
  /** Number of products per element between two barriers: the depth of the panels in workgroup memory. */
  readonly depth: number;
  /** Rows and columns per thread. */
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Number of steps along the depth that are written out in the shader. */
  readonly unroll: number;
}

export type TileName = 'software' | 'small' | 'wide' | 'medium' | 'large' | 'huge';

/** The properties of a device on which the choices depend. */
export interface Adapter {
  readonly software: boolean;
  /** Threads per workgroup. */
  readonly maxInvocations: number;
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupBytes: number;
  /** Bytes per buffer. */
  readonly maxBufferBytes: number;
  /** See `flopPerByteOf`. */
  readonly flopPerByte: number;
}

/**
 * Arithmetic that a GPU does in the time in which it moves one byte, by its architecture as WebGPU names it: half the peak of the data sheet
 * of a large card, since products reach about that, divided by the bandwidth. Not measured.
 */
const FLOP_PER_BYTE: Readonly<Record<string, number>> = { turing: 11, pascal: 12, ampere: 19, lovelace: 40, blackwell: 30 };
/** The same for other architectures, of Apple, AMD and Intel too. */
const OTHER_FLOP_PER_BYTE = 20;

/** Returns the arithmetic that a device is expected to do in the time in which it moves one byte. */
export const flopPerByteOf = ({ architecture }: Pick<DeviceInfo, 'architecture'>): number =>
  Object.hasOwn(FLOP_PER_BYTE, architecture) ? FLOP_PER_BYTE[architecture] : OTHER_FLOP_PER_BYTE;

const tile = (
  name: TileName,
  [rows, columns, depth]: readonly [number, number, number],
  [threadRows, threadColumns]: readonly [number, number],
  unroll: number,
): Tile => ({ name, rows, columns, depth, threadRows, threadColumns, unroll });

/**
 * The tiles. All satisfy `isValidTile`. `software` has 32 threads, since SwiftShader runs barriers as switches between coroutines. Measured
 * there: a 128³ product takes 12 ms with it and 11 ms with 16 threads of 8×8 results, which takes 2.6 s instead of 1.0 s to compile. The
 * others are chosen by counting instructions and have not been measured on a GPU: with 8×8 results per thread, a step along the depth takes
 * 64 multiply-adds for 4 reads of 16 bytes from workgroup memory. The depth of `huge` is 8, so that its panels take 8 KiB.
 */
export const TILES: Readonly<Record<TileName, Tile>> = {
  software: tile('software', [32, 32, 8], [8, 4], 1),
  small: tile('small', [32, 32, 16], [4, 4], 16),
  wide: tile('wide', [32, 128, 16], [8, 8], 16),
  medium: tile('medium', [64, 64, 16], [8, 8], 16),
  large: tile('large', [128, 64, 16], [8, 8], 16),
  huge: tile('huge', [128, 128, 8], [8, 8], 8),
};

/** Returns the number of threads of a workgroup. */
export const threadsOf = (t: Tile): number => (t.rows / t.threadRows) * (t.columns / t.threadColumns);

/** Vectors of 4 that separate the steps of a panel in workgroup memory, beyond its rows: with one, column accesses meet different banks. */
export const PANEL_PADDING = 1;

/** Returns the bytes of workgroup memory of both panels, and of a table with one entry of 16 bytes per column. */
export const workgroupBytes = (t: Tile): number => 16 * (t.depth * (t.rows / 4 + t.columns / 4 + 2 * PANEL_PADDING) + t.columns);

/** Returns whether the threads of a tile fill both panels without a remainder, each thread always the same columns or depths. */
export function isValidTile(t: Tile): boolean {
  const threads = threadsOf(t);
  const fills = (width: number) => threads % (width / 4) === 0 && (t.depth * width) % (4 * threads) === 0;
  return fills(t.rows) && fills(t.columns) && threads % t.depth === 0 && t.depth % t.unroll === 0;
}

/** Size of a matrix product: `items` products of [rows, depth] with [depth, columns]. */
export interface ProductShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly items: number;
  /** Elements of the output of which this product is a part. Default: rows · columns · items. */
  readonly outSize?: number;
}

/** The chosen division of a product. */
export interface ProductPlan {
  readonly tile: Tile;
  /** Number of slices into which the depth is cut; each gives a partial sum, and a second pass adds them in order. */
  readonly slices: number;
}

/** Chooses the division of a product. */
export type PlanProduct = (shape: ProductShape, adapter: Adapter) => ProductPlan;

/** Workgroups that keep a large GPU busy: about three on each of 128 cores. */
const WANTED_WORKGROUPS = 384;
/** Minimum depth of a slice, so that writing and adding partial sums costs little beside the product. */
const LEAST_SLICE = 192;
const MOST_SLICES = 64;
/** Maximum bytes of partial sums. */
const MOST_PARTIAL_BYTES = 2 ** 28;

/** Estimated arithmetic throughput of each tile relative to `huge`, from counting instructions. */
const THROUGHPUT: Readonly<Record<TileName, number>> = { software: 0.5, small: 0.55, wide: 0.8, medium: 0.85, large: 0.95, huge: 1 };
/** Cost of partial sums: written and read once per slice, in units of one multiply-add of `huge`. */
const SLICE_COST = 24;

/** Returns the number of workgroups without slices. */
export const tilesOf = (t: Tile, { rows, columns, items }: ProductShape): number =>
  Math.ceil(rows / t.rows) * Math.ceil(columns / t.columns) * items;

/** Returns the number of slices: enough for `WANTED_WORKGROUPS`, within the limits; 1 on a software device. */
export function slicesOf(t: Tile, shape: ProductShape, adapter: Adapter): number {
  if (adapter.software) return 1;
  const wanted = Math.ceil(WANTED_WORKGROUPS / Math.max(tilesOf(t, shape), 1));
  const bytes = 4 * (shape.outSize ?? shape.rows * shape.columns * shape.items);
  const fitting = Math.floor(Math.min(MOST_PARTIAL_BYTES, adapter.maxBufferBytes) / Math.max(bytes, 1));
  return Math.max(1, Math.min(wanted, MOST_SLICES, fitting, Math.floor(shape.depth / LEAST_SLICE)));
}

const fits = (t: Tile, adapter: Adapter) => threadsOf(t) <= adapter.maxInvocations && workgroupBytes(t) <= adapter.maxWorkgroupBytes;

/** Returns the estimated time of a tile: the padded arithmetic, divided by throughput and by the share of the GPU that is busy. */
function estimatedTime(t: Tile, shape: ProductShape, adapter: Adapter): number {
  const tiles = tilesOf(t, shape);
  const slices = slicesOf(t, shape, adapter);
  const busy = Math.min(1, (tiles * slices) / WANTED_WORKGROUPS);
  const padded = tiles * t.rows * t.columns;
  return (padded * shape.depth) / (THROUGHPUT[t.name] * busy) + (slices > 1 ? slices * padded * SLICE_COST : 0);
}

/** Returns the tile and the number of slices for a shape on an adapter; a pure function. */
export const planProduct: PlanProduct = (shape, adapter) => {
  if (adapter.software) return { tile: TILES.software, slices: 1 };
  const candidates = [TILES.huge, TILES.large, TILES.medium, TILES.wide, TILES.small].filter((t) => fits(t, adapter));
  if (candidates.length === 0) return { tile: TILES.software, slices: slicesOf(TILES.software, shape, adapter) };
  let best = candidates[0];
  for (const t of candidates) if (estimatedTime(t, shape, adapter) < estimatedTime(best, shape, adapter)) best = t;
  return { tile: best, slices: slicesOf(best, shape, adapter) };
};
