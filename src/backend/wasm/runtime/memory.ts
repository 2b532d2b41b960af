/** The memory of one instance of the WebAssembly module: its heap, the storages in it, and the values derived from them. */
import { type Capabilities, type DType, ELEMENT_BYTES, type MemoryUse, type Storage, type TypedArray } from '../../backend.js';
import { BackendError, DisposedError, DTypeError, OutOfMemoryError, ShapeError } from '../../errors.js';
import { DerivedCache } from './derived.js';
import { type Block, Heap } from './heap.js';
import { WasmStorage } from './storage.js';

/** Element types of the kernels. */
const DTYPES: readonly DType[] = ['float32', 'int32', 'uint8'];

const MOST_ELEMENTS = 2 ** 31 - 1;

/** Allocates, reads and writes storages, and gives their addresses to kernels. */
export class WasmMemory {
  readonly capabilities: Capabilities;
  /** Null after the backend was disposed of. */
  #heap: Heap | null;
  #derived = new DerivedCache();
  #u8 = new Uint8Array(0);
  #i32 = new Int32Array(0);
  #f32 = new Float32Array(0);

  /** Manages everything from the address `base` on, up to `limitBytes`. */
  constructor(memory: WebAssembly.Memory, base: number, limitBytes: number) {
    this.capabilities = {
      syncRead: true,
      dtypes: DTYPES,
      maxBufferBytes: Math.min(limitBytes, 4 * MOST_ELEMENTS),
      deterministic: true,
    };
    this.#look(memory.buffer);
    this.#heap = new Heap(memory, base, limitBytes, () => this.#look(memory.buffer));
  }

  /** Makes the views of the memory, at the start and whenever it has grown. */
  #look(buffer: ArrayBuffer): void {
    this.#u8 = new Uint8Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#f32 = new Float32Array(buffer);
  }

  allocate(dtype: DType, size: number): Storage {
    this.heap();
    const width = ELEMENT_BYTES[dtype];
    if (!DTYPES.includes(dtype)) throw new DTypeError(`allocate: the wasm backend has no ${dtype}; use float32, or the reference backend`);
    if (!Number.isInteger(size) || size < 0) throw new ShapeError(`allocate: size is ${size}, expected a whole number of at least 0`);
    // Kernels count elements in 32 bits; only uint8 storages could have more elements.
    if (size > MOST_ELEMENTS) throw new OutOfMemoryError(size * width, this.memory().bytes, this.heap().limitBytes);
    const storage = new WasmStorage(this, dtype, size, this.allocateBlock(size * width));
    this.heap().count(size * width, 1);
    return storage;
  }

  release(storage: Storage): void {
    if (this.#heap === null) return;
    const block = this.#blockOf(storage);
    this.#evict(storage as WasmStorage);
    this.#heap.release(block);
    this.#heap.count(-storage.size * ELEMENT_BYTES[storage.dtype], -1);
    (storage as WasmStorage).block = null;
  }

  /**
   * Returns the address of a storage in bytes, which may exceed 2 GiB. The caller may write to it, so values derived from the storage are
   * evicted from the cache.
   */
  pointer(storage: Storage): number {
    const { pointer } = this.#blockOf(storage);
    if ((storage as WasmStorage).hasDerived) this.#evict(storage as WasmStorage);
    return pointer;
  }

  /** Returns the address of a storage for reading only; keeps the values derived from it. */
  readingPointer(storage: Storage): number {
    return this.#blockOf(storage).pointer;
  }

  /**
   * Returns the address of values derived from a storage: cached from an earlier call with the same `name`, or computed now by `compute`.
   * Returns null if there is no memory for them. The address is valid until the next call that allocates or frees memory.
   */
  derived(storage: Storage, name: string, bytes: number, compute: (pointer: number) => void): number | null {
    this.#blockOf(storage);
    return this.#derived.get(this.heap(), storage as WasmStorage, name, bytes, compute);
  }

  #evict(owner: WasmStorage): void {
    if (this.#heap !== null) this.#derived.evict(this.#heap, owner);
  }

  /** Allocates a block; if memory is exhausted, evicts the cache and tries again. */
  protected allocateBlock(bytes: number): Block {
    const heap = this.heap();
    try {
      return heap.allocate(bytes);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError) || !this.#derived.evictAll(heap)) throw error;
      return heap.allocate(bytes);
    }
  }

  write(storage: Storage, data: TypedArray): void {
    if (data.length !== storage.size) throw new ShapeError(`write: got ${data.length} elements, expected ${storage.size}`);
    this.#evict(storage as WasmStorage);
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

  /** Returns a view of `count` int32 words at an address, valid until the memory grows. */
  int32(pointer: number, count: number): Int32Array {
    return this.#i32.subarray(pointer / 4, pointer / 4 + count);
  }

  /** Writes int32 words to an address. */
  protected writeWords(pointer: number, words: readonly number[]): void {
    this.#i32.set(words, pointer / 4);
  }

  /** Drops all references to the memory. */
  dispose(): void {
    this.#heap = null;
    this.#derived = new DerivedCache();
    this.#look(new ArrayBuffer(0));
  }

  /** Returns the heap. @throws BackendError after the backend was disposed of */
  protected heap(): Heap {
    if (this.#heap === null) throw new BackendError('wasm: the backend was disposed of; create another one');
    return this.#heap;
  }

  /** Returns a view of a storage, valid until the memory grows. */
  #view(storage: Storage): TypedArray {
    const { pointer } = this.#blockOf(storage);
    if (storage.dtype === 'uint8') return this.#u8.subarray(pointer, pointer + storage.size);
    const first = pointer / 4;
    return (storage.dtype === 'int32' ? this.#i32 : this.#f32).subarray(first, first + storage.size);
  }

  /** Returns the block of a storage. @throws BackendError for a storage of another backend; DisposedError after its release */
  #blockOf(storage: Storage): Block {
    const { owner, block } = storage as WasmStorage;
    if (owner !== this) throw new BackendError('wasm: got a tensor of another backend, expected one of this backend; copy it first');
    if (block === null) throw new DisposedError(`wasm: ${storage.dtype} storage of ${storage.size} elements was already released`);
    this.heap();
    return block;
  }
}
