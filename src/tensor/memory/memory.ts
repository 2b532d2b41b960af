/**
 * Who owns which memory: counted buffers, scopes, and the safety net for what is forgotten.
 *
 * A `Buffer` is counted by the tensors that show it and by the recorded operations that need it again. It may hold its
 * numbers on the host (data that the user handed over), in the backend (what kernels wrote), or both (a host buffer in use).
 */
import type { Backend, DType, Storage, TypedArray } from '../../backend/backend.js';
import { DisposedError, OutOfMemoryError, ValueError } from '../../backend/errors.js';
import { checkArgument, func } from '../../backend/validate.js';

/** Anything that a scope can free at its end. */
export interface Disposable {
  /** @internal */
  free(by: string): void;
  /** @internal Stays when its scope ends. */
  kept: boolean;
}

/**
 * What the backend keeps for a buffer, and how many count on it. The registry below knows this part alone: the host's copy is garbage as
 * soon as its last tensor is, even where the event loop never gets a turn.
 */
class Holding {
  count = 1;
  storage: Storage | null = null;
  freedBy: string | null = null;

  constructor(readonly backend: Backend) {}

  release(by: string): void {
    if (--this.count > 0 || this.freedBy) return;
    this.freedBy = by;
    this.releaseStorage();
  }

  releaseStorage(): void {
    if (this.storage) this.backend.release(this.storage);
    this.storage = null;
  }
}

export class Buffer {
  /** @internal */
  readonly holding: Holding;

  constructor(
    readonly backend: Backend,
    readonly dtype: DType,
    readonly size: number,
    private host: TypedArray | null,
  ) {
    this.holding = new Holding(backend);
    if (!host) this.holding.storage = allocate(backend, dtype, size);
  }

  /** The numbers in the backend; uploads them first where they are on the host. */
  device(): Storage {
    const { storage, freedBy } = this.holding;
    if (storage) return storage;
    if (freedBy) throw new DisposedError(freedMessage(freedBy));
    const made = allocate(this.backend, this.dtype, this.size);
    this.backend.write(made, this.host!);
    this.holding.storage = made;
    currentScope?.uploads.push(this);
    return made;
  }

  /** The numbers on the host, if that is where they are kept. */
  onHost(): TypedArray | null {
    this.checkAlive();
    return this.host;
  }

  get freed(): boolean {
    return this.holding.freedBy !== null;
  }

  /** Whether somebody else counts on these numbers too. */
  get shared(): boolean {
    return this.holding.count > 1;
  }

  retain(): void {
    this.checkAlive();
    this.holding.count++;
  }

  /** Lets the host's copy go where nobody counts on the numbers any more. */
  forget(): void {
    if (this.freed) this.host = null;
  }

  /** Gives the backend's copy back where the host has the numbers anyway. */
  evict(): void {
    if (this.host) this.holding.releaseStorage();
  }

  /** A kernel is about to write here: from now on only the backend has the numbers. */
  ownedByBackend(): Storage {
    const storage = this.device();
    this.host = null;
    return storage;
  }

  /** Moves a few numbers to the host, where the backend can read at once, so that they cost no backend memory. */
  moveToHost(): void {
    const { storage } = this.holding;
    if (!storage || !this.backend.readSync) return;
    this.host ??= this.backend.readSync(storage);
    this.evict();
  }

  private checkAlive(): void {
    const { freedBy } = this.holding;
    if (freedBy) throw new DisposedError(freedMessage(freedBy));
  }
}

export function freedMessage(by: string): string {
  const hint =
    by === 'backward()'
      ? 'read it before backward(), call keep() on it, or pass { retainGraph: true }'
      : by.startsWith('scope') || by.startsWith('noGrad')
        ? 'return it from the function, or call keep() on it'
        : 'do not use it afterwards';
  return `this tensor's memory was freed by ${by}; ${hint}`;
}

function allocate(backend: Backend, dtype: DType, size: number): Storage {
  try {
    return backend.allocate(dtype, size);
  } catch (error) {
    if (error instanceof OutOfMemoryError) throw new OutOfMemoryError(error.requestedBytes, error.liveBytes, error.limitBytes, operation);
    throw error;
  }
}

let operation = 'allocate';

/** Names the operation that allocates next, for the message of an `OutOfMemoryError`. */
export function allocatingFor(op: string): void {
  operation = op;
}

/**
 * What a tensor holds, kept apart from it so that the registry can give it back once the tensor is garbage. This is a safety net
 * alone: nothing relies on when it runs.
 */
export class Claim {
  private open = true;
  constructor(private readonly holding: Holding) {}

  release(by: string): void {
    if (!this.open) return;
    this.open = false;
    forgotten?.unregister(this);
    this.holding.release(by);
  }
}

const forgotten =
  typeof FinalizationRegistry === 'undefined' ? null : new FinalizationRegistry<Claim>((claim) => claim.release('garbage collection'));

export function claimFor(owner: object, { holding }: Buffer): Claim {
  const claim = new Claim(holding);
  forgotten?.register(owner, claim, claim);
  return claim;
}

class Scope {
  readonly members: Disposable[] = [];
  readonly uploads: Buffer[] = [];
  constructor(readonly parent: Scope | null) {}
}

let currentScope: Scope | null = null;

/** @internal Puts a new tensor into the innermost scope. */
export function enterScope(member: Disposable): void {
  currentScope?.members.push(member);
}

let step: Disposable[] | null = null;

/** @internal Notes a tensor that belongs to no scope: what a backward step makes. */
export function enterStep(member: Disposable): void {
  step?.push(member);
}

/** Runs a step of a walk. Should it fail, what it made and what it was given are freed. */
export function freedOnFailure<T>(fn: () => T, ...given: Disposable[]): T {
  step = given;
  try {
    return fn();
  } catch (error) {
    for (const member of step) member.free('a failed backward()');
    throw error;
  } finally {
    step = null;
  }
}

/** Runs `fn`; at its end every tensor made inside is freed, but for what it returns and what was kept. */
export function runScope<T>(by: string, fn: () => T, isMember: (value: unknown) => value is Disposable): T {
  checkArgument(by, 'the argument', fn, func);
  const scope = new Scope(currentScope);
  currentScope = scope;
  const survivors = new Set<Disposable>();
  try {
    const result = fn();
    if (result instanceof Promise) {
      result.catch(() => undefined);
      throw new ValueError(`${by} was given an async function; compute inside, return tensors, and await their data() outside`);
    }
    collect(result, survivors, isMember, 0);
    return result;
  } finally {
    currentScope = scope.parent;
    for (const member of scope.members) {
      if (survivors.has(member)) enterScope(member);
      else if (!member.kept) member.free(by);
    }
    for (const buffer of scope.uploads) {
      if (!currentScope) buffer.evict();
      else currentScope.uploads.push(buffer);
    }
  }
}

/** Finds the tensors in what a scope returns: itself, in arrays, maps and plain objects, a few levels deep. */
function collect(value: unknown, into: Set<Disposable>, isMember: (value: unknown) => value is Disposable, depth: number): void {
  if (value === null || typeof value !== 'object' || depth > 4) return;
  if (isMember(value)) into.add(value);
  else if (ArrayBuffer.isView(value)) return;
  else if (value instanceof Map || value instanceof Set || Array.isArray(value))
    for (const item of value.values()) collect(item, into, isMember, depth + 1);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) collect(item, into, isMember, depth + 1);
}
