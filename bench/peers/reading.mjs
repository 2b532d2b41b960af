/**
 * What every engine's file shares: one reading a process, `node PEER.mjs --workload zfnet-forward --batch 16 --threads 2`, and one JSON
 * line with what came of it.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    workload: { type: 'string', default: 'zfnet-forward' },
    batch: { type: 'string', default: '1' },
    threads: { type: 'string', default: '1' },
    /** How long to measure, and how often at least. */
    seconds: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
    /** Steps before that, at least. */
    warm: { type: 'string', default: '2' },
    /** Weights, as safetensors and as a whole ONNX model. */
    weights: { type: 'string' },
    model: { type: 'string' },
    /** Of our own engine. */
    mode: { type: 'string', default: 'strict' },
  },
});

export const task = {
  ...values,
  /** `zfnet` or `lenet`. */
  network: values.workload.split('-')[0],
  /** A training step, or a forward pass. */
  training: values.workload !== 'zfnet-forward',
  batch: Number(values.batch),
  threads: Number(values.threads),
};

/**
 * The middle time of a step in seconds. Of one thread's, processor time counts where it is less: it is what an otherwise idle core
 * would show.
 */
async function secondsOf(step) {
  // A quarter of the time goes to compilers that look at what is run often.
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

/** The most memory that this process has had. A new process may inherit its parent's figure in `maxRSS`, but not in VmHWM. */
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
 * @param prepare gets the engine and the network ready; returns `step`, and for a forward pass `logits`: what it gave for the first image
 */
export async function reading(peer, version, prepare) {
  const line = { peer, version, workload: task.workload, batch: task.batch, threads: task.threads };
  try {
    const { step, logits, ...more } = await prepare();
    const seconds = await secondsOf(step);
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
