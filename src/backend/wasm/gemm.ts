/** How matrix products are cut into units of work, and which micro-kernel computes them. */
import type { WasmEngine } from './runtime/engine.js';

/** Rows of B in a packed block: `KC` of assembly/gemm/tiles.ts. */
export const KC = 256;

/** Columns of C that a unit computes at most: the packed block of B and its tiles of C share the second cache with A. */
export const UNIT_COLUMNS = 192;
/** Rows of C that a unit computes at most and, when rows are split to keep all threads busy, at least: each unit packs B anew. */
const UNIT_ROWS_MOST = 768;
const UNIT_ROWS_LEAST = 48;
/** With so many rows, packing B for each unit costs next to nothing. */
const UNIT_ROWS_TALL = 128;
/** Less work than this is not worth waking a thread for, or a chunk of its own, in floating-point operations. */
const PARALLEL_FLOP = 5e6;
const CHUNK_FLOP = 2e6;
/** Numbers in a packed block of B at most: `BLOCK` of assembly/gemm/gemm.ts. */
const BLOCK = KC * 128;
/** What moving a number costs, in such operations. */
export const MOVE_FLOP = 32;

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
export function splitProduct(
  engine: WasmEngine,
  rows: number,
  columns: number,
  k: number,
  times = 1,
  mostRows = UNIT_ROWS_MOST,
  mostColumns = UNIT_COLUMNS,
): Split {
  const flop = 2 * rows * columns * k * times;
  const wanted = engine.threads > 1 && flop >= PARALLEL_FLOP ? 4 * engine.threads : 1;
  let across = Math.ceil(columns / mostColumns);
  let down = Math.ceil(rows / mostRows);
  const few = () => across * down * times < wanted;
  // Tall units first: whole tiles of columns leave an uneven rest more often than rows do.
  while (few() && rows / (down + 1) >= UNIT_ROWS_TALL) down++;
  if (few()) across = Math.min(Math.ceil(wanted / (down * times)), Math.max(across, Math.ceil(columns / 96)));
  while (few() && rows / (down + 1) >= UNIT_ROWS_LEAST) down++;
  if (few()) across = Math.min(2 * wanted, Math.max(across, Math.ceil(columns / 16)));
  // Whole tiles of 16 columns, and of 2 and 6 rows.
  const unitColumns = roundUp(columns / across, 16);
  const unitRows = down === 1 ? rows : roundUp(rows / down, 12);
  const units = Math.ceil(columns / unitColumns) * Math.ceil(rows / unitRows) * times;
  return { unitRows, unitColumns, units, grain: grainOf(units, flop) };
}

/** Scratch that the kernel `gemm` takes for units of so many columns, in bytes: a block of B, and its edge. */
export const gemmScratch = (unitColumns: number) => (Math.min(KC * unitColumns, BLOCK) + 2 * Math.min(unitColumns, BLOCK) + 64 * 16) * 4;

/** The micro-kernels, by the names and numbers of assembly/gemm/tiles.ts. */
export const GEMM_KERNELS = ['f32_gemm_2x16', 'f32_gemm_fma_2x16', 'f32_gemm_fma_6x8'] as const;
/** They are timed once an engine's products have come to so much work. */
const WORTH_TIMING_FLOP = 300e6;
/** How long each runs before it is timed, for the runtime's optimising compiler to be done with it; and how often it is timed. */
const WARM_UP_MS = 10;
const ROUNDS = 5;

const chosen = new WeakMap<WasmEngine, number>();
const doneFlop = new WeakMap<WasmEngine, number>();

/**
 * The micro-kernel that this engine's products use: the first argument of every kernel that computes one. In strict mode it is
 * mul + add, which rounds the same everywhere. In fast mode, the others are timed as soon as it pays: which one is the
 * fastest depends on how many registers the runtime's compiler makes do with.
 */
export function gemmKernel(engine: WasmEngine, flop = 0): number {
  const known = chosen.get(engine);
  if (known !== undefined) return known;
  if (engine.mode === 'strict' || engine.kernels.hasFma() === 0) return 0;
  const done = (doneFlop.get(engine) ?? 0) + flop;
  doneFlop.set(engine, done);
  if (done < WORTH_TIMING_FLOP) return 0;
  const fastest = chooseGemmKernel(engine);
  chosen.set(engine, fastest);
  return fastest;
}

export function gemmKernelName(engine: WasmEngine): string {
  return GEMM_KERNELS[gemmKernel(engine)];
}

/** Takes one micro-kernel by its number, whatever its speed: tests prove each of them where timing would choose but one. */
export function useGemmKernel(engine: WasmEngine, kernel: number): void {
  chosen.set(engine, kernel);
}

/** Times the micro-kernels on a product that fits in the first caches; about 40 ms in all. */
function chooseGemmKernel(engine: WasmEngine): number {
  const [m, n, k] = [48, 96, KC];
  engine.reserveScratch(gemmScratch(n));
  return engine.temporary((m * k + k * n + m * n) * 4, (a) => {
    const b = a + m * k * 4;
    const c = b + k * n * 4;
    engine.kernels.zeroFill(a, m * k + k * n);
    const run = (kernel: number) => engine.kernels.gemm(kernel, c, a, b, m, n, k, 0, 0, 0, m, n, 0, 1);
    const best = GEMM_KERNELS.map((_, kernel) => {
      const end = performance.now() + WARM_UP_MS;
      while (performance.now() < end) run(kernel);
      return Number.POSITIVE_INFINITY;
    });
    for (let round = 0; round < ROUNDS; round++) {
      for (let kernel = 0; kernel < GEMM_KERNELS.length; kernel++) {
        const start = performance.now();
        for (let i = 0; i < 8; i++) run(kernel);
        best[kernel] = Math.min(best[kernel], performance.now() - start);
      }
    }
    return best.indexOf(Math.min(...best));
  });
}
