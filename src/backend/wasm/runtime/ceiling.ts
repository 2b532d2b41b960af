/** The speed that one thread's arithmetic allows, by a loop that does nothing else: other speeds are given as a share of it. */
import type { Kernels } from '../../../../build/kernels.js';
import type { BackendInfo } from '../../backend.js';
import { checkArgument, rule } from '../../validate.js';
import { type BuildName, checkRuntime, chooseBuild, compileBuild, instantiate } from './builds.js';

export interface Ceiling {
  /** GFLOP/s of one thread, by multiplication, then addition. */
  mulAdd: number;
  /** By both in one instruction; undefined where the runtime has no relaxed SIMD. */
  fma?: number;
}

/** Operations of one round of assembly/gemm/ceiling.ts: 8 vectors of 4, each multiplied and added. */
const ROUND_FLOP = 64;
const ROUNDS = 1 << 18;
/** Until the runtime has optimised the loop, and past what else the machine does. */
const FIRST_RUNS = 500;
const MORE_RUNS = 12;
/** A build's constants and its stack; it is never given a tensor. */
const PAGES = 4;

/**
 * Prepares the loops and measures them, in about a quarter of a second each. What it returns measures them again, briefly, and gives
 * the best so far: other work on the machine slows them now and then, nothing makes them too fast.
 *
 * @throws BackendError where there is no WebAssembly SIMD
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

/** What a backend's threads can reach together, in GFLOP/s, by the arithmetic that its kernels use. */
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

/** The fastest of so many runs, in GFLOP/s. */
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
