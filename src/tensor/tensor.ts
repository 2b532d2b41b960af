/**
 * The tensor: a shape over a counted buffer, and its place in the recorded graph.
 *
 * Arithmetic methods are added in `methods.ts`; recording and walking the graph are in `autograd.ts`.
 */
import type { Backend, DType, Storage, TypedArray } from '../backend/backend.js';
import { BackendError, DisposedError, DTypeError, ShapeError } from '../backend/errors.js';
import type { GraphNode } from './autograd.js';
import { allocatingFor, Buffer, type Claim, claimFor, type Disposable, enterScope, enterStep, freedMessage, runScope } from './memory.js';
import { defaultGenerator, type Generator } from './random.js';
import { checkShape, type Shape, sizeOf } from './shape.js';

export interface TensorOptions {
  /** Gradients are accumulated in `grad` by `backward()`. Default false. */
  requiresGrad?: boolean;
  /** Default `float32`, or the type of the typed array given. */
  dtype?: DType;
  /** Default: the one that `init()` set. */
  backend?: Backend;
}

let fallbackBackend: Backend | null = null;

/** Sets the backend that new tensors live on. `init()` calls it; tensors made before keep theirs. */
export function setDefaultBackend(backend: Backend | null): void {
  fallbackBackend = backend;
}

/** The backend that new tensors live on. Throws a `BackendError` before `await init()`. */
export function defaultBackend(): Backend {
  if (!fallbackBackend) throw new BackendError('the engine is not ready: call `await init()` first');
  return fallbackBackend;
}

/** Runs `fn` with another default backend. */
export function withBackend<T>(backend: Backend, fn: () => T): T {
  const before = fallbackBackend;
  fallbackBackend = backend;
  try {
    return fn();
  } finally {
    fallbackBackend = before;
  }
}

/** An array of numbers in row-major order with a shape, owned by one backend. */
export class Tensor implements Disposable {
  /** The accumulated gradient of a leaf that requires one; null before the first `backward()`. */
  grad: Tensor | null = null;
  /** @internal The operation that made this tensor, where it was recorded. */
  node: GraphNode | null = null;
  /** @internal */
  kept = false;
  private freedBy: string | null = null;
  private readonly claim: Claim;

  /** @internal Use `tensor`, `zeros`, … */
  constructor(
    /** Extents, outermost first. Images are [N, C, H, W]. */
    readonly shape: readonly number[],
    /** @internal */
    readonly buffer: Buffer,
    /** Whether gradients flow to this tensor. */
    public requiresGrad = false,
    scoped = true,
  ) {
    this.claim = claimFor(this, buffer);
    if (scoped) enterScope(this);
    else enterStep(this);
  }

  get dtype(): DType {
    return this.buffer.dtype;
  }

  get backend(): Backend {
    return this.buffer.backend;
  }

