/**
 * The benchmark harness: checks each result against sums in double precision, then times it with benchmark.js, and prints a table.
 * On a shared machine the best run is more informative than the mean, and the processor time of one thread more than elapsed time. Speeds
 * and shares are therefore those of the best run, by processor time where it can be measured.
 */
import Benchmark from 'benchmark';
import type { Backend, Storage } from '../src/backend/backend.js';
import { type Ceiling, ceilingFor } from '../src/backend/wasm/runtime/ceiling.js';

export interface BenchCase {
  name: string;
  /** Floating-point operations of one run, for compute-bound kernels. */
  flop?: number;
  /** Bytes read and written by one run, for memory-bound kernels. */
  bytes?: number;
  /**
   * Name of the algorithm that the backend chooses, where it has several. Winograd's algorithm needs fewer multiplications than `flop`, so
   * it may exceed the ceiling.
   */
  plan?(backend: Backend): string | undefined;
  prepare(backend: Backend): Prepared;
}

export interface Prepared {
  run(): void;
  /** Throws unless the result of the last run is correct. */
  check(): Promise<void>;
  release(): void;
}

export interface Result {
  name: string;
  plan?: string;
  /** Elapsed time. */
  bestMs: number;
  meanMs: number;
  /** Processor time, for one thread. */
  cpuMs?: number;
  samples: number;
  /** Either GFLOP/s or GB/s is given. */
  gflops?: number;
  gbs?: number;
  /**
   * Share of the ceiling measured in the same run (mul + add or fma, as the kernels use) times the number of threads, or share of a copy's
   * speed.
   */
  share: number;
}

export interface Options {
  threads: number;
  ceiling: () => Ceiling;
  /** Speed of a copy in GB/s. */
  copying: number;
  quick: boolean;
}

/** The processor time of a call, in milliseconds. */
export function cpuMs(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e3;
}

/** Deterministic values in [-1, 1). */
export function noise(count: number, seed: number): Float32Array {
  const numbers = new Float32Array(count);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    numbers[i] = state / 2 ** 31 - 1;
  }
  return numbers;
}

/** A storage of `backend` with these values. */
export function stored(backend: Backend, numbers: Float32Array): Storage {
  const storage = backend.allocate('float32', numbers.length);
  backend.write(storage, numbers);
  return storage;
}

const CHECKED = 48;

/**
 * Compares some elements, including the first and the last, with `expected`; the tolerance is that of a sum of `terms` products of noise.
 */
export async function checkSome(backend: Backend, y: Storage, expected: (index: number) => number, terms: number): Promise<void> {
  const numbers = await backend.read(y);
  const tolerance = 1e-5 * Math.sqrt(terms);
  for (let i = 0; i < CHECKED; i++) {
    const index = Math.floor((i * (numbers.length - 1)) / (CHECKED - 1));
    const want = expected(index);
    if (!(Math.abs(numbers[index] - want) <= tolerance)) throw new Error(`element ${index} is ${numbers[index]}, expected ${want}`);
  }
}

export async function measure(benchCase: BenchCase, backend: Backend, { threads, ceiling, copying, quick }: Options): Promise<Result> {
  const prepared = benchCase.prepare(backend);
  const plan = benchCase.plan?.(backend);
  try {
    prepared.run();
    await prepared.check();
    let bestCpu = Number.POSITIVE_INFINITY;
    const run = () => {
      bestCpu = Math.min(bestCpu, cpuMs(prepared.run));
    };
    const { stats } = await timed(run, quick);
    const bestMs = Math.min(...stats.sample) * 1e3;
    const { flop, bytes = 0 } = benchCase;
    const speed = (flop ?? bytes) / (threads === 1 ? Math.min(bestMs, bestCpu) : bestMs) / 1e6;
    // In fast mode the micro-kernel is chosen when the first large product runs.
    const limit = flop === undefined ? copying : ceilingFor(backend.info(), ceiling());
    return {
      name: benchCase.name,
      ...(plan === undefined ? {} : { plan }),
      bestMs,
      meanMs: stats.mean * 1e3,
      ...(threads === 1 ? { cpuMs: bestCpu } : {}),
      samples: stats.sample.length,
      ...(flop === undefined ? { gbs: speed } : { gflops: speed }),
      share: speed / limit,
    };
  } catch (error) {
    throw new Error(`${benchCase.name}: ${error instanceof Error ? error.message : error}`);
  } finally {
    prepared.release();
  }
}

function timed(run: () => void, quick: boolean): Promise<Benchmark> {
  return new Promise((resolve, reject) => {
    const benchmark: Benchmark = new Benchmark(run, {
      minTime: quick ? 0.02 : 0.05,
      maxTime: quick ? 0.2 : 1.5,
      minSamples: quick ? 3 : 8,
      onComplete: () => resolve(benchmark),
      onError: () => reject((benchmark as unknown as { error: unknown }).error),
    });
    benchmark.run({ async: false });
  });
}

const header = (unit: string, limit: string) =>
  `${'case'.padEnd(36)}${'best ms'.padStart(10)}${'mean ms'.padStart(10)}${'cpu ms'.padStart(10)}${unit.padStart(10)}${limit.padStart(12)}`;
export const HEADER = `${header('GFLOP/s', 'of ceiling')}  plan`;
export const MEMORY_HEADER = header('GB/s', 'of copying');

export function line(result: Result): string {
  const { name, plan = '', bestMs, meanMs, gflops, gbs = 0, share } = result;
  const digits = (ms: number | undefined) => (ms?.toFixed(ms < 1 ? 4 : 2) ?? '').padStart(10);
  const times = digits(bestMs) + digits(meanMs) + digits(result.cpuMs);
  return `${name.padEnd(36)}${times}${(gflops ?? gbs).toFixed(1).padStart(10)}${share.toFixed(2).padStart(12)}${plan === '' ? '' : `  ${plan}`}`;
}
