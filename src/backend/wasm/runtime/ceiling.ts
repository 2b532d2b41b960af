/** Measures the peak arithmetic speed of one thread with a loop of arithmetic alone. Benchmarks give speeds as a share of it. */
import type { Kernels } from '../../../../build/kernels.js';
import type { BackendInfo } from '../../backend.js';
import { checkArgument, rule } from '../../validate.js';
import { type BuildName, checkRuntime, chooseBuild, compileBuild, instantiate } from './builds.js';

/** Peak arithmetic speed of one thread. */
export interface Ceiling {
  /** GFLOP/s with separate multiplication and addition. */
  mulAdd: number;
  /** GFLOP/s with fused multiply-add; undefined if the runtime lacks relaxed SIMD. */
  fma?: number;
}

/** Operations of one round of assembly/gemm/ceiling.ts: 8 vectors of 4, each multiplied and added. */
const ROUND_FLOP = 64;
const ROUNDS = 1 << 18;
/** Enough runs for the runtime to optimise the loop, and to find a moment without other load. */
const FIRST_RUNS = 500;
const MORE_RUNS = 12;
/** Memory for the build's constants and stack. */
const PAGES = 4;

/**
 * Measures the peak arithmetic speed, in about half a second, and returns a function that measures it again briefly and returns the
 * maximum so far. The maximum is used since other load on the machine can only slow the loop down.
 *
 * @throws BackendError if the runtime lacks WebAssembly SIMD
 */
export async function createCeiling(): Promise<() => Ceiling> {
  checkRuntime();
  const strict = chooseBuild('strict', false);
  const fast = chooseBuild('fast', false);
  const mulAdd = await load(strict);
  const fma = fast === strict ? undefined : await load(fast);
  const best: Ceiling = { mulAdd: 0 };
  const update = (runs: number): Ceiling => {
    best.mulAdd = Math.max(best.mulAdd, measure(mulAdd, runs));
    if (fma) best.fma = Math.max(best.fma ?? 0, measure(fma, runs));
    return { ...best };
  };
  update(FIRST_RUNS);
  return () => update(MORE_RUNS);
}

/** Returns the peak speed of all threads of a backend together, in GFLOP/s, for the instructions that its kernels use. */
export function ceilingFor(info: BackendInfo, ceiling: Ceiling): number {
  checkArgument('ceilingFor', 'the info', info, infoRule);
  checkArgument('ceilingFor', 'the ceiling', ceiling, ceilingRule);
  const { variant, threads } = info;
  const { mulAdd, fma = mulAdd } = ceiling;
  return threads * (variant.includes('fma') ? fma : mulAdd);
}

const infoRule = rule('what backendInfo() returns', (value) => {
  const { variant, threads } = (value ?? {}) as BackendInfo;
  return typeof variant === 'string' && typeof threads === 'number';
});
const ceilingRule = rule('what createCeiling measured', (value) => typeof (value as Ceiling | null)?.mulAdd === 'number');

/** Returns the speed of the fastest of `runs` runs, in GFLOP/s. */
function measure({ ceiling }: Kernels, runs: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    ceiling(ROUNDS, 0.5);
    least = Math.min(least, performance.now() - start);
  }
  return (ROUND_FLOP * ROUNDS) / least / 1e6;
}

async function load(build: BuildName): Promise<Kernels> {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  return instantiate(await compileBuild(build), memory);
}
