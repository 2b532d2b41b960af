/**
 * Memory management: reference-counted buffers, scopes, and a finalisation registry for tensors that were never freed.
 *
 * A `Buffer` is referenced by tensors and by recorded operations that need it for their backward step. Its data is on the host (data
 * from the user), on the backend (results of kernels), or on both (data from the user that kernels have used).
 */
import type { Backend, DType, Storage, TypedArray } from '../../backend/backend.js';
import { DisposedError, OutOfMemoryError } from '../../backend/errors.js';
import { context, type Releasable, type Scope } from '../context.js';
import { relievePressure } from './pressure.js';
import { checkSynchronous, refusePromise } from './synchronous.js';

/**
 * The storage of a buffer on the backend and its reference count. The finalisation registry refers to this object alone, and not to the
 * host's copy, so that the garbage collector can free the host's copy together with the last tensor, before any callback has run.
 */
class Holding {
  count = 1;
  storage: Storage | null = null;
  freedBy: string | null = null;

  constructor(readonly backend: Backend) {
    context.buffers.set(backend, (context.buffers.get(backend) ?? 0) + 1);
  }

  /** Decrements the reference count; releases the storage at zero, and a replaced backend with its last buffer. */
  release(by: string): void {
    if (--this.count > 0 || this.freedBy) return;
    this.freedBy = by;
    this.releaseStorage();
    const left = (context.buffers.get(this.backend) ?? 1) - 1;
    context.buffers.set(this.backend, left);
    if (left === 0 && context.retired.delete(this.backend)) this.backend.dispose();
  }

  releaseStorage(): void {
    if (!this.storage) return;
    this.backend.release(this.storage);
    this.storage = null;
    context.uploads.delete(this);
  }
}

/** Results of at most this many elements move to the host when they are read, so that a loop that reads results uses no memory for them. */
const FEW = 2 ** 14;

/** The data of one or more tensors. */
export class Buffer {
  /** @internal */
  readonly holding: Holding;
  /** Number of times that the data was given to a kernel to modify. */
  private writes = 0;

  constructor(
    readonly backend: Backend,
    readonly dtype: DType,
    readonly size: number,
    private host: TypedArray | null,
  ) {
    const storage = host ? null : allocate(backend, dtype, size);
    this.holding = new Holding(backend);
    this.holding.storage = storage;
  }

  /** Returns the storage on the backend; uploads the host's data first if necessary. */
  device(): Storage {
    const { storage, freedBy } = this.holding;
    if (storage) return storage;
    if (freedBy) throw new DisposedError(freedMessage(freedBy));
    const made = allocate(this.backend, this.dtype, this.size);
    this.backend.write(made, this.host!);
    this.holding.storage = made;
    if (context.scope) context.scope.uploads.push(this);
    else context.uploads.set(this.holding, this);
    return made;
  }

  /** Returns the host's copy of the data, or null if only the backend has the data. */
  onHost(): TypedArray | null {
    this.checkAlive();
    return this.host;
  }

  /** Whether the reference count has reached zero. */
  get freed(): boolean {
    return this.holding.freedBy !== null;
  }

  /** Whether the reference count is above one, so that the data must not be overwritten. */
  get shared(): boolean {
    return this.holding.count > 1;
  }

  /** Increments the reference count. */
  retain(): void {
    this.checkAlive();
    this.holding.count++;
  }

  /** Evicts the host's copy if the reference count has reached zero. */
  evictHostIfFreed(): void {
    if (this.freed) this.host = null;
  }

  /** Releases the backend's copy if the host has the data too. */
  evict(): void {
    if (this.host) this.holding.releaseStorage();
  }

  /** Returns the storage for a kernel that modifies it, and evicts the host's copy, which would become outdated. */
  ownedByBackend(): Storage {
    const storage = this.device();
    this.host = null;
    this.writes++;
    context.uploads.delete(this.holding);
    return storage;
  }

  /** Returns a copy of the data. `settle` moves few elements to the host, where the garbage collector finds them. */
  async read(settle: boolean): Promise<TypedArray> {
    if (this.onHost()) return this.host!.slice();
    const { backend, writes } = this;
    const storage = this.device();
    const data = await backend.read(storage);
    await relievePressure(backend);
    if (!settle || this.size > FEW || this.holding.storage !== storage || this.writes !== writes) return data;
    this.host = data;
    this.evict();
    return data.slice();
  }

  /** As `read`, for backends that can read synchronously. */
  readSync(settle: boolean): TypedArray {
    if (this.onHost()) return this.host!.slice();
    const data = this.backend.readSync(this.device());
    if (!settle || this.size > FEW) return data;
    this.host = data;
    this.evict();
    return data.slice();
  }

  /** Moves the data to the host and releases the backend's copy, if the backend supports synchronous reads. For few elements. */
  moveToHost(): void {
    const { storage } = this.holding;
    if (!storage || !this.backend.capabilities.syncRead) return;
    this.host ??= this.backend.readSync(storage);
    this.evict();
  }

