/**
 * The deferred backend: the reference backend behind a queue, to test the contract of backends without a GPU. It behaves as the rules in
 * `src/backend/backend.ts` allow at most: kernels are queued and none runs before `synchronize` or `read`, nothing can be read
 * synchronously, errors come late, a storage must not be read and written by one kernel, and released memory becomes NaN.
 */
import { type Backend, type DType, ELEMENT_BYTES, type KernelListener, type Storage } from '../../../src/backend/backend.js';
import { BackendError, DeviceLostError, DisposedError, ShapeError } from '../../../src/backend/errors.js';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';

/** A deferred backend, with what tests look at. */
export interface DeferredBackend extends Backend {
  /** Number of steps in the queue. */
  queued(): number;
  /** Loses the device: from now on, calls throw or reject with a `DeviceLostError`. */
  lose(): void;
}

type Method = (...args: unknown[]) => unknown;

/** Methods of a backend that are not kernels. */
const NOT_KERNELS: readonly string[] = [
  'info',
  'allocate',
  'release',
  'write',
  'read',
  'readSync',
  'synchronize',
  'memory',
  'resetPeak',
  'dispose',
  'profileKernels',
  'conv2dPlan',
] satisfies (keyof Backend)[];

/** Number of arguments that are storages, or an object of storages, which a kernel writes, if it is not one. They are the first ones. */
const OUTPUTS: Record<string, number> = { maxPool2d: 2, sgd: 2, checkFinite: 0, checkIndices: 0 };

class DeferredStorage implements Storage {
  released = false;
  constructor(
    readonly owner: Queue,
    readonly inner: Storage,
  ) {}

  get dtype(): DType {
    return this.inner.dtype;
  }

  get size(): number {
    return this.inner.size;
  }
}

/** The queue of steps, and the first error of those that ran. */
class Queue {
  lost = false;
  disposed = false;
  readonly steps: (() => void)[] = [];
  #errors: unknown[] = [];

  add(step: () => void): void {
    this.steps.push(step);
  }

  /** Runs all steps later, as a device would, and rejects with the first error since the last call. */
  async run(): Promise<void> {
    this.check();
    await new Promise((resolve) => setImmediate(resolve));
    for (const step of this.steps.splice(0)) {
      try {
        step();
      } catch (error) {
        this.#errors.push(error);
      }
    }
    this.check();
    const [first] = this.#errors;
    const failed = this.#errors.length > 0;
    this.#errors = [];
    if (failed) throw first;
  }

  check(): void {
    if (this.lost) throw new DeviceLostError('deferred: the device was lost; create another backend and resume from a checkpoint');
    if (this.disposed) throw new BackendError('deferred: the backend was disposed of; create another one');
  }

  /** Returns the storage of the reference backend. @throws BackendError for a storage of another backend; DisposedError after release */
  inner(storage: Storage): Storage {
    if (!(storage instanceof DeferredStorage) || storage.owner !== this)
      throw new BackendError('deferred: got a tensor of another backend, expected one of this backend; copy it first');
    if (storage.released) throw new DisposedError(`deferred: ${storage.dtype} storage of ${storage.size} elements was already released`);
    return storage.inner;
  }
}

/** Throws if a storage that a kernel writes is also another of its arguments, which a GPU forbids. */
function checkAliases(kernel: string, args: readonly unknown[]): void {
  const operands = args.flatMap((arg, i) =>
    isGroup(arg) ? Object.entries(arg).map(([key, each]) => ({ name: `${i}.${key}`, i, each })) : [{ name: `${i}`, i, each: arg }],
  );
  const outputs = operands.filter(({ i }) => i < (OUTPUTS[kernel] ?? 1));
  for (const { name, each } of operands) {
    const other = outputs.find((output) => each instanceof DeferredStorage && output.each === each && output.name !== name);
    if (other)
      throw new BackendError(
        `${kernel}: got one storage as arguments ${other.name} and ${name}, expected different ones; pass IN_PLACE as the input`,
      );
  }
}

const hasStorage = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && Object.values(value).some((each) => each instanceof DeferredStorage);

/** Whether an argument is the object of all outputs, or of all inputs: its members are storages or null. */
const isGroup = (value: unknown): value is Record<string, Storage | null> =>
  !(value instanceof DeferredStorage) &&
  hasStorage(value) &&
  Object.values(value).every((each) => each === null || each instanceof DeferredStorage);

