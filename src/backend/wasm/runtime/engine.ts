/**
 * The engine of the wasm backend: memory, kernel arguments, scratch areas and threads of one instance of the WebAssembly module.
 */
import type { Kernels } from '../../../../build/kernels.js';
import {
  type BackendInfo,
  type Capabilities,
  type DType,
  ELEMENT_BYTES,
  type MemoryUse,
  type Storage,
  type ThreadTime,
  type TypedArray,
} from '../../backend.js';
import { BackendError, DisposedError, DTypeError, OutOfMemoryError, ShapeError } from '../../errors.js';
import { type Block, Heap } from './heap.js';
import { ThreadPool } from './thread_pool.js';
import { controlBytes, type Spawn } from './worker.js';

/** Size of the ring buffer of int32 words in which the host writes geometry for kernels. */
const PARAMETER_BYTES = 16384;
/** Initial scratch memory per thread: see assembly/scratch.ts. */
const LEAST_SCRATCH = 4096;

/** Arguments of a kernel without the last two, `begin` and `end`. */
type Leading<T> = T extends (...args: infer A) => void ? (A extends [...infer L, number, number] ? L : never) : never;
type KernelName = keyof Kernels;

/** Element types of the kernels. */
const DTYPES: readonly DType[] = ['float32', 'int32', 'uint8'];

const MOST_ELEMENTS = 2 ** 31 - 1;

/** Maximum memory of the cache of values derived from weights; enough for four networks of ZFNet's size. */
const DERIVED_BYTES = 256 * 2 ** 20;

class WasmStorage implements Storage {
  /** Null once released. */
  block: Block | null;
  /** Whether the cache contains values derived from this storage. */
  hasDerived = false;
  constructor(
    readonly engine: WasmEngine,
    readonly dtype: DType,
    readonly size: number,
    block: Block,
  ) {
    this.block = block;
  }
}

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

export class WasmEngine {
  /** The kernels of the caller's thread. */
  kernels: Kernels;
  readonly mode: 'strict' | 'fast';
  readonly capabilities: Capabilities;

  readonly #build: string;
  readonly #plannedThreads: number;
  readonly #threadsOffBecause: string | undefined;
  /** Null after the backend was disposed of. */
  #heap: Heap | null;
  #threadPool: ThreadPool | null;
  readonly #parameters: number;
  #parameterEnd = 0;
  #scratch: Block;
  #scratchBytes = LEAST_SCRATCH;
  /** Cache of values derived from weights (transformed filters), least recently used first. */
  readonly #derived = new Map<WasmStorage, { name: string; bytes: number; block: Block }>();
  #derivedBytes = 0;
  #u8: Uint8Array;
  #i32: Int32Array;
  #f32: Float32Array;

