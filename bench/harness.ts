/**
 * The benchmark's harness: checks each result against sums in double precision, then times it, and prints a table.
 * Timing itself is benchmark.js's. On a machine that does other work too, the best run tells more than the mean, and one
 * thread's processor time more than the clock: speeds and shares are those of the best run, by processor time if it can be told.
 */
import Benchmark from 'benchmark';
import type { Backend, Storage } from '../src/backend/backend.js';
import { type Ceiling, ceilingFor } from '../src/backend/wasm/ceiling.js';

export interface BenchCase {
  name: string;
  /** Floating-point operations of one run, where arithmetic sets the pace. */
  flop?: number;
  /** Bytes read and written by one run, where memory does. */
  bytes?: number;
  /** Which of its ways the backend takes, where it has several. Winograd's multiplies less than `flop` says, so it may pass the ceiling. */
  plan?(backend: Backend): string | undefined;
  prepare(backend: Backend): Prepared;
}

export interface Prepared {
  run(): void;
  /** Throws unless the result of the last run is right. */
  check(): Promise<void>;
  release(): void;
}

export interface Result {
  name: string;
  plan?: string;
  /** By the clock. */
  bestMs: number;
  meanMs: number;
  /** Processor time, where one thread works. */
  cpuMs?: number;
  samples: number;
  /** One of the two: GFLOP/s, or GB/s. */
  gflops?: number;
  gbs?: number;
  /** Of the ceiling measured in the same run, by mul + add or by fma as the kernels do, times the threads; or of a copy's speed. */
  share: number;
}

export interface Options {
  threads: number;
  ceiling: () => Ceiling;
  /** GB/s of a copy. */
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

/** Numbers in [-1, 1), the same every time. */
export function noise(count: number, seed: number): Float32Array {
  const numbers = new Float32Array(count);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    numbers[i] = state / 2 ** 31 - 1;
  }
  return numbers;
}

/** Storage of `backend` with these numbers. */
export function stored(backend: Backend, numbers: Float32Array): Storage {
  const storage = backend.allocate('float32', numbers.length);
  backend.write(storage, numbers);
  return storage;
}

const CHECKED = 48;

/** Compares some elements, the first and the last among them, with what `expected` computes of sums of `terms` products of noise. */
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
    // In fast mode, the micro-kernel is chosen only once a large product has run.
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
