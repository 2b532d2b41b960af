/** Division of matrix products into units of work, and choice of the micro-kernel. */
import type { WasmEngine } from './runtime/engine.js';

/** Rows of B in a packed block: `KC` of assembly/gemm/tiles.ts. */
export const KC = 256;

/** Maximum columns of C per unit, so that the packed block of B, tiles of C and A fit into the second-level cache. */
export const UNIT_COLUMNS = 192;
/** Maximum rows of C per unit, and minimum when rows are divided among threads, since each unit packs B again. */
const UNIT_ROWS_MOST = 768;
const UNIT_ROWS_LEAST = 48;
/** From this number of rows on, the cost of packing B again for each unit is negligible. */
const UNIT_ROWS_TALL = 128;
/** Minimum work, in floating-point operations, for using several threads, and for a chunk. */
const PARALLEL_FLOP = 5e6;
const CHUNK_FLOP = 2e6;
/** Maximum elements of a packed block of B: `BLOCK` of assembly/gemm/gemm.ts. */
const BLOCK = KC * 128;
/** Cost of moving one element, in floating-point operations. */
export const MOVE_FLOP = 32;

/** Rounds up to a multiple. */
export const roundUp = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;

/** Division of a product into units. */
export interface Split {
  unitRows: number;
  /** A multiple of 16. */
  unitColumns: number;
  units: number;
  grain: number;
}

/** Returns the number of units per chunk. */
export function grainOf(units: number, flop: number): number {
  if (flop < PARALLEL_FLOP) return units;
  return Math.max(1, Math.round((units * CHUNK_FLOP) / flop));
}

/**
 * Divides `times` products C [rows, columns] with inner size k into units. The division does not affect the result, since the order of
 * summation of each element stays the same. It may therefore depend on the number of threads.
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
  // Divides rows first, since a division of columns into whole tiles more often leaves uneven remainders.
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

/** Returns the scratch memory of the kernel `gemm` in bytes: a block of B and its edge. */
export const gemmScratch = (unitColumns: number) => (Math.min(KC * unitColumns, BLOCK) + 2 * Math.min(unitColumns, BLOCK) + 64 * 16) * 4;

/** The micro-kernels, by the names and numbers of assembly/gemm/tiles.ts. */
export const GEMM_KERNELS = ['f32_gemm_2x16', 'f32_gemm_fma_2x16', 'f32_gemm_fma_6x8'] as const;
/** Work, in floating-point operations, after which the micro-kernels are timed. */
const WORTH_TIMING_FLOP = 300e6;
/** Warm-up time of each micro-kernel, so that the runtime's optimising compiler has finished, and number of timings. */
const WARM_UP_MS = 10;
const ROUNDS = 5;

const chosen = new WeakMap<WasmEngine, number>();
const doneFlop = new WeakMap<WasmEngine, number>();

/**
 * Returns the number of the micro-kernel for matrix products, the first argument of all kernels that compute them. Strict mode uses
 * separate multiplication and addition, which rounds the same on every machine. Fast mode times all micro-kernels once enough work has
 * been done, since the fastest one depends on the runtime's register allocation.
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

/** Returns the name of the micro-kernel in use. */
export function gemmKernelName(engine: WasmEngine): string {
  return GEMM_KERNELS[gemmKernel(engine)];
}

/** Sets the micro-kernel by its number, so that tests can cover all of them. */
export function useGemmKernel(engine: WasmEngine, kernel: number): void {
  chosen.set(engine, kernel);
}

/** Times the micro-kernels on a product that fits into the caches and returns the fastest; takes about 40 ms. */
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
