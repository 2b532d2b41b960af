/** Where the reference backend keeps numbers: one typed array a storage, counted, with an optional limit. */
import type { Backend, DType, MemoryUse, Storage, TypedArray } from '../backend.js';
import { BackendError, DisposedError, OutOfMemoryError, ShapeError } from '../errors.js';

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array } as const;

class ReferenceStorage implements Storage {
  /** Null once released. */
  data: TypedArray | null;
  readonly size: number;

  constructor(
    readonly dtype: DType,
    data: TypedArray,
  ) {
    this.data = data;
    this.size = data.length;
  }
}

/** The numbers of a storage, for a kernel to work on. */
export function values(storage: Storage): TypedArray {
  if (!(storage instanceof ReferenceStorage)) {
    throw new BackendError(`reference: got a tensor of another backend, expected one of its own; copy it over first`);
  }
  if (storage.data === null)
    throw new DisposedError(`reference: ${storage.dtype} storage of ${storage.size} elements was already released`);
  return storage.data;
}

type StoragePart = Pick<Backend, 'allocate' | 'release' | 'write' | 'read' | 'memory' | 'resetPeak' | 'dispose'> &
  Required<Pick<Backend, 'readSync'>>;

/** The storage functions of one backend, with its own counters. */
export function createStoragePart(limitBytes = Number.POSITIVE_INFINITY): StoragePart {
  const live = new Set<Storage>();
  let bytes = 0;
  let peakBytes = 0;
  let disposed = false;

  const part: StoragePart = {
    allocate(dtype, size) {
      if (disposed) throw new BackendError('reference: the backend was disposed of; create another one');
      if (!Number.isInteger(size) || size < 0) throw new ShapeError(`allocate: size is ${size}, expected a whole number of at least 0`);
      const requested = size * ARRAYS[dtype].BYTES_PER_ELEMENT;
      if (bytes + requested > limitBytes) throw new OutOfMemoryError(requested, bytes, limitBytes);
      let data: TypedArray;
      try {
        data = new ARRAYS[dtype](size);
      } catch {
        throw new OutOfMemoryError(requested, bytes, limitBytes);
      }
      const storage = new ReferenceStorage(dtype, data);
      live.add(storage);
      bytes += requested;
      peakBytes = Math.max(peakBytes, bytes);
      return storage;
    },

    release(storage) {
      if (disposed) return; // what is forgotten and collected later is released here too
      const data = values(storage);
      if (!live.delete(storage)) throw new BackendError('reference: release of a tensor that another reference backend owns');
      bytes -= data.byteLength;
      (storage as ReferenceStorage).data = null;
    },

    write(storage, data) {
      const target = values(storage);
      if (data.length !== target.length) throw new ShapeError(`write: got ${data.length} elements, expected ${target.length}`);
      target.set(data);
    },

    read: async (storage) => values(storage).slice(),
    readSync: (storage) => values(storage).slice(),

    memory: (): MemoryUse => ({ bytes, buffers: live.size, peakBytes, reservedBytes: bytes }),

    resetPeak() {
      peakBytes = bytes;
    },

    dispose() {
      for (const storage of [...live]) part.release(storage);
      disposed = true;
    },
  };
  return part;
}
