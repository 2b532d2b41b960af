/**
 * The engine of the wasm backend: kernel arguments, scratch areas and threads of one instance of the WebAssembly module, over its memory
 * (`memory.ts`).
 */
import type { Kernels } from '../../../../build/kernels.js';
import type { BackendInfo, DType, Storage, ThreadTime } from '../../backend.js';
import { DTypeError } from '../../errors.js';
import type { Block } from './heap.js';
import { WasmMemory } from './memory.js';
import { ThreadPool } from './thread_pool.js';
import { controlBytes, type Spawn } from './worker.js';

/** Size of the ring buffer of int32 words in which the host writes geometry for kernels. */
const PARAMETER_BYTES = 16384;
/** Initial scratch memory per thread: see assembly/scratch.ts. */
const LEAST_SCRATCH = 4096;

/** Arguments of a kernel without the last two, `begin` and `end`. */
type Leading<T> = T extends (...args: infer A) => void ? (A extends [...infer L, number, number] ? L : never) : never;
type KernelName = keyof Kernels;

/** What an engine is made of. */
export interface EngineParts {
  kernels: Kernels;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** Maximum size of the memory. */
  limitBytes: number;
  mode: 'strict' | 'fast';
  /** Name of the build. */
  build: string;
  /** Number of threads, including the caller's. Above 1, the memory is shared and `spawn` is not null. */
  threads: number;
  spawn: Spawn | null;
  threadsOffBecause?: string;
  /** See `ThreadPoolParts`. */
  patienceMs?: number;
}

/** Creates the thread pool, if there is more than one thread. @param control allocates the memory by which threads communicate */
function createThreadPool({ threads, spawn, kernels, module, memory, patienceMs }: EngineParts, control: (bytes: number) => Block) {
  if (threads === 1 || spawn === null) return null;
  const workers = threads - 1;
  const { takeChunk, openTicket } = kernels;
  const { pointer } = control(controlBytes(workers));
  return new ThreadPool({ module, memory, control: pointer, workers, spawn, takeChunk, openTicket, patienceMs });
}

/** Runs kernels on the memory of one instance of the module. */
export class WasmEngine extends WasmMemory {
  /** The kernels of the caller's thread. */
  kernels: Kernels;
  readonly mode: 'strict' | 'fast';

  readonly #build: string;
  readonly #plannedThreads: number;
  readonly #threadsOffBecause: string | undefined;
  #threadPool: ThreadPool | null;
  readonly #parameters: number;
  #parameterEnd = 0;
  #scratch: Block;
  #scratchBytes = LEAST_SCRATCH;

  constructor(parts: EngineParts) {
    const { kernels, memory } = parts;
    super(memory, kernels.heapBase() >>> 0, parts.limitBytes);
    this.kernels = kernels;
    this.mode = parts.mode;
    this.#build = parts.build;
    this.#plannedThreads = parts.threads;
    this.#threadsOffBecause = parts.threadsOffBecause;
    this.#parameters = this.allocateBlock(PARAMETER_BYTES).pointer;
    this.#scratch = this.allocateBlock(LEAST_SCRATCH * parts.threads);
    kernels.setScratch(this.#scratch.pointer);
    this.#threadPool = createThreadPool(parts, (bytes) => this.allocateBlock(bytes));
  }

  /** Number of threads in use, including the caller's. */
  get threads(): number {
    return this.#threadPool === null || this.#threadPool.failure !== undefined ? 1 : this.#plannedThreads;
  }

  info(): BackendInfo {
    const threadsOffBecause = this.#threadPool?.failure ?? this.#threadsOffBecause;
    return {
      backend: 'wasm',
      variant: this.#build,
      threads: this.threads,
      ...(threadsOffBecause === undefined ? {} : { threadsOffBecause }),
      mode: this.mode,
    };
  }

  /** Terminates the workers and drops all references to the memory. */
  override dispose(): void {
    this.#threadPool?.dispose();
    this.#threadPool = null;
    this.kernels = {} as Kernels;
    super.dispose();
  }

  /** Writes int32 words to the ring buffer and returns their address, valid until the ring has been filled once more. */
  parameters(words: readonly number[]): number {
    const bytes = words.length * 4;
    if (this.#parameterEnd + bytes > PARAMETER_BYTES) this.#parameterEnd = 0;
    const pointer = this.#parameters + this.#parameterEnd;
    this.writeWords(pointer, words);
    this.#parameterEnd += bytes;
    return pointer;
  }

  /**
   * Runs the kernel `name(...args, begin, end)` over all `units` in chunks of `grain` units, on all threads. With one thread or one chunk
   * it is a single call; a kernel must therefore give the same result for any division.
   */
  parallel<K extends KernelName>(name: K, units: number, grain: number, ...args: Leading<Kernels[K]>): void {
    if (units <= 0) return;
    const kernel = this.kernels[name] as unknown as (...all: number[]) => void;
    const step = Math.max(1, Math.floor(grain));
    if (this.#threadPool === null || units <= step) {
      kernel(...(args as unknown as number[]), 0, units);
      return;
    }
    this.#threadPool.run(name, kernel, args as unknown as number[], units, step, this.#scratch.pointer, this.#scratchBytes);
  }

  /** Starts to measure how long each thread computes, or ends it. */
  timeThreads(on: boolean): void {
    this.#threadPool?.timeThreads(on);
  }

  /** Returns the time of each thread since `timeThreads(true)`, given the time that the caller spent in kernels. */
  threadTimes(kernelMs: number): ThreadTime[] {
    const { workersMs, waitedMs } = this.#threadPool?.times() ?? { workersMs: [], waitedMs: 0 };
    const workers = workersMs.map((busyMs, i) => ({ name: `worker ${i + 1}`, busyMs }));
    return [{ name: 'main thread', busyMs: kernelMs - waitedMs }, ...workers];
  }

  /** Enlarges each thread's scratch area to at least this size. */
  reserveScratch(bytesPerThread: number): void {
    if (bytesPerThread <= this.#scratchBytes) return;
    const heap = this.heap();
    const bytes = Math.ceil(bytesPerThread / 64) * 64;
    heap.release(this.#scratch);
    try {
      this.#scratch = this.allocateBlock(bytes * this.#plannedThreads);
      this.#scratchBytes = bytes;
    } catch (error) {
      this.#scratch = heap.allocate(this.#scratchBytes * this.#plannedThreads); // the memory just freed
      throw error;
    } finally {
      this.kernels.setScratch(this.#scratch.pointer);
    }
  }

  /** Allocates temporary memory, calls `use` with its address, frees it and returns the result of `use`. */
  temporary<T>(bytes: number, use: (pointer: number) => T): T {
    const heap = this.heap();
    const block = this.allocateBlock(bytes);
    try {
      return use(block.pointer);
    } finally {
      heap.release(block);
    }
  }

  /** @throws DTypeError unless all storages have the element type */
  expect(op: string, dtype: DType, ...storages: Storage[]): void {
    for (const storage of storages) {
      if (storage.dtype !== dtype) throw new DTypeError(`${op}: got ${storage.dtype} on the wasm backend, expected ${dtype}`);
    }
  }
}
