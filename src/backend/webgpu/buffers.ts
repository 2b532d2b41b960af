/**
 * Memory of the WebGPU backend: one GPUBuffer per storage. Released buffers are pooled by exact size and reused at once, which is safe inside
 * one queue. WebGPU forbids to bind one buffer for reading and for writing in one dispatch, even disjoint parts, so that storages are never
 * parts of a larger buffer.
 */
import { type DType, ELEMENT_BYTES, type MemoryUse, type Storage } from '../backend.js';
import { BackendError, DisposedError, DTypeError, OutOfMemoryError, ShapeError } from '../errors.js';
import type { Faults } from './faults.js';
import { type GpuBufferLike, type GpuDeviceLike, USAGE } from './types.js';

/** A buffer of the device. */
export interface GpuBlock {
  /** Identifies the buffer in the caches of bind groups. */
  readonly id: number;
  readonly bytes: number;
  readonly buffer: GpuBufferLike;
  /** Number of the last batch of commands that names the buffer. */
  batch: number;
  /** The error of the device if it had no memory for this buffer. */
  failure: OutOfMemoryError | null;
}

/** A storage of one WebGPU backend. */
export class GpuStorage implements Storage {
  /** Null once released. */
  block: GpuBlock | null;
  constructor(
    /** The memory that holds the block. */
    readonly owner: object,
    readonly dtype: DType,
    readonly size: number,
    block: GpuBlock,
  ) {
    this.block = block;
  }
}

/** The commands that are recorded and not yet submitted. */
export interface OpenBatch {
  /** Number of the batch that is being recorded. */
  readonly number: number;
  /** Submits the recorded commands. */
  flush(): void;
  /** Batches from `first` to the open one use a buffer that does not exist: their validation errors follow from that. */
  excuse(first: number): void;
}

export const GPU_DTYPES: readonly DType[] = ['float32', 'int32', 'uint8'];
const ALIGN = 16;
const NOTHING_TO_TRIM = 64 * 2 ** 20;

/** Returns the size of a buffer: a multiple of 16 bytes, so that kernels may process vectors of four elements. */
const paddedBytes = (bytes: number): number => Math.max(ALIGN, Math.ceil(bytes / ALIGN) * ALIGN);

/** Advice of the errors about the size of one buffer or the budget. */
const ADVICE =
  'use a smaller batch, or micro-batches that accumulate gradients (the option `microBatch` of training), or free memory: eval() or noGrad(fn) keep no graph for inference, scope(fn) and dispose() free results';

/** The buffers of one device. */
export class GpuMemory {
  /** Free blocks by size, in the order of their ids: the same allocations of a loop get the same blocks in every round. */
  readonly #free = new Map<number, GpuBlock[]>();
  readonly #use: MemoryUse = { bytes: 0, buffers: 0, peakBytes: 0, reservedBytes: 0 };
  /** Bytes of the blocks in use, and their maximum. */
  #held = 0;
  #mostHeld = 0;
  #ids = 0;

  constructor(
    readonly device: GpuDeviceLike,
    readonly limits: { readonly maxBufferBytes: number; readonly maxBytes: number },
    readonly faults: Faults,
    readonly open: OpenBatch,
    /** Forgets all cached bind groups, which name buffers that will be destroyed. */
    readonly forgetGroups: () => void,
  ) {}