/** Creates a deferred backend. It supports every element type of the reference backend. */
export function createDeferredBackend(): DeferredBackend {
  const reference = createReferenceBackend();
  const queue = new Queue();
  let listener: KernelListener | null = null;
  let busyMs = 0;

  /** Queues a kernel under a name; its arguments are checked and unpacked at once. */
  const enqueue =
    (kernel: string, method: Method): Method =>
    (...args) => {
      queue.check();
      checkAliases(kernel, args);
      if (args.some((arg) => !(arg instanceof DeferredStorage) && hasStorage(arg) && !isGroup(arg)))
        throw new BackendError(`${kernel}: got a storage among sizes, expected it as an argument or in an object of outputs or inputs`);
      if (args.length > 5) throw new BackendError(`${kernel}: got ${args.length} arguments, expected at most 5; group outputs and inputs`);
      const unpack = (arg: unknown) => (isStorage(arg) ? queue.inner(arg) : arg);
      const inner = args.map((arg) =>
        isGroup(arg) ? Object.fromEntries(Object.entries(arg).map(([key, each]) => [key, unpack(each)])) : unpack(arg),
      );
      const report = listener?.(kernel, args);
      queue.add(() => {
        const start = performance.now();
        try {
          method.apply(reference, inner);
        } finally {
          const end = performance.now();
          busyMs += end - start;
          report?.(start, end);
        }
      });
    };

  const kernels = Object.fromEntries(
    Object.entries(reference)
      .filter((entry): entry is [string, Method] => typeof entry[1] === 'function' && !NOT_KERNELS.includes(entry[0]))
      .map(([name, method]) => [name, enqueue(name, method)]),
  );

  return {
    ...reference,
    ...kernels,
    name: 'deferred',
    info: () => ({ ...reference.info(), variant: 'deferred' }),
    capabilities: { ...reference.capabilities, syncRead: false },
    ...storagePart(reference, queue),
    synchronize: () => queue.run(),
    profileKernels(next) {
      if (listener !== null) throw new BackendError('profile: got a backend that is already being profiled; await the other profile first');
      listener = next;
      busyMs = 0;
      return async () => {
        await queue.run().finally(() => {
          listener = null;
        });
        return [{ name: 'queue', busyMs }];
      };
    },
    dispose() {
      queue.disposed = true;
      queue.steps.length = 0;
      reference.dispose();
    },
    queued: () => queue.steps.length,
    lose() {
      queue.lost = true;
    },
  };
}

const isStorage = (value: unknown): value is Storage =>
  typeof value === 'object' && value !== null && 'dtype' in value && 'size' in value && !ArrayBuffer.isView(value);

type StoragePart = Pick<Backend, 'allocate' | 'release' | 'write' | 'read' | 'readSync' | 'memory' | 'resetPeak'>;

/** Creates the memory functions. The memory of a released storage stays until the queue has run, and counts as free. */
function storagePart(reference: Backend, queue: Queue): StoragePart {
  const use = { bytes: 0, buffers: 0, peakBytes: 0 };
  const count = ({ dtype, size }: Storage, sign: number) => {
    use.bytes += sign * size * ELEMENT_BYTES[dtype];
    use.buffers += sign;
    use.peakBytes = Math.max(use.peakBytes, use.bytes);
  };
  return {
    allocate(dtype, size) {
      queue.check();
      const storage = new DeferredStorage(queue, reference.allocate(dtype, size));
      reference.fill(storage.inner, Number.NaN);
      count(storage, 1);
      return storage;
    },
    release(storage) {
      if (queue.disposed) return;
      const inner = queue.inner(storage);
      (storage as DeferredStorage).released = true;
      count(storage, -1);
      queue.add(() => {
        reference.fill(inner, Number.NaN);
        reference.release(inner);
      });
    },
    write(storage, data) {
      queue.check();
      const inner = queue.inner(storage);
      if (data.length !== inner.size) throw new ShapeError(`write: got ${data.length} elements, expected ${inner.size}`);
      const copy = data.slice();
      queue.add(() => reference.write(inner, copy));
    },
    async read(storage) {
      queue.check();
      const inner = queue.inner(storage);
      const copy: ReturnType<Backend['readSync']>[] = [];
      queue.add(() => copy.push(reference.readSync(inner)));
      await queue.run();
      return copy[0];
    },
    readSync() {
      throw new BackendError('deferred: cannot read synchronously; use read');
    },
    memory: () => ({ ...use, reservedBytes: reference.memory().bytes }),
    resetPeak() {
      use.peakBytes = use.bytes;
    },
  };
}
