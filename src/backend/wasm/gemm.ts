/** How matrix products are cut into units of work, and which micro-kernel computes them. */
import type { WasmEngine } from './engine.js';

/** Rows of B in a packed block: `KC` of assembly/gemm/tiles.ts. */
export const KC = 256;

/** Columns of C that a unit computes at most: the packed block of B and its tiles of C share the second cache with A. */
const UNIT_COLUMNS = 192;
/** Rows of C that a unit computes at most and, when rows are split to keep all threads busy, at least: each unit packs B anew. */
const UNIT_ROWS_MOST = 768;
const UNIT_ROWS_LEAST = 48;
/** Less work than this is not worth waking a thread for, or a chunk of its own, in floating-point operations. */
const PARALLEL_FLOP = 10e6;
const CHUNK_FLOP = 2e6;

export const roundUp = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;

export interface Split {
  unitRows: number;
  /** A multiple of 16. */
  unitColumns: number;
  units: number;
  grain: number;
}

/** The number of units that one thread takes at a time. */
export function grainOf(units: number, flop: number): number {
  if (flop < PARALLEL_FLOP) return units;
  return Math.max(1, Math.round((units * CHUNK_FLOP) / flop));
}

/**
 * Cuts `times` products C [rows, columns] over k into units. How it is cut does not show in the result, since every
 * number of C is summed in the same order; so it may depend on the number of threads.
 */
export function splitProduct(engine: WasmEngine, rows: number, columns: number, k: number, times = 1, mostRows = UNIT_ROWS_MOST): Split {
  const flop = 2 * rows * columns * k * times;
  const wanted = engine.threads > 1 && flop >= PARALLEL_FLOP ? 4 * engine.threads : 1;
  let across = Math.ceil(columns / UNIT_COLUMNS);
  let down = Math.ceil(rows / mostRows);
  if (across * down * times < wanted) across = Math.min(Math.ceil(wanted / (down * times)), Math.max(across, Math.ceil(columns / 96)));
  while (across * down * times < wanted && rows / (down + 1) >= UNIT_ROWS_LEAST) down++;
  // Whole tiles of 16 columns, and of 2 and 6 rows.
  const unitColumns = roundUp(columns / across, 16);
  const unitRows = down === 1 ? rows : roundUp(rows / down, 12);
  const units = Math.ceil(columns / unitColumns) * Math.ceil(rows / unitRows) * times;
  return { unitRows, unitColumns, units, grain: grainOf(units, flop) };
}

/** The micro-kernels, by the names and numbers of assembly/gemm/tiles.ts. */
const KERNELS = ['f32_gemm_2x16', 'f32_gemm_fma_2x16', 'f32_gemm_fma_6x8'] as const;

const chosen = new WeakMap<WasmEngine, number>();

/** The micro-kernel that this engine's products use, for the kernels' first argument. */
export function gemmKernel(engine: WasmEngine): number {
  return chosen.get(engine) ?? 0;
}

export function gemmKernelName(engine: WasmEngine): string {
  return KERNELS[gemmKernel(engine)];
}

export function useGemmKernel(engine: WasmEngine, kernel: number): void {
  chosen.set(engine, kernel);
}
