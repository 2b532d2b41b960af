/** Whole passes of ZFNet: forward passes and training steps, their dispatches and bytes, and the time that the device is idle. */
import type { Backend } from '../../src/backend/backend.js';
import { crossEntropy, noGrad, profile, SGD, type Tensor, tensor, type ZfNet, zfnet } from '../../src/index.js';
import { noise } from '../harness.js';
import type { Plan } from './cases.js';

export interface StepResult {
  name: string;
  batch: number;
  /** Wall time of one step, the next one following at once. */
  ms: number;
  imagesPerSecond: number;
  dispatches: number;
  /** Bytes of all operands of the kernels of one step, each counted once per kernel. */
  bytes: number;
  /** Operations of the products of one step. */
  flop: number;
  /** Share of the arithmetic ceiling that the products of the step make of its wall time. */
  ofCeiling: number;
  /** Time that the device computes in one step, and time that the processor takes to encode it. */
  busyMs: number;
  encodeMs: number;
}

/** One network with one batch, on one backend. */
interface Workload {
  step(): Tensor;
  dispose(): void;
}

type Kind = 'forward' | 'training';

function networkOn(backend: Backend, { width, side, classes }: Plan): ZfNet {
  return zfnet('a', { classes, inputSize: side, width, seed: 1, init: 'he', backend });
}

function workload(backend: Backend, plan: Plan, kind: Kind, batch: number): Workload {
  const { side, classes } = plan;
  const model = networkOn(backend, plan);
  const images = tensor(noise(batch * 3 * side ** 2, 7), [batch, 3, side, side], { backend });
  const labels = tensor(
    Int32Array.from({ length: batch }, (_, i) => (i * 37) % classes),
    [batch],
    { backend },
  );
  const parts = () => [images, labels, model].forEach((each) => void each.dispose());
  if (kind === 'forward') {
    model.eval();
    return { step: () => noGrad(() => model.forward(images)), dispose: parts };
  }
  const sgd = new SGD(model.parameters(), { lr: 1e-4, momentum: 0.9, maxFilterRms: 0.1 });
  return {
    step() {
      const loss = crossEntropy(model.forward(images), labels);
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      return loss;
    },
    dispose() {
      sgd.dispose();
      parts();
    },
  };
}

const TOLERANCE = 2e-3;

/** Throws unless a forward pass of one image gives the same scores on both backends. */
export async function checkForward(backend: Backend, other: Backend, plan: Plan): Promise<void> {
  const scores = async (on: Backend) => {
    const { step, dispose } = workload(on, plan, 'forward', 1);
    const y = step();
    const found = await y.data();
    y.dispose();
    dispose();
    return found;
  };
  const [found, expected] = [await scores(backend), await scores(other)];
  const largest = Math.max(...Array.from(expected, Math.abs));
  for (const [i, value] of found.entries())
    if (!(Math.abs(value - expected[i]) <= TOLERANCE * largest)) throw new Error(`score ${i} is ${value}, expected ${expected[i]}`);
}

/** Runs steps without waiting between them. Returns milliseconds per step. */
async function pace(backend: Backend, step: () => Tensor, forMs: number): Promise<number> {
  let steps = 0;
  const started = performance.now();
  let before: Tensor | null = null;
  while (steps < 3 || performance.now() - started < forMs) {
    const result = step();
    // The result of a step is read while the next one is computed, as a training loop does.
    if (before) await finite(before);
    before = result;
    steps++;
  }
  await finite(before!);
  await backend.synchronize();
  return (performance.now() - started) / steps;
}

async function finite(result: Tensor): Promise<void> {
  const values = await result.data();
  result.dispose();
  if (!values.every(Number.isFinite)) throw new Error('the result is not finite');
}

/** Measures one kind of step at one batch size. @param ceiling GFLOP/s of the device */
export async function measureStep(backend: Backend, plan: Plan, kind: Kind, batch: number, ceiling: number, forMs: number) {
  const { step, dispose } = workload(backend, plan, kind, batch);
  try {
    // The first step compiles shaders, the second one allocates what the first one still held.
    for (let i = 0; i < 2; i++) await finite(step());
    const ms = await pace(backend, step, forMs);
    const { device, rows } = await profile(() => finite(step()), { backend });
    const sum = (key: 'flop' | 'bytes') => rows.reduce((total, row) => total + row[key], 0);
    const result: StepResult = {
      name: kind,
      batch,
      ms,
      imagesPerSecond: (1e3 * batch) / ms,
      dispatches: device?.dispatches ?? 0,
      bytes: sum('bytes'),
      flop: sum('flop'),
      ofCeiling: sum('flop') / ms / 1e6 / ceiling,
      busyMs: device?.busyMs ?? 0,
      encodeMs: device?.encodeMs ?? 0,
    };
    return { result, rows };
  } finally {
    dispose();
  }
}
