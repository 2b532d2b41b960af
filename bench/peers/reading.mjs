/**
 * Shared by every engine's file: one reading per process, `node PEER.mjs --workload zfnet-forward --batch 16 --threads 2`, which prints one
 * JSON line with the result.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    workload: { type: 'string', default: 'zfnet-forward' },
    batch: { type: 'string', default: '1' },
    threads: { type: 'string', default: '1' },
    /** Shortest time and smallest number of steps to measure. */
    seconds: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
    /** Smallest number of warm-up steps. */
    warm: { type: 'string', default: '2' },
    /** Files with the weights (safetensors) and the whole model (ONNX). */
    weights: { type: 'string' },
    model: { type: 'string' },
    /** `webgpu` computes on a GPU, for the engines that can. */
    device: { type: 'string', default: 'cpu' },
    /** Mode of our own engine. */
    mode: { type: 'string', default: 'strict' },
  },
});

export const task = {
  ...values,
  /** `zfnet` or `lenet`. */
  network: values.workload.split('-')[0],
  /** Whether to measure a training step rather than a forward pass. */
  training: !values.workload.endsWith('-forward'),
  gpu: values.device === 'webgpu',
  batch: Number(values.batch),
  threads: Number(values.threads),
};

/**
 * Median time of a step in seconds. For one thread, processor time counts where it is less, because it is what an idle machine would
 * show.
 */
async function secondsOf(step) {
  // A quarter of the time is spent on warm-up, so that just-in-time compilers can optimise.
  for (let i = 0, before = performance.now(); i < Number(values.warm) || performance.now() - before < 250 * Number(values.seconds); i++)
    await step();
  const times = [];
  for (
    const started = performance.now();
    times.length < Number(values.runs) || performance.now() - started < 1e3 * Number(values.seconds);
  ) {
    const [cpu, wall] = [process.cpuUsage(), performance.now()];
    await step();
    const elapsed = (performance.now() - wall) / 1e3;
    const { user, system } = process.cpuUsage(cpu);
    times.push(task.threads === 1 ? Math.min(elapsed, (user + system) / 1e6) : elapsed);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)];
}

/** Steps of a GPU that follow each other before the result of the last one is awaited. */
const QUEUED = 4;

/** Mean time in seconds of steps on a GPU: best of several rounds. */
async function secondsOnGpu(step) {
  for (let i = 0; i < Number(values.warm); i++) await step();
  let best = Number.POSITIVE_INFINITY;
  for (
    let rounds = 0, started = performance.now();
    rounds < Number(values.runs) || performance.now() - started < 1e3 * Number(values.seconds);
    rounds++
  ) {
    const before = performance.now();
    await Promise.all(Array.from({ length: QUEUED }, () => step()));
    best = Math.min(best, (performance.now() - before) / 1e3 / QUEUED);
  }
  return best;
}

/** Peak memory of this process. `maxRSS` may be inherited from the parent process; VmHWM is not. */
function peakMemoryBytes() {
  try {
    return 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}

/**
 * Measures a step and prints the line.
 *
 * @param prepare makes the engine and the network ready; returns `step`, and for a forward pass `logits`, the output for the first image
 */
export async function reading(peer, version, prepare) {
  const line = { peer, version, workload: task.workload, batch: task.batch, threads: task.threads };
  try {
    const { step, logits, ...more } = await prepare();
    const seconds = await (task.gpu ? secondsOnGpu(step) : secondsOf(step));
    const imagesPerSecond = task.batch / seconds;
    const memory = peakMemoryBytes();
    const outputs = logits ? { logits: Array.from(await logits()) } : {};
    const figures = Object.fromEntries(Object.entries(more).map(([name, figure]) => [name, figure()]));
    console.log(JSON.stringify({ ...line, imagesPerSecond, peakMemoryBytes: memory, ...figures, ...outputs }));
  } catch (error) {
    console.log(JSON.stringify({ ...line, error: String(error?.message ?? error) }));
  }
  process.exit();
}