  constructor(parts: EngineParts) {
    const { kernels, module, memory } = parts;
    this.kernels = kernels;
    this.mode = parts.mode;
    this.capabilities = {
      syncRead: true,
      dtypes: DTYPES,
      maxBufferBytes: Math.min(parts.limitBytes, 4 * MOST_ELEMENTS),
      deterministic: true,
    };
    this.#build = parts.build;
    this.#plannedThreads = parts.threads;
    this.#threadsOffBecause = parts.threadsOffBecause;
    const views = () => {
      this.#u8 = new Uint8Array(memory.buffer);
      this.#i32 = new Int32Array(memory.buffer);
      this.#f32 = new Float32Array(memory.buffer);
    };
    this.#u8 = new Uint8Array(0);
    this.#i32 = new Int32Array(0);
    this.#f32 = new Float32Array(0);
    views();
    const heap = new Heap(memory, kernels.heapBase() >>> 0, parts.limitBytes, views);
    this.#heap = heap;
    this.#parameters = heap.allocate(PARAMETER_BYTES).pointer;
    this.#scratch = heap.allocate(LEAST_SCRATCH * parts.threads);
    kernels.setScratch(this.#scratch.pointer);
    this.#threadPool =
      parts.threads > 1 && parts.spawn
        ? new ThreadPool({
            module,
            memory,
            control: heap.allocate(controlBytes(parts.threads - 1)).pointer,
            workers: parts.threads - 1,
            spawn: parts.spawn,
            takeChunk: kernels.takeChunk,
            openTicket: kernels.openTicket,
            patienceMs: parts.patienceMs,
          })
        : null;
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

  // Storage ---------------------------------------------------------------------------------------

  allocate(dtype: DType, size: number): Storage {
    this.#live();
    const width = ELEMENT_BYTES[dtype];
    if (!DTYPES.includes(dtype)) throw new DTypeError(`allocate: the wasm backend has no ${dtype}; use float32, or the reference backend`);
    if (!Number.isInteger(size) || size < 0) throw new ShapeError(`allocate: size is ${size}, expected a whole number of at least 0`);
    // Kernels count elements in 32 bits; only uint8 storages could have more elements.
    if (size > MOST_ELEMENTS) throw new OutOfMemoryError(size * width, this.memory().bytes, this.#live().limitBytes);
    const storage = new WasmStorage(this, dtype, size, this.#take(size * width));
    this.#live().count(size * width, 1);
    return storage;
  }

  release(storage: Storage): void {
    if (this.#heap === null) return;
    const block = this.#block(storage);
    this.#dropDerived(storage as WasmStorage);
    this.#heap.give(block);
    this.#heap.count(-storage.size * ELEMENT_BYTES[storage.dtype], -1);
    (storage as WasmStorage).block = null;
  }

  /**
   * Returns the address of a storage in bytes, which may exceed 2 GiB. The caller may write to it, so values derived from the storage are
   * evicted from the cache.
   */
  pointer(storage: Storage): number {
    const { pointer } = this.#block(storage);
    if ((storage as WasmStorage).hasDerived) this.#dropDerived(storage as WasmStorage);
    return pointer;
  }

  /** Returns the address of a storage for reading only; keeps the values derived from it. */
  readingPointer(storage: Storage): number {
    return this.#block(storage).pointer;
  }

  /**
   * Returns the address of values derived from a storage: cached from an earlier call with the same `name`, or computed now by `compute`.
   * Returns null if there is no memory for them. The address is valid until the next call that allocates or frees memory.
   */
  derived(storage: Storage, name: string, bytes: number, compute: (pointer: number) => void): number | null {
    const owner = storage as WasmStorage;
    this.#block(storage);
    const known = this.#derived.get(owner);
    if (known?.name === name) {
      this.#derived.delete(owner);
      this.#derived.set(owner, known); // most recently used
      return known.block.pointer;
    }
    this.#dropDerived(owner);
    if (bytes > DERIVED_BYTES) return null;
    for (const other of this.#derived.keys()) {
      if (this.#derivedBytes + bytes <= DERIVED_BYTES) break;
      this.#dropDerived(other);
    }
    let block: Block;
    try {
      block = this.#live().allocate(bytes);
    } catch (error) {
      if (error instanceof OutOfMemoryError) return null;
      throw error;
    }
    try {
      compute(block.pointer);
    } catch (error) {
      this.#live().give(block);
      throw error;
    }
    owner.hasDerived = true;
    this.#derived.set(owner, { name, bytes, block });
    this.#derivedBytes += bytes;
    return block.pointer;
  }

  #dropDerived(owner: WasmStorage): void {
    const known = this.#derived.get(owner);
    if (known === undefined) return;
    this.#derived.delete(owner);
    this.#derivedBytes -= known.bytes;
    owner.hasDerived = false;
    this.#heap?.give(known.block);
  }

  /** Allocates a block; if memory is exhausted, evicts the cache and tries again. */
  #take(bytes: number): Block {
    const heap = this.#live();
    try {
      return heap.allocate(bytes);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || this.#derived.size === 0) throw error;
      for (const owner of this.#derived.keys()) this.#dropDerived(owner);
      return heap.allocate(bytes);
    }
  }

  write(storage: Storage, data: TypedArray): void {
    if (data.length !== storage.size) throw new ShapeError(`write: got ${data.length} elements, expected ${storage.size}`);
    this.#dropDerived(storage as WasmStorage);
    this.#view(storage).set(data);
  }

  readSync(storage: Storage): TypedArray {
    return this.#view(storage).slice();
  }

  memory(): MemoryUse {
    if (this.#heap === null) return { bytes: 0, buffers: 0, peakBytes: 0, reservedBytes: 0 };
    const { bytes, buffers, peakBytes, reservedBytes } = this.#heap;
    return { bytes, buffers, peakBytes, reservedBytes };
  }

  resetPeak(): void {
    if (this.#heap !== null) this.#heap.peakBytes = this.#heap.bytes;
  }

  /** Terminates the workers and drops all references to the memory. */
  dispose(): void {
    this.#threadPool?.dispose();
    this.#threadPool = null;
    this.#heap = null;
    this.#derived.clear();
    this.#derivedBytes = 0;
    this.kernels = {} as Kernels;
    this.#u8 = new Uint8Array(0);
    this.#i32 = new Int32Array(0);
    this.#f32 = new Float32Array(0);
  }

  #live(): Heap {
    if (this.#heap === null) throw new BackendError('wasm: the backend was disposed of; create another one');
    return this.#heap;
  }

  /** Returns a view of a storage, valid until the memory grows. */
  #view(storage: Storage): TypedArray {
    const { pointer } = this.#block(storage);
    if (storage.dtype === 'uint8') return this.#u8.subarray(pointer, pointer + storage.size);
    const first = pointer / 4;
    return (storage.dtype === 'int32' ? this.#i32 : this.#f32).subarray(first, first + storage.size);
  }

  #block(storage: Storage): Block {
    const { engine, block } = storage as WasmStorage;
    if (engine !== this) throw new BackendError('wasm: got a tensor of another backend, expected one of this backend; copy it first');
    if (block === null) throw new DisposedError(`wasm: ${storage.dtype} storage of ${storage.size} elements was already released`);
    this.#live();
    return block;
  }

  // Work ------------------------------------------------------------------------------------------

  /** Writes int32 words to the ring buffer and returns their address, valid until the ring has been filled once more. */
  parameters(words: readonly number[]): number {
    const bytes = words.length * 4;
    if (this.#parameterEnd + bytes > PARAMETER_BYTES) this.#parameterEnd = 0;
    const pointer = this.#parameters + this.#parameterEnd;
    this.#i32.set(words, pointer / 4);
    this.#parameterEnd += bytes;
    return pointer;
  }

  /** Returns a view of `count` int32 words at an address, valid until the memory grows. */
  int32(pointer: number, count: number): Int32Array {
    return this.#i32.subarray(pointer / 4, pointer / 4 + count);
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
    const heap = this.#live();
    const bytes = Math.ceil(bytesPerThread / 64) * 64;
    heap.give(this.#scratch);
    try {
      this.#scratch = this.#take(bytes * this.#plannedThreads);
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
    const heap = this.#live();
    const block = this.#take(bytes);
    try {
      return use(block.pointer);
    } finally {
      heap.give(block);
    }
  }

  /** @throws DTypeError unless all storages have the element type */
  expect(op: string, dtype: DType, ...storages: Storage[]): void {
    for (const storage of storages) {
      if (storage.dtype !== dtype) throw new DTypeError(`${op}: got ${storage.dtype} on the wasm backend, expected ${dtype}`);
    }
  }
}
