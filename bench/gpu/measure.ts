/** Everything that `npm run bench:gpu` measures of our own engine on one device. */
import type { Backend, BackendInfo, DeviceCeiling } from '../../src/backend/backend.js';
import { createWasmBackend } from '../../src/backend/wasm/index.js';
import type { ProfileRow } from '../../src/index.js';
import type { BenchCase } from '../harness.js';
import { casesOf, GPU_PLAN, type Plan, SOFTWARE_PLAN } from './cases.js';
import { checkForward, measureStep, type StepResult } from './steps.js';
import { timeKernels } from './timing.js';

export interface CaseResult {
  name: string;
  plan?: string;
  bestMs: number;
  medianMs: number;
  runs: number;
  gflops: number;
  ofCeiling: number;
}

/** A case or a step that failed: its result was wrong, or the device refused it. */
export interface Failure {
  name: string;
  error: string;
}

export interface Measurements {
  info: BackendInfo;
  ceiling: DeviceCeiling;
  /** Images of the layers' cases. */
  layerBatch: number;
  cases: CaseResult[];
  steps: StepResult[];
  /** The kernels of a training step at the largest batch, the longest first. */
  training: ProfileRow[];
  failures: Failure[];
}

export interface Effort {
  /** Cases whose name contains this text. */
  filter: string;
  quick: boolean;
  /** Told of every result as soon as it is there. */
  onResult(line: string): void;
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Measures the ceilings, the cases and the steps. Sizes are small on a software device. */
export async function measureAll(backend: Backend, effort: Effort): Promise<Measurements> {
  const info = backend.info();
  const software = info.device?.software === true;
  const plan = software ? SOFTWARE_PLAN : GPU_PLAN;
  const ceiling = await backend.measureCeiling!();
  const found: Measurements = { info, ceiling, layerBatch: plan.batch, cases: [], steps: [], training: [], failures: [] };
  effort.onResult(
    `ceilings: ${ceiling.gflops.toFixed(1)} GFLOP/s by multiply-adds on registers, ${ceiling.gbs.toFixed(1)} GB/s by copying`,
  );
  for (const each of casesOf(plan)) {
    if (!each.name.includes(effort.filter)) continue;
    try {
      const result = await measureCase(each, backend, ceiling, effort);
      found.cases.push(result);
      effort.onResult(
        `${result.name}: ${result.bestMs.toFixed(3)} ms, ${result.gflops.toFixed(1)} GFLOP/s, ${result.ofCeiling.toFixed(2)} of ceiling`,
      );
    } catch (error) {
      fail(found, effort, each.name, error);
    }
  }
  await measureSteps(found, backend, plan, effort, software ? [1, 2] : [1, 16, 128]);
  return found;
}

function fail({ failures }: Measurements, { onResult }: Effort, name: string, error: unknown): void {
  failures.push({ name, error: message(error) });
  onResult(`${name}: FAILED: ${message(error)}`);
}

async function measureCase(each: BenchCase, backend: Backend, ceiling: DeviceCeiling, { quick }: Effort): Promise<CaseResult> {
  const prepared = each.prepare(backend);
  try {
    prepared.run();
    await prepared.check();
    const times = await timeKernels(backend, () => prepared.run(), quick ? 50 : 300);
    const gflops = each.flop! / times.bestMs / 1e6;
    const plan = each.plan?.(backend);
    return { name: each.name, ...(plan === undefined ? {} : { plan }), ...times, gflops, ofCeiling: gflops / ceiling.gflops };
  } finally {
    prepared.release();
    await backend.synchronize();
  }
}

async function measureSteps(found: Measurements, backend: Backend, plan: Plan, effort: Effort, batches: readonly number[]): Promise<void> {
  if (!'forward training'.includes(effort.filter)) return;
  try {
    const wasm = await createWasmBackend();
    await checkForward(backend, wasm, plan);
    wasm.dispose();
  } catch (error) {
    return fail(found, effort, 'forward, compared with wasm', error);
  }
  for (const kind of ['forward', 'training'] as const) {
    for (const batch of batches) {
      try {
        const { result, rows } = await measureStep(backend, plan, kind, batch, found.ceiling.gflops, effort.quick ? 300 : 3000);
        found.steps.push(result);
        if (kind === 'training') found.training = rows;
        effort.onResult(
          `${kind}, batch ${batch}: ${result.imagesPerSecond.toFixed(1)} images/s, ${result.ofCeiling.toFixed(2)} of ceiling`,
        );
      } catch (error) {
        fail(found, effort, `${kind}, batch ${batch}`, error);
      }
    }
  }
}
