/**
 * Measures the engines' speed: each workload in rounds with one reading per engine, so that other work on the machine affects all alike.
 */
import { absentFrom, type Effort, type Files, type PeerName, type Reading, type Task, take } from './readings.js';

export const FORWARD: readonly Task[] = [1, 16].flatMap((batch) =>
  [1, 2].map((threads): Task => ({ workload: 'zfnet-forward', batch, threads })),
);
export const TRAIN: readonly Task[] = [1, 2].map((threads) => ({ workload: 'zfnet-train', batch: 16, threads }));
export const LENET: readonly Task[] = [{ workload: 'lenet-train', batch: 64, threads: 1 }];

export interface Speed {
  /** Median of all rounds. */
  imagesPerSecond: number;
  /** Maximum over all rounds. */
  slowest: number;
  fastest: number;
  peakMemoryBytes: number;
  version: string;
  /** The loaded library of matrix products, and what PyTorch says of its build. */
  blas?: string;
  config?: string;
}

export interface Compared {
  task: Task;
  speeds: Partial<Record<PeerName, Speed>>;
  /** Reason why an engine cannot run the task. */
  absent: Partial<Record<PeerName, string>>;
  /** Error of an engine that should run the task. */
  failed: Partial<Record<PeerName, string>>;
}

/** Largest allowed difference between an engine's outputs and ours, relative to our largest output. */
const LIMIT = 1e-3;

/** Compares the engines on a task. Every engine's first forward pass is checked against ours before its speed counts. */
export async function compare(
  task: Task,
  peers: readonly PeerName[],
  rounds: number,
  effort: Effort,
  files: Files,
  say: (text: string) => void,
): Promise<Compared> {
  const absent: Compared['absent'] = {};
  for (const peer of peers) {
    const reason = absentFrom(peer, task);
    if (reason !== undefined) absent[peer] = reason;
  }
  const failed: Compared['failed'] = {};
  const readings = new Map<PeerName, Reading[]>();
  let expected: readonly number[] | undefined;
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers.filter((peer) => !(peer in absent) && !(peer in failed))) {
      try {
        const reading = await take(peer, task, effort, files);
        expected ??= reading.logits;
        if (reading.logits && expected) checkOutputs(reading.logits, expected);
        readings.set(peer, [...(readings.get(peer) ?? []), reading]);
        say(`${nameOf(task)}, round ${round + 1} of ${rounds}: ${peer} ${reading.imagesPerSecond.toPrecision(3)} images/s`);
      } catch (error) {
        failed[peer] = error instanceof Error ? error.message : String(error);
        say(`${nameOf(task)}: ${peer} failed: ${failed[peer]}`);
      }
    }
  }
  const speeds = Object.fromEntries([...readings].filter(([peer]) => !(peer in failed)).map(([peer, all]) => [peer, summary(all)]));
  return { task, speeds, absent, failed };
}

function checkOutputs(logits: readonly number[], expected: readonly number[]): void {
  const scale = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - logits[i])));
  if (logits.length !== expected.length || !(worst <= LIMIT * scale))
    throw new Error(`its outputs differ: ${worst.toPrecision(3)} apart, where the largest is ${scale.toPrecision(3)}`);
}

function summary(readings: readonly Reading[]): Speed {
  const sorted = readings.map(({ imagesPerSecond }) => imagesPerSecond).sort((a, b) => a - b);
  return {
    imagesPerSecond: sorted[Math.floor(sorted.length / 2)],
    slowest: sorted[0],
    fastest: sorted[sorted.length - 1],
    peakMemoryBytes: Math.max(...readings.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    version: readings[0].version,
    blas: readings[0].blas,
    config: readings[0].config,
  };
}

export function nameOf({ workload, batch, threads }: Task): string {
  const names = { 'zfnet-forward': 'ZFNet forward', 'zfnet-train': 'ZFNet training step', 'lenet-train': 'LeNet-5 training step' };
  return `${names[workload]}, batch ${batch}, ${threads} thread${threads === 1 ? '' : 's'}`;
}
