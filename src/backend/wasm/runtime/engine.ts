/**
 * The engine below the kernels' host files: memory, arguments, scratch areas and threads of one instance of the module.
 */
import type { Kernels } from '../../../../build/kernels.js';
import type { BackendInfo, DType, MemoryUse, Storage, TypedArray } from '../../backend.js';
import { BackendError, DisposedError, DTypeError, OutOfMemoryError, ShapeError } from '../../errors.js';
import { type Block, Heap } from './heap.js';
import { Pool } from './thread_pool.js';
import { CONTROL_BYTES, type Spawn } from './worker.js';

const BYTES: Record<string, number> = { float32: 4, int32: 4, uint8: 1 };

/** int32 words that hold geometry for kernels: a ring, of which each call writes a new part. */
const PARAMETER_BYTES = 16384;
/** Scratch memory that every thread has from the start: see assembly/scratch.ts. */
const LEAST_SCRATCH = 4096;

/** Kernels that work can be split over: their last two arguments are `begin` and `end`. */
type Leading<T> = T extends (...args: infer A) => void ? (A extends [...infer L, number, number] ? L : never) : never;
type KernelName = keyof Kernels;

const MOST_ELEMENTS = 2 ** 31 - 1;

/** Memory for what is computed from weights and kept, all storages together: four networks of ZFNet's size. */
const DERIVED_BYTES = 256 * 2 ** 20;

class WasmStorage implements Storage {
  /** Null once released. */
  block: Block | null;
  /** Whether the engine keeps something that was computed from these numbers. */
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

export interface EngineParts {
  kernels: Kernels;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** The most bytes that the memory can grow to. */
  limitBytes: number;
  mode: 'strict' | 'fast';
  /** Name of the build. */
  build: string;
  /** Threads in all; above 1 the memory is shared and `spawn` given. */
  threads: number;
  spawn: Spawn | null;
  threadsOffBecause?: string;
  /** See `PoolParts`. */
  patienceMs?: number;
}

export class WasmEngine {
  /** Of the caller's thread. */
  kernels: Kernels;
  readonly mode: 'strict' | 'fast';

  readonly #build: string;
  readonly #plannedThreads: number;
  readonly #threadsOffBecause: string | undefined;
  /** Null once the backend was disposed of. */
  #heap: Heap | null;
  #pool: Pool | null;
  readonly #parameters: number;
  #parameterEnd = 0;
  #scratch: Block;
  #scratchBytes = LEAST_SCRATCH;
  /** What is kept of storages' numbers, the least recently used first. */
  readonly #derived = new Map<WasmStorage, { name: string; bytes: number; block: Block }>();
  #derivedBytes = 0;
  #u8: Uint8Array;
  #i32: Int32Array;
  #f32: Float32Array;

