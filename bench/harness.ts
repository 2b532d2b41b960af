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
  /** Floating-point operations of one run. */
  flop: number;
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
  gflops: number;
  /** Of the ceiling measured in the same run, by mul + add or by fma as the kernels do, times the threads. */
  share: number;
}

export interface Options {
  threads: number;
  ceiling: () => Ceiling;
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

export async function measure(benchCase: BenchCase, backend: Backend, { threads, ceiling, quick }: Options): Promise<Result> {
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
    // In fast mode, the micro-kernel is chosen only once a large product has run.
    const limit = ceilingFor(backend.info(), ceiling());
    const bestMs = Math.min(...stats.sample) * 1e3;
    const gflops = benchCase.flop / (threads === 1 ? Math.min(bestMs, bestCpu) : bestMs) / 1e6;
    return {
      name: benchCase.name,
      ...(plan === undefined ? {} : { plan }),
      bestMs,
      meanMs: stats.mean * 1e3,
      ...(threads === 1 ? { cpuMs: bestCpu } : {}),
      samples: stats.sample.length,
      gflops,
      share: gflops / limit,
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

export const HEADER = `${'case'.padEnd(36)}${'best ms'.padStart(10)}${'mean ms'.padStart(10)}${'cpu ms'.padStart(10)}${'GFLOP/s'.padStart(10)}${'of ceiling'.padStart(12)}  plan`;

export function line(result: Result): string {
  const { name, plan = '', bestMs, meanMs, gflops, share } = result;
  const digits = (ms: number | undefined) => (ms?.toFixed(ms < 1 ? 4 : 2) ?? '').padStart(10);
  const times = digits(bestMs) + digits(meanMs) + digits(result.cpuMs);
  return `${name.padEnd(36)}${times}${gflops.toFixed(1).padStart(10)}${share.toFixed(2).padStart(12)}${plan === '' ? '' : `  ${plan}`}`;
}