  /** Number of elements. */
  get size(): number {
    return this.buffer.size;
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Whether the memory has been given back. */
  get disposed(): boolean {
    return this.freedBy !== null;
  }

  /** @internal The numbers as kernels take them. */
  get storage(): Storage {
    this.checkAlive();
    return this.buffer.device();
  }

  /** @internal The numbers for a kernel that changes them in place. */
  get writable(): Storage {
    this.checkAlive();
    return this.buffer.ownedByBackend();
  }

  /** A copy of the numbers, row-major. */
  async data(): Promise<TypedArray> {
    this.checkAlive();
    const host = this.buffer.onHost();
    return host ? host.slice() : this.backend.read(this.buffer.device());
  }

  /** As `data()`, at once. Throws a `BackendError` on backends that cannot (WebGPU). */
  dataSync(): TypedArray {
    this.checkAlive();
    const host = this.buffer.onHost();
    if (host) return host.slice();
    if (!this.backend.readSync)
      throw new BackendError(`dataSync: the ${this.backend.name} backend cannot read back at once; use \`await tensor.data()\``);
    return this.backend.readSync(this.buffer.device());
  }

  /** The one number of a tensor of one element. */
  async item(): Promise<number> {
    this.checkSingle('item');
    return (await this.data())[0];
  }

  /** As `item()`, at once, where the backend can. */
  itemSync(): number {
    this.checkSingle('itemSync');
    return this.dataSync()[0];
  }

  /** Overwrites the numbers; the shape stays. */
  set(data: TypedArray | readonly number[]): this {
    this.checkAlive();
    if (data.length !== this.size)
      throw new ShapeError(`set: got ${data.length} numbers, a tensor of shape [${this.shape}] holds ${this.size}`);
    this.backend.write(this.buffer.ownedByBackend(), toTypedArray(data, this.dtype));
    return this;
  }

  /** The same numbers outside the graph: no gradient flows through it. */
  detach(): Tensor {
    return this.alias(this.shape, true);
  }

  /** Exempts this tensor from being freed by `backward()` or by the end of a scope: it is yours to dispose. */
  keep(): this {
    this.kept = true;
    return this;
  }

  /**
   * Gives the memory back. Using the tensor afterwards is a `DisposedError`; gradients still flow through it to what it was
   * computed from, as long as a result of it can be walked back from.
   */
  dispose(): void {
    this.free('dispose()');
    this.grad?.dispose();
    this.grad = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  free(by: string): void {
    if (this.freedBy) return;
    this.freedBy = by;
    this.claim.release(by);
    this.buffer.forget();
    this.node?.drop(by);
  }

  /** @internal Another tensor over the same numbers. */
  alias(shape: Shape, scoped: boolean): Tensor {
    this.checkAlive();
    this.buffer.retain();
    return new Tensor(shape, this.buffer, false, scoped);
  }

  toString(): string {
    return `Tensor(${this.dtype} [${this.shape}] on ${this.backend.name}${this.requiresGrad ? ', requiresGrad' : ''}${this.disposed ? ', freed' : ''})`;
  }

  private checkAlive(): void {
    if (this.freedBy) throw new DisposedError(`tensor of shape [${this.shape}]: ${freedMessage(this.freedBy)}`);
  }

  private checkSingle(op: string): void {
    if (this.size !== 1) throw new ShapeError(`${op}: a tensor of shape [${this.shape}] has ${this.size} numbers, expected 1; use data()`);
  }
}

// Making tensors --------------------------------------------------------------------------------

type Nested = number | readonly Nested[];

/**
 * A tensor from numbers: a typed array with a shape, or nested arrays. The numbers are copied; they stay on the host until
 * the tensor is used, and the backend's copy is given back after `backward()`, so that fresh inputs each step cost nothing.
 */
export function tensor(data: TypedArray | Nested, shape?: Shape, options: TensorOptions = {}): Tensor {
  const nested = !ArrayBuffer.isView(data);
  const dims = shape ?? (nested ? nestedShape(data) : [data.length]);
  checkShape('tensor', dims);
  const flat = nested ? flatten(data) : data;
  if (flat.length !== sizeOf(dims)) throw new ShapeError(`tensor: got ${flat.length} numbers, shape [${dims}] holds ${sizeOf(dims)}`);
  const dtype = options.dtype ?? (nested ? 'float32' : dtypeOf(data));
  if (options.requiresGrad && dtype !== 'float32' && dtype !== 'float64')
    throw new DTypeError(`tensor: a ${dtype} tensor cannot require a gradient`);
  const host = toTypedArray(flat, dtype);
  const copy = host === (data as unknown) ? host.slice() : host;
  return fromHost(copy, dims, options);
}

/** @internal A tensor over a typed array that nobody else changes. */
export function fromHost(host: TypedArray, shape: Shape, options: TensorOptions = {}): Tensor {
  const backend = options.backend ?? defaultBackend();
  return new Tensor([...shape], new Buffer(backend, dtypeOf(host), host.length, host), options.requiresGrad ?? false);
}

/** @internal A tensor for a kernel to write. */
export function empty(op: string, shape: Shape, dtype: DType, backend: Backend, scoped = true): Tensor {
  allocatingFor(op);
  return new Tensor(shape, new Buffer(backend, dtype, sizeOf(shape), null), false, scoped);
}

/** Every element `value`. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  checkShape('full', shape);
  const result = empty('full', [...shape], options.dtype ?? 'float32', options.backend ?? defaultBackend());
  result.backend.fill(result.storage, value);
  result.requiresGrad = options.requiresGrad ?? false;
  return result;
}

export const zeros = (shape: Shape, options?: TensorOptions): Tensor => full(shape, 0, options);
export const ones = (shape: Shape, options?: TensorOptions): Tensor => full(shape, 1, options);

export interface RandomOptions extends TensorOptions {
  /** Draws from here instead of the generator that `manualSeed` seeds. */
  generator?: Generator;
}

/** Normal deviates, mean 0 and standard deviation 1 unless given. */
export function randn(shape: Shape, options: RandomOptions & { mean?: number; std?: number } = {}): Tensor {
  checkShape('randn', shape);
  const result = empty('randn', [...shape], options.dtype ?? 'float32', options.backend ?? defaultBackend());
  const generator = options.generator ?? defaultGenerator();
  result.backend.normal(result.storage, generator.seed, generator.take(result.size), options.mean ?? 0, options.std ?? 1);
  result.requiresGrad = options.requiresGrad ?? false;
  return result;
}

/** Numbers spread evenly over [low, high), [0, 1) unless given. */
export function uniform(shape: Shape, options: RandomOptions & { low?: number; high?: number } = {}): Tensor {
  checkShape('uniform', shape);
  const result = empty('uniform', [...shape], options.dtype ?? 'float32', options.backend ?? defaultBackend());
  const generator = options.generator ?? defaultGenerator();
  result.backend.uniform(result.storage, generator.seed, generator.take(result.size), options.low ?? 0, options.high ?? 1);
  result.requiresGrad = options.requiresGrad ?? false;
  return result;
}

function nestedShape(data: Nested): number[] {
  const shape: number[] = [];
  for (let level: Nested = data; typeof level !== 'number'; level = level[0]) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  checkRagged(data, shape, 0);
  return shape;
}

function flatten(data: Nested, into: number[] = []): number[] {
  if (typeof data === 'number') into.push(data);
  else for (const item of data) flatten(item, into);
  return into;
}

function checkRagged(data: Nested, shape: Shape, axis: number): void {
  if (typeof data === 'number' ? axis !== shape.length : data.length !== shape[axis])
    throw new ShapeError('tensor: nested arrays differ in length or depth');
  if (typeof data !== 'number') for (const item of data) checkRagged(item, shape, axis + 1);
}

export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Float64Array) return 'float64';
  throw new DTypeError(
    `tensor: got ${Object.prototype.toString.call(data).slice(8, -1)}, expected Float32Array, Int32Array, Uint8Array or an array of numbers`,
  );
}

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array } as const;

