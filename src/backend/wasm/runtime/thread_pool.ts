/**
 * The thread pool. It runs one task at a time. Workers and the caller take the task's chunks from a shared counter (the ticket) until none
 * is left; then the caller waits for the chunks that are still being computed.
 *
 * The caller never waits for a worker that has not taken a chunk, such as one that is starting or asleep: it computes the chunks itself.
 * Starting workers need not be awaited, therefore, and a worker that fails to start cannot block a task.
 */
import { BackendError } from '../../errors.js';
import { busyOffset, controlBytes, FIELDS as F, SPIN_MS, type Spawn, type SpawnedWorker } from './worker.js';

type Kernel = (...args: number[]) => void;

/** The parts of a thread pool. */
export interface ThreadPoolParts {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** Address of the `controlBytes(workers)` shared with the workers. */
  control: number;
  workers: number;
  spawn: Spawn;
  takeChunk(ticket: number, task: number): number;
  openTicket(ticket: number, task: number, chunks: number): void;
  /** Milliseconds without a finished chunk after which a worker counts as dead; for tests. */
  patienceMs?: number;
}

/** Default of `patienceMs`. On a heavily loaded machine, a chunk may take seconds. */
const PATIENCE_MS = 30_000;
/** The caller sleeps for at most this long at a time, so that it notices when no chunk is being finished. */
const SLICE_MS = 1000;

/** Returns whether this thread may call `Atomics.wait`; the main thread of a browser may not. */
function maySleep(words: Int32Array): boolean {
  try {
    return Atomics.wait(words, F.failed, -1, 0) === 'not-equal';
  } catch {
    return false;
  }
}

export class ThreadPool {
  /** The reason why the workers were terminated; undefined while they work. */
  failure: string | undefined;

  readonly #parts: ThreadPoolParts;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #maySleep: boolean;
  /** Index of each kernel among the module's exports, by which workers identify it. */
  readonly #indices: Map<string, number>;
  #workers: SpawnedWorker[] | null = null;
  #disposed = false;
  #task = 0;
  /** Milliseconds that the caller has waited for workers while it was timed; null while it is not. */
  #waitedMs: number | null = null;

  constructor(parts: ThreadPoolParts) {
    this.#parts = parts;
    // A shared buffer never detaches, so these views outlive the memory's growth.
    this.#words = new Int32Array(parts.memory.buffer, parts.control, F.words);
    this.#numbers = new Float64Array(parts.memory.buffer, parts.control, controlBytes(parts.workers) / 8);
    this.#maySleep = maySleep(this.#words);
    this.#indices = new Map(WebAssembly.Module.exports(parts.module).map(({ name }, index) => [name, index]));
  }

