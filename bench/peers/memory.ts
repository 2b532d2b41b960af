/** Peak memory of a process that runs ZFNet, beside PyTorch's, and how much of the engine's 4 GiB heap is used. */
import { type Effort, type PeerName, type Task, take } from './readings.js';

const HEAP_LIMIT = 4 * 2 ** 30;

export interface Memory {
  task: Task;
  /** Peak memory of the whole process. */
  peakBytes: number;
  heapBytes: number;
  /** Peak memory of PyTorch's process; null where PyTorch is missing or was not requested. */
  pytorchBytes: number | null;
  /** Our peak memory divided by PyTorch's. */
  ratio: number | null;
  fitsHeap: boolean;
}

const MEMORY: readonly { task: Task; compared: boolean }[] = [
  { task: { workload: 'zfnet-forward', batch: 16, threads: 1 }, compared: true },
  { task: { workload: 'zfnet-train', batch: 16, threads: 1 }, compared: true },
  { task: { workload: 'zfnet-train', batch: 128, threads: 1 }, compared: false },
];
/** The optimiser's velocities exist from the second step on. */
const EFFORT: Effort = { seconds: 0, runs: 1, warm: 1 };

/** @param peers engines that are available */
export async function measureMemory(peers: readonly PeerName[], say: (text: string) => void): Promise<Memory[]> {
  const results: Memory[] = [];
  for (const { task, compared } of MEMORY) {
    const own = await take('zfnet', task, EFFORT);
    const pytorchBytes = compared && peers.includes('pytorch') ? (await take('pytorch', task, EFFORT)).peakMemoryBytes : null;
    const heapBytes = own.heapBytes ?? 0;
    const result: Memory = {
      task,
      peakBytes: own.peakMemoryBytes,
      heapBytes,
      pytorchBytes,
      ratio: pytorchBytes === null ? null : own.peakMemoryBytes / pytorchBytes,
      fitsHeap: heapBytes <= HEAP_LIMIT,
    };
    results.push(result);
    say(lineOf(result));
  }
  return results;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

export function lineOf({ task, peakBytes, heapBytes, pytorchBytes, ratio }: Memory): string {
  const what = `${task.workload === 'zfnet-train' ? 'training step' : 'forward'}, batch ${task.batch}`;
  const beside = pytorchBytes === null || ratio === null ? '' : `; PyTorch ${gib(pytorchBytes)}: ${ratio.toFixed(2)} of it`;
  return `${what}: ${gib(peakBytes)}, the engine's heap ${gib(heapBytes)} of 4 GiB${beside}`;
}