export function toTypedArray(data: ArrayLike<number> | TypedArray, dtype: DType): TypedArray {
  const Wanted = ARRAYS[dtype];
  if (!Wanted) throw new DTypeError(`tensor: unknown dtype '${dtype}', expected float32, int32, uint8 or float64`);
  return data instanceof Wanted ? data : Wanted.from(data);
}

// Checks that operations share ---------------------------------------------------------------------

/** Throws unless all tensors live on one backend. */
export function checkSameBackend(op: string, ...tensors: readonly (Tensor | null | undefined)[]): void {
  let first: Tensor | undefined;
  for (const t of tensors) {
    if (!t) continue;
    first ??= t;
    if (t.backend !== first.backend)
      throw new BackendError(
        `${op}: tensors live on different backends (${first.backend.name} and ${t.backend.name}); move one with tensor(await t.data(), t.shape, { backend })`,
      );
  }
}

/** Throws unless all tensors hold floating-point numbers of one type. */
export function checkFloat(op: string, ...tensors: readonly (Tensor | null | undefined)[]): void {
  checkSameBackend(op, ...tensors);
  let first: Tensor | undefined;
  for (const t of tensors) {
    if (!t) continue;
    first ??= t;
    if (t.dtype !== 'float32' && t.dtype !== 'float64')
      throw new DTypeError(`${op}: got a ${t.dtype} tensor, expected float32; use cast('float32')`);
    if (t.dtype !== first.dtype) throw new DTypeError(`${op}: got ${first.dtype} and ${t.dtype} tensors, expected one type`);
  }
}

// Scopes ----------------------------------------------------------------------------------------

/** Runs `fn` and frees every tensor made inside at its end, but for those it returns and those kept. */
export function scope<T>(fn: () => T): T {
  return runScope('scope()', fn, isTensor);
}

export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
