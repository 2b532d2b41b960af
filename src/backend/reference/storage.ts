/** Memory of the reference backend: one typed array per storage, with statistics and an optional limit. */
import { type Backend, type DType, IN_PLACE, type Input, type MemoryUse, type Storage, type TypedArray } from '../backend.js';
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

/** Returns the array of a storage. @throws BackendError for a storage of another backend; DisposedError if it was released */
export function values(storage: Storage): TypedArray {
  if (!(storage instanceof ReferenceStorage)) {
    throw new BackendError(`reference: got a tensor of another backend, expected one of this backend; copy it first`);
  }
  if (storage.data === null)
    throw new DisposedError(`reference: ${storage.dtype} storage of ${storage.size} elements was already released`);
  return storage.data;
}

/** Returns the array of an input, which is that of the output `y` for `IN_PLACE`. */
export const inputValues = (x: Input, y: Storage): TypedArray => values(x === IN_PLACE ? y : x);

type StoragePart = Pick<
  Backend,
  'capabilities' | 'allocate' | 'release' | 'write' | 'read' | 'readSync' | 'synchronize' | 'memory' | 'resetPeak' | 'dispose'
>;

/** Creates the memory functions of one backend, with its own statistics. */
export function createStoragePart(limitBytes = 2 ** 32): StoragePart {
  const live = new Set<Storage>();
  let bytes = 0;
  let peakBytes = 0;
  let disposed = false;

  const part: StoragePart = {
    capabilities: { syncRead: true, dtypes: Object.keys(ARRAYS) as DType[], maxBufferBytes: limitBytes, deterministic: true },

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
      if (disposed) return; // tensors that are garbage-collected after the backend was disposed of are released here too
      const data = values(storage);
      if (!live.delete(storage))
        throw new BackendError('reference: got a tensor of another reference backend, expected one of this backend');
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
    synchronize: async () => undefined,

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