  private checkAlive(): void {
    const { freedBy } = this.holding;
    if (freedBy) throw new DisposedError(freedMessage(freedBy));
  }
}

/** Returns the message for the use of a freed tensor. `by` says what freed it, such as `backward()`. */
export function freedMessage(by: string): string {
  const hint =
    by === 'backward()'
      ? 'read it before backward(), call keep() on it, or pass { retainGraph: true }'
      : /^(scope|noGrad|forward)\(\)/.test(by)
        ? 'return it from the function, or call keep() on it'
        : 'do not use it afterwards';
  return `this tensor's memory was freed by ${by}; ${hint}`;
}

function allocate(backend: Backend, dtype: DType, size: number): Storage {
  try {
    return backend.allocate(dtype, size);
  } catch (error) {
    if (error instanceof OutOfMemoryError)
      throw new OutOfMemoryError(error.requestedBytes, error.liveBytes, error.limitBytes, context.operation, error.advice);
    throw error;
  }
}

/** Sets the name of the operation that allocates next, for the message of an `OutOfMemoryError`. */
export function allocatingFor(op: string): void {
  context.operation = op;
}

/**
 * A tensor's reference to its buffer. It is a separate object so that the finalisation registry can release the reference after the
 * tensor has been garbage-collected. The registry is a safety net: nothing depends on when it runs.
 */
export class Claim {
  private open = true;
  constructor(private readonly holding: Holding) {}

  release(by: string): void {
    if (!this.open) return;
    this.open = false;
    finalizers?.unregister(this);
    this.holding.release(by);
  }
}

/** @internal Evicts the copies of host data on a backend that were made outside of scopes since the last call. */
export function evictUploads(backend: Backend): void {
  for (const [holding, buffer] of context.uploads) {
    if (buffer.backend !== backend) continue;
    context.uploads.delete(holding);
    buffer.evict();
  }
}

/**
 * @internal Disposes of a backend as soon as no tensor refers to it, possibly at once. Its worker threads end and its memory is freed;
 * networks that were created on it work until they are disposed of or garbage-collected.
 */
export function retire(backend: Backend): void {
  if ((context.buffers.get(backend) ?? 0) === 0) backend.dispose();
  else context.retired.add(backend);
}

const finalizers =
  typeof FinalizationRegistry === 'undefined' ? null : new FinalizationRegistry<Claim>((claim) => claim.release('garbage collection'));

/** Creates a tensor's reference to a buffer and registers it for release after `owner` has been garbage-collected. */
export function claimFor(owner: object, { holding }: Buffer): Claim {
  const claim = new Claim(holding);
  finalizers?.register(owner, claim, claim);
  return claim;
}

/** @internal Adds a new tensor to the innermost scope. */
export function enterScope(member: Releasable): void {
  context.scope?.members.push(member);
}

/** @internal Adds a new tensor to the running backward step. Tensors that a backward step creates belong to no scope. */
export function enterStep(member: Releasable): void {
  context.step?.push(member);
}

/** Runs a backward step. If it throws, frees the tensors that it created and the tensors in `given`. */
export function freedOnFailure<T>(fn: () => T, ...given: Releasable[]): T {
  context.step = given;
  try {
    return fn();
  } catch (error) {
    for (const member of context.step) member.release('a failed backward()');
    throw error;
  } finally {
    context.step = null;
  }
}

/** Runs `fn` and frees every tensor created inside, except those that it returns and those marked by `keep()`. */
export function runScope<T>(by: string, fn: () => T, isMember: (value: unknown) => value is Releasable): T {
  checkSynchronous(by, fn);
  const scope: Scope = { members: [], uploads: [], parent: context.scope };
  context.scope = scope;
  const survivors = new Set<Releasable>();
  try {
    const result = fn();
    refusePromise(by, result);
    collect(result, survivors, isMember, 0);
    return result;
  } finally {
    context.scope = scope.parent;
    for (const member of scope.members) {
      if (survivors.has(member)) enterScope(member);
      else if (!member.kept) member.release(by);
    }
    for (const buffer of scope.uploads) {
      if (!context.scope) buffer.evict();
      else context.scope.uploads.push(buffer);
    }
  }
}

/** Collects the tensors in the result of a scope, also in arrays, maps, sets and plain objects up to 4 levels deep. */
function collect(value: unknown, into: Set<Releasable>, isMember: (value: unknown) => value is Releasable, depth: number): void {
  if (value === null || typeof value !== 'object' || depth > 4) return;
  if (isMember(value)) into.add(value);
  else if (ArrayBuffer.isView(value)) return;
  else if (value instanceof Map || value instanceof Set || Array.isArray(value))
    for (const item of value.values()) collect(item, into, isMember, depth + 1);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) collect(item, into, isMember, depth + 1);
}
