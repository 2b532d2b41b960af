/**
 * The program of a worker thread, and the memory that it shares with the caller. The program is a string, so that it works in every bundle
 * without a file of its own; `spawn.ts` starts it.
 */

/** Offsets of the fields shared by the threads, in 32-bit words. Fields written by different threads are on different cache lines. */
export const FIELDS = {
  /** Number of the current task; workers sleep on it. Negative: workers exit. */
  task: 0,
  /** Task number and chunks left, 64 bits: see `takeChunk` in assembly/engine.ts. */
  ticket: 16,
  /** Number of finished chunks; the caller sleeps on it. */
  done: 32,
  /** Number of sleeping workers, and whether the caller sleeps. */
  sleepers: 48,
  callerSleeps: 64,
  /** Set when a kernel threw. */
  failed: 80,
  kernel: 96,
  chunks: 97,
  grain: 98,
  units: 99,
  argumentCount: 100,
  /** Whether workers measure how long they compute. */
  timed: 101,
  /** The following offsets are in 64-bit floats: address and size of the scratch areas, then the arguments. */
  scratch: 56,
  scratchBytes: 57,
  arguments: 58,
  /** Number of 32-bit words of the fields above. */
  words: 256,
} as const;

/** Distance in 64-bit floats between the busy times of two workers, which are on different cache lines. */
const BUSY_STEP = 8;

/** Offset in 64-bit floats of the milliseconds that worker `index` (from 1 on) has computed while it was timed. */
export const busyOffset = (index: number): number => FIELDS.words / 2 + (index - 1) * BUSY_STEP;

/** Size of the memory shared with a number of workers. */
export const controlBytes = (workers: number): number => 8 * busyOffset(workers + 1);

/** How long a thread polls for work before it sleeps; waking it takes some tens of microseconds. */
export const SPIN_MS = 0.05;

export interface WorkerData {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  control: number;
  /** Number of this worker's scratch area; the caller uses number 0. */
  index: number;
}

export interface SpawnedWorker {
  terminate(): void;
}

/** Starts a worker. `onFail` is called if it cannot start or fails later. */
export type Spawn = (data: WorkerData, onFail: (reason: string) => void) => SpawnedWorker;

const F = FIELDS;

/** The worker's program: a function of `WorkerData`. */
export const PROGRAM = `({ module, memory, control, index }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const kernels = WebAssembly.Module.exports(module).map(({ name }) => exports[name]);
  const { takeChunk, setScratch } = exports;
  const words = new Int32Array(memory.buffer, control, ${F.words});
  const numbers = new Float64Array(memory.buffer, control, ${F.words / 2});
  const busy = new Float64Array(memory.buffer, control + 8 * (${busyOffset(1)} + (index - 1) * ${BUSY_STEP}), 1);
  const ticket = control + ${F.ticket * 4};
  let scratch = 0;
  const work = (task) => {
    const kernel = kernels[words[${F.kernel}]];
    const chunks = words[${F.chunks}];
    const grain = words[${F.grain}];
    const units = words[${F.units}];
    const area = numbers[${F.scratch}] + index * numbers[${F.scratchBytes}];
    const timed = words[${F.timed}] !== 0;
    const args = Array.from(numbers.subarray(${F.arguments}, ${F.arguments} + words[${F.argumentCount}]));
    for (let left; (left = takeChunk(ticket, task)) !== 0; ) {
      const begin = (chunks - left) * grain;
      const started = timed ? performance.now() : 0;
      try {
        if (area !== scratch) setScratch((scratch = area));
        kernel(...args, begin, Math.min(begin + grain, units));
      } catch {
        Atomics.store(words, ${F.failed}, 1);
      }
      if (timed) busy[0] += performance.now() - started;
      // Counted chunk by chunk: the caller takes a worker that finishes none for dead.
      if (Atomics.add(words, ${F.done}, 1) + 1 === chunks && Atomics.load(words, ${F.callerSleeps}) !== 0) Atomics.notify(words, ${F.done});
    }
  };
  let task = Atomics.load(words, ${F.task});
  while (task >= 0) {
    work(task);
    const until = performance.now() + ${SPIN_MS};
    let next = task;
    while ((next = Atomics.load(words, ${F.task})) === task) {
      for (let i = 0; i < 100 && Atomics.load(words, ${F.task}) === task; i++);
      if (performance.now() > until) {
        Atomics.add(words, ${F.sleepers}, 1);
        Atomics.wait(words, ${F.task}, task);
        Atomics.sub(words, ${F.sleepers}, 1);
      }
    }
    task = next;
  }
}`;

/**
 * The script of a worker in a page: the contents of the file `zfnet/worker.js`, and of the script that is started from memory. It waits
 * for the worker's data.
 */
export const WEB_SCRIPT = `onmessage = ({ data }) => { postMessage('up'); (${PROGRAM})(data); close(); };\n`;