  /** Runs `kernel(...args, begin, end)` over all of `units`; `name` is its name among the module's exports. */
  run(name: string, kernel: Kernel, args: readonly number[], units: number, grain: number, scratch: number, scratchBytes: number): void {
    if (this.#workers === null) this.#start();
    if (this.failure !== undefined) {
      kernel(...args, 0, units);
      return;
    }
    const words = this.#words;
    const { takeChunk, openTicket, control } = this.#parts;
    const ticket = control + F.ticket * 4;
    const chunks = Math.ceil(units / grain);
    words[F.kernel] = this.#indices.get(name)!;
    words[F.chunks] = chunks;
    words[F.grain] = grain;
    words[F.units] = units;
    words[F.argumentCount] = args.length;
    const numbers = this.#numbers;
    numbers[F.scratch] = scratch;
    numbers[F.scratchBytes] = scratchBytes;
    for (let i = 0; i < args.length; i++) numbers[F.arguments + i] = args[i];
    Atomics.store(words, F.done, 0);
    this.#task = (this.#task + 1) & 0x7fffffff;
    const task = this.#task;
    openTicket(ticket, task, chunks);
    Atomics.store(words, F.task, task);
    if (Atomics.load(words, F.sleepers) > 0) Atomics.notify(words, F.task, chunks - 1);

    let mine = 0;
    let error: unknown;
    for (let left = takeChunk(ticket, task); left !== 0; left = takeChunk(ticket, task)) {
      const begin = (chunks - left) * grain;
      mine++;
      if (error !== undefined) continue;
      try {
        kernel(...args, begin, Math.min(begin + grain, units));
      } catch (thrown) {
        error = thrown; // the remaining chunks must still be taken
      }
    }
    if (Atomics.add(words, F.done, mine) + mine < chunks && !this.#timedJoin(chunks)) throw this.#giveUp(name);
    if (error !== undefined) throw error;
    if (words[F.failed] !== 0) {
      words[F.failed] = 0;
      throw new BackendError(`wasm: kernel ${name} failed in a worker thread`);
    }
  }

  /** Starts to measure how long each thread computes, or ends it. */
  timeThreads(on: boolean): void {
    this.#words[F.timed] = on ? 1 : 0;
    this.#waitedMs = on ? 0 : null;
    for (let index = 1; index <= this.#parts.workers; index++) this.#numbers[busyOffset(index)] = 0;
  }

  /** Milliseconds since `timeThreads(true)` that each worker has computed, and that the caller has waited for workers. */
  times(): { workersMs: number[]; waitedMs: number } {
    const workersMs = Array.from({ length: this.#parts.workers }, (_, i) => this.#numbers[busyOffset(i + 1)]);
    return { workersMs, waitedMs: this.#waitedMs ?? 0 };
  }

  dispose(): void {
    this.#disposed = true;
    Atomics.store(this.#words, F.task, -1);
    Atomics.notify(this.#words, F.task);
    for (const worker of this.#workers ?? []) worker.terminate();
    this.#workers = [];
  }

  #start(): void {
    this.#workers = [];
    const { module, memory, control, workers, spawn } = this.#parts;
    try {
      for (let index = 1; index <= workers; index++) {
        this.#workers.push(spawn({ module, memory, control, index }, (reason) => this.#fail(reason)));
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #fail(reason: string): void {
    if (this.failure !== undefined || this.#disposed) return;
    this.failure = `a worker thread failed: ${reason}`;
    this.dispose();
  }

  #timedJoin(chunks: number): boolean {
    if (this.#waitedMs === null) return this.#join(chunks);
    const started = performance.now();
    const joined = this.#join(chunks);
    this.#waitedMs += performance.now() - started;
    return joined;
  }

  /**
   * Waits for the chunks that workers have taken. Returns false if none was finished within `patienceMs`, that is, if a worker must be
   * dead. The time is counted in slices of limited length, so that a process that was suspended with all its threads does not give up.
   */
  #join(chunks: number): boolean {
    const words = this.#words;
    const patience = this.#parts.patienceMs ?? PATIENCE_MS;
    const slice = Math.min(SLICE_MS, patience / 4);
    const started = performance.now();
    let last = started;
    let idle = 0;
    let seen = -1;
    for (;;) {
      for (let i = 0; i < 100; i++) {
        if (Atomics.load(words, F.done) !== chunks) continue;
        Atomics.store(words, F.callerSleeps, 0);
        return true;
      }
      const done = Atomics.load(words, F.done);
      const now = performance.now();
      idle = done === seen ? idle + Math.min(now - last, 2 * slice) : 0;
      [seen, last] = [done, now];
      if (idle > patience) return false;
      if (!this.#maySleep || now - started <= SPIN_MS) continue;
      Atomics.store(words, F.callerSleeps, 1);
      Atomics.wait(words, F.done, done, slice);
    }
  }

  /** Terminates the workers, so that later calls use one thread, and returns the error for this call, whose result is lost. */
  #giveUp(name: string): BackendError {
    const seconds = (this.#parts.patienceMs ?? PATIENCE_MS) / 1000;
    this.#fail(`it finished no work for ${seconds} s`);
    return new BackendError(
      `wasm: kernel ${name}: a worker thread finished no work for ${seconds} s; its result is lost. From now on one thread is used: repeat the work, or resume from a checkpoint`,
    );
  }
}