  constructor(parts: EngineParts) {
    const { kernels, module, memory } = parts;
    this.kernels = kernels;
    this.mode = parts.mode;
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
    this.#parameters = heap.take(PARAMETER_BYTES).pointer;
    this.#scratch = heap.take(LEAST_SCRATCH * parts.threads);
    kernels.setScratch(this.#scratch.pointer);
    this.#pool =
      parts.threads > 1 && parts.spawn
        ? new Pool({
            module,
            memory,
            control: heap.take(CONTROL_BYTES).pointer,
            workers: parts.threads - 1,
            spawn: parts.spawn,
            takeChunk: kernels.takeChunk,
            openTicket: kernels.openTicket,
            patienceMs: parts.patienceMs,
          })
        : null;
  }

  /** Threads that work is split over, the caller's among them. */
  get threads(): number {
    return this.#pool === null || this.#pool.failure !== undefined ? 1 : this.#plannedThreads;
  }

  info(): BackendInfo {
    const threadsOffBecause = this.#pool?.failure ?? this.#threadsOffBecause;
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
    const width = BYTES[dtype];
    if (width === undefined) throw new DTypeError(`allocate: the wasm backend has no ${dtype}; use float32, or the reference backend`);
    if (!Number.isInteger(size) || size < 0) throw new ShapeError(`allocate: size is ${size}, expected a whole number of at least 0`);
    // Kernels count elements in 32 bits, of which only uint8 could have more.
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
    this.#heap.count(-storage.size * BYTES[storage.dtype], -1);
    (storage as WasmStorage).block = null;
  }

  /**
   * Where the storage's numbers begin, in bytes; above 2 GiB too. Whoever asks may write there, so what was derived from the
   * numbers is dropped: nobody who writes needs to know that such a thing exists.
   */
  pointer(storage: Storage): number {
    const { pointer } = this.#block(storage);
    if ((storage as WasmStorage).hasDerived) this.#dropDerived(storage as WasmStorage);
    return pointer;
  }

  /** As `pointer`, for those who promise to read alone. */
  readingPointer(storage: Storage): number {
    return this.#block(storage).pointer;
  }

  /**
   * Where `bytes` computed from the storage's numbers stand: by `compute` now, or by an earlier call of the same `name` if the
   * numbers have not changed since. Null if there is no room for them. Good until the next call that takes or gives memory.
   */
  derived(storage: Storage, name: string, bytes: number, compute: (pointer: number) => void): number | null {
    const owner = storage as WasmStorage;
    this.#block(storage);
    const known = this.#derived.get(owner);
    if (known?.name === name) {
      this.#derived.delete(owner);
      this.#derived.set(owner, known); // behind all others
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
      block = this.#live().take(bytes);
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

  /** A block of the heap, for which what is kept makes room where nothing else does. */
  #take(bytes: number): Block {
    const heap = this.#live();
    try {
      return heap.take(bytes);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || this.#derived.size === 0) throw error;
      for (const owner of this.#derived.keys()) this.#dropDerived(owner);
      return heap.take(bytes);
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

  /** Ends the workers and lets go of everything that holds the memory. */
  dispose(): void {
    this.#pool?.dispose();
    this.#pool = null;
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

  /** The numbers themselves, until the memory grows. */
  #view(storage: Storage): TypedArray {
    const { pointer } = this.#block(storage);
    if (storage.dtype === 'uint8') return this.#u8.subarray(pointer, pointer + storage.size);
    const first = pointer / 4;
    return (storage.dtype === 'int32' ? this.#i32 : this.#f32).subarray(first, first + storage.size);
  }

  #block(storage: Storage): Block {
    const { engine, block } = storage as WasmStorage;
    if (engine !== this) throw new BackendError('wasm: got a tensor of another backend, expected one of its own; copy it over first');
    if (block === null) throw new DisposedError(`wasm: ${storage.dtype} storage of ${storage.size} elements was already released`);
    this.#live();
    return block;
  }

  // Work ------------------------------------------------------------------------------------------

  /** Writes int32 words where kernels can read them, and returns where: good until a few hundred more have been written. */
  parameters(words: readonly number[]): number {
    const bytes = words.length * 4;
    if (this.#parameterEnd + bytes > PARAMETER_BYTES) this.#parameterEnd = 0;
    const pointer = this.#parameters + this.#parameterEnd;
    this.#i32.set(words, pointer / 4);
    this.#parameterEnd += bytes;
    return pointer;
  }

  /** A view of `count` int32 at a pointer, until the memory grows. */
  int32(pointer: number, count: number): Int32Array {
    return this.#i32.subarray(pointer / 4, pointer / 4 + count);
  }

  /**
   * Runs kernel `name(...args, begin, end)` over all `units` in chunks of `grain`, on all threads. Where there is but one
   * thread, or one chunk, it is one plain call; so a kernel must give the same however it is split.
   */
  parallel<K extends KernelName>(name: K, units: number, grain: number, ...args: Leading<Kernels[K]>): void {
    if (units <= 0) return;
    const kernel = this.kernels[name] as unknown as (...all: number[]) => void;
    const step = Math.max(1, Math.floor(grain));
    if (this.#pool === null || units <= step) {
      kernel(...(args as unknown as number[]), 0, units);
      return;
    }
    this.#pool.run(name, kernel, args as unknown as number[], units, step, this.#scratch.pointer, this.#scratchBytes);
  }

  /** Makes sure that each thread's scratch area has at least this many bytes. */
  reserveScratch(bytesPerThread: number): void {
    if (bytesPerThread <= this.#scratchBytes) return;
    const heap = this.#live();
    const bytes = Math.ceil(bytesPerThread / 64) * 64;
    heap.give(this.#scratch);
    try {
      this.#scratch = this.#take(bytes * this.#plannedThreads);
      this.#scratchBytes = bytes;
    } catch (error) {
      this.#scratch = heap.take(this.#scratchBytes * this.#plannedThreads); // what was just given back
      throw error;
    } finally {
      this.kernels.setScratch(this.#scratch.pointer);
    }
  }

  /** Borrows memory for the time of `use`. */
  temporary<T>(bytes: number, use: (pointer: number) => T): T {
    const heap = this.#live();
    const block = this.#take(bytes);
    try {
      return use(block.pointer);
    } finally {
      heap.give(block);
    }
  }

  /** Throws unless all have the type. */
  expect(op: string, dtype: DType, ...storages: Storage[]): void {
    for (const storage of storages) {
      if (storage.dtype !== dtype) throw new DTypeError(`${op}: got ${storage.dtype} on the wasm backend, expected ${dtype}`);
    }
  }
}