  allocate(dtype: DType, size: number): GpuStorage {
    this.faults.check();
    if (!GPU_DTYPES.includes(dtype))
      throw new DTypeError(`allocate: got ${dtype} on the webgpu backend, expected ${GPU_DTYPES.join(', ')}`);
    if (!Number.isInteger(size) || size < 0) throw new ShapeError(`allocate: size is ${size}, expected a whole number of at least 0`);
    const bytes = size * ELEMENT_BYTES[dtype];
    const storage = new GpuStorage(this, dtype, size, this.#block(paddedBytes(bytes), bytes));
    this.#use.bytes += bytes;
    this.#use.buffers++;
    this.#use.peakBytes = Math.max(this.#use.peakBytes, this.#use.bytes);
    return storage;
  }

  /** Returns the storage. @throws BackendError for a storage of another backend; DisposedError if it was released */
  own(storage: Storage): GpuStorage {
    if (!(storage instanceof GpuStorage) || storage.owner !== this)
      throw new BackendError('webgpu: got a tensor of another backend, expected one of this backend; copy it first');
    if (storage.block === null)
      throw new DisposedError(`webgpu: ${storage.dtype} storage of ${storage.size} elements was already released`);
    return storage;
  }

  release(storage: Storage): void {
    if (this.faults.disposed) return;
    const owned = this.own(storage);
    this.#giveBack(owned.block!);
    owned.block = null;
    this.#use.bytes -= owned.size * ELEMENT_BYTES[owned.dtype];
    this.#use.buffers--;
  }

  memory(): MemoryUse {
    return { ...this.#use };
  }

  resetPeak(): void {
    this.#use.peakBytes = this.#use.bytes;
  }

  /** Returns a storage for partial results, which `memory` does not count. */
  scratch(bytes: number): GpuStorage {
    return new GpuStorage(this, 'uint8', bytes, this.#block(paddedBytes(bytes), bytes));
  }

  dropScratch(storage: GpuStorage): void {
    this.#giveBack(this.own(storage).block!);
    storage.block = null;
  }

  #giveBack(block: GpuBlock): void {
    this.#held -= block.bytes;
    if (block.failure) {
      this.#use.reservedBytes -= block.bytes;
      return;
    }
    const free = this.#free.get(block.bytes);
    if (free === undefined) {
      this.#free.set(block.bytes, [block]);
      return;
    }
    let at = free.length;
    while (at > 0 && free[at - 1].id < block.id) at--;
    free.splice(at, 0, block);
    // A map keeps the order of insertion: the sizes that were released last are at its end.
    this.#free.delete(block.bytes);
    this.#free.set(block.bytes, free);
  }

  #block(bytes: number, requested: number): GpuBlock {
    const block = this.#free.get(bytes)?.pop() ?? this.#create(bytes, requested);
    this.#held += bytes;
    this.#mostHeld = Math.max(this.#mostHeld, this.#held);
    return block;
  }

  /** Creates a buffer; frees pooled buffers first if the budget or twice the largest use would be exceeded. */
  #create(bytes: number, requested: number): GpuBlock {
    const { maxBufferBytes, maxBytes } = this.limits;
    if (bytes > maxBufferBytes) throw new OutOfMemoryError(requested, this.#use.bytes, maxBufferBytes, 'allocate', ADVICE);
    if (this.#held + bytes > maxBytes) throw new OutOfMemoryError(requested, this.#use.bytes, maxBytes, 'allocate', ADVICE);
    this.trim(Math.min(maxBytes, 2 * Math.max(this.#mostHeld, this.#held + bytes) + NOTHING_TO_TRIM) - bytes);
    const { device } = this;
    device.pushErrorScope('out-of-memory');
    const usage = USAGE.storage | USAGE.copySource | USAGE.copyTarget;
    const buffer = device.createBuffer({ label: `storage of ${bytes} bytes`, size: bytes, usage });
    const block: GpuBlock = { id: ++this.#ids, bytes, buffer, batch: 0, failure: null };
    this.#use.reservedBytes += bytes;
    const first = this.open.number;
    this.faults.await(
      device.popErrorScope().then((error) => {
        if (error) this.#failed(block, requested, first);
      }),
    );
    return block;
  }

  /** The device had no memory for a block: frees the pool and lets the next read reject. The backend stays usable. */
  #failed(block: GpuBlock, requested: number, first: number): void {
    block.failure = new OutOfMemoryError(requested, this.#use.bytes, this.#use.reservedBytes, 'allocate', ADVICE);
    this.open.excuse(first);
    this.faults.report(block.failure);
    this.trim(0);
  }

  /** Destroys pooled buffers, of the sizes released longest ago first, until at most `bytes` are reserved. */
  trim(bytes: number): void {
    if (this.#use.reservedBytes <= bytes) return;
    const doomed: GpuBlock[] = [];
    for (const [size, free] of this.#free) {
      while (free.length > 0 && this.#use.reservedBytes > bytes) {
        doomed.push(free.pop()!);
        this.#use.reservedBytes -= size;
      }
      if (free.length === 0) this.#free.delete(size);
    }
    if (doomed.length === 0) return;
    // Commands that are recorded must not name a destroyed buffer; submitted ones may.
    if (doomed.some(({ batch }) => batch === this.open.number)) this.open.flush();
    this.forgetGroups();
    for (const { buffer } of doomed) buffer.destroy();
  }
}
