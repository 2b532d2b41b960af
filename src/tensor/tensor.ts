/**
 * The tensor: a shape over a counted buffer, and its place in the recorded graph.
 *
 * Arithmetic methods are added in `methods.ts`; recording and walking the graph are in `autograd.ts`.
 */
import type { Backend, DType, Storage, TypedArray } from '../backend/backend.js';
import { BackendError, DisposedError, DTypeError, ShapeError, ValueError } from '../backend/errors.js';
import {
  anything,
  boolean,
  checkArgument,
  checkOptions,
  finite,
  func,
  isTypedArray,
  type Rule,
  type Rules,
  rule,
  show,
  unknownName,
} from '../backend/validate.js';
import type { TensorNode } from './graph/graph_node.js';
import {
  allocatingFor,
  Buffer,
  type Claim,
  claimFor,
  type Disposable,
  enterScope,
  enterStep,
  freedMessage,
  runScope,
} from './memory/memory.js';
import { defaultGenerator, type Generator, generatorRule } from './random.js';
import { checkShape, type Shape, sizeOf } from './shape.js';

export interface TensorOptions {
  /** Gradients are accumulated in `grad` by `backward()`. Default false. */
  requiresGrad?: boolean;
  /** Default `float32`, or the type of the typed array given. */
  dtype?: DType;
  /** Default: the one that `init()` set. */
  backend?: Backend;
}

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array } as const;
/** Smallest and largest number of the whole-number types. */
const RANGES: Partial<Record<DType, readonly [number, number]>> = { int32: [-(2 ** 31), 2 ** 31 - 1], uint8: [0, 255] };

/** @internal @throws DTypeError for an unknown type */
export function checkDtype(op: string, dtype: DType): void {
  if (typeof dtype !== 'string' || !Object.hasOwn(ARRAYS, dtype))
    throw new DTypeError(unknownName(op, 'dtype', dtype, Object.keys(ARRAYS)));
}
/** @internal */
export const backendRule: Rule = rule('a backend, made by createBackend', (value) => {
  const { allocate, info } = (value ?? {}) as Partial<Backend>;
  return typeof allocate === 'function' && typeof info === 'function';
});
/** @internal NaN and infinities included. */
export const anyNumber: Rule = rule('a number', (value) => typeof value === 'number');
const TENSOR_RULES: Rules = { requiresGrad: boolean, dtype: anything, backend: backendRule };
const RANDOM_RULES: Rules = { ...TENSOR_RULES, generator: generatorRule };

let fallbackBackend: Backend | null = null;

/** Sets the backend that new tensors live on. `init()` calls it; tensors made before keep theirs. */
export function setDefaultBackend(backend: Backend | null): void {
  if (backend !== null) checkArgument('setDefaultBackend', 'backend', backend, backendRule);
  fallbackBackend = backend;
}

/** The backend that new tensors live on. Throws a `BackendError` before `await init()`. */
export function defaultBackend(): Backend {
  if (!fallbackBackend) throw new BackendError('the engine is not ready: call `await init()` first');
  return fallbackBackend;
}

/** Runs `fn` with another default backend. */
export function withBackend<T>(backend: Backend, fn: () => T): T {
  checkArgument('withBackend', 'backend', backend, backendRule);
  checkArgument('withBackend', 'the function', fn, func);
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
  /** @internal The recorded operation that computed this tensor; null for leaves and while nothing is recorded. */
  node: TensorNode | null = null;
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
    if (!(buffer instanceof Buffer)) throw new ValueError('Tensor: the constructor is internal; use tensor(data, shape), zeros, …');
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
    const flat = isTypedArray(data) ? data : read('set', data).flat;
    if (flat.length !== this.size)
      throw new ShapeError(`set: got ${flat.length} numbers, a tensor of shape [${this.shape}] holds ${this.size}`);
    const numbers = toTypedArray(flat, this.dtype, 'set');
    this.backend.write(this.buffer.ownedByBackend(), numbers);
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
    this.node?.releaseReference(by);
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

  /** @internal @throws DisposedError where the memory was given back */
  checkAlive(): void {
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
  checkOptions('tensor', options, TENSOR_RULES);
  const given = isTypedArray(data) ? { flat: data as TypedArray, shape: [data.length] } : read('tensor', data);
  const { flat } = given;
  const dims = shape === undefined ? given.shape : shape;
  checkShape('tensor', dims);
  if (flat.length !== sizeOf(dims)) throw new ShapeError(`tensor: got ${flat.length} numbers, shape [${dims}] holds ${sizeOf(dims)}`);
  const dtype = options.dtype ?? (isTypedArray(data) ? dtypeOf(data as TypedArray) : 'float32');
  checkGradient('tensor', dtype, options);
  const host = toTypedArray(flat, dtype);
  return fromHost(host === (data as unknown) ? host.slice() : host, dims, options);
}

/** @internal A tensor over a typed array that nobody else changes. */
export function fromHost(host: TypedArray, shape: Shape, options: TensorOptions = {}): Tensor {
  checkOptions('fromHost', options, TENSOR_RULES);
  checkShape('fromHost', shape);
  const dtype = dtypeOf(host);
  if (host.length !== sizeOf(shape)) throw new ShapeError(`fromHost: got ${host.length} numbers, shape [${shape}] holds ${sizeOf(shape)}`);
  const backend = options.backend ?? defaultBackend();
  return new Tensor([...shape], new Buffer(backend, dtype, host.length, host), options.requiresGrad ?? false);
}

/** @internal A tensor for a kernel to write. */
export function empty(op: string, shape: Shape, dtype: DType, backend: Backend, scoped = true): Tensor {
  checkShape(op, shape);
  allocatingFor(op);
  return new Tensor(shape, new Buffer(backend, dtype, sizeOf(shape), null), false, scoped);
}

/** A new tensor of checked shape and options; `fill` writes its numbers. */
function filled(op: string, shape: Shape, options: TensorOptions, rules: Rules, fill: (result: Tensor, dtype: DType) => void): Tensor {
  checkOptions(op, options, rules);
  checkShape(op, shape);
  const { dtype = 'float32', backend = defaultBackend(), requiresGrad = false } = options;
  checkGradient(op, dtype, options);
  const result = empty(op, [...shape], dtype, backend);
  try {
    fill(result, dtype);
  } catch (error) {
    result.dispose();
    throw error;
  }
  result.requiresGrad = requiresGrad;
  return result;
}

/**
 * Every element `value`.
 *
 * @throws ShapeError, ValueError, DTypeError for a value that the type cannot hold
 */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  checkArgument('full', 'value', value, anyNumber);
  return filled('full', shape, options, TENSOR_RULES, (result, dtype) => {
    checkScalar('full', value, dtype);
    result.backend.fill(result.storage, value);
  });
}

export const zeros = (shape: Shape, options?: TensorOptions): Tensor => full(shape, 0, options);
export const ones = (shape: Shape, options?: TensorOptions): Tensor => full(shape, 1, options);

export interface RandomOptions extends TensorOptions {
  /** Draws from here instead of the generator that `manualSeed` seeds. */
  generator?: Generator;
}

const NORMAL_RULES: Rules = { ...RANDOM_RULES, mean: finite(), std: finite(0) };
const UNIFORM_RULES: Rules = { ...RANDOM_RULES, low: finite(), high: finite() };

/** Normal deviates, mean 0 and standard deviation 1 unless given. */
export function randn(shape: Shape, options: RandomOptions & { mean?: number; std?: number } = {}): Tensor {
  return filled('randn', shape, options, NORMAL_RULES, (result) => {
    checkFloat('randn', result);
    const { generator = defaultGenerator(), mean = 0, std = 1 } = options;
    result.backend.normal(result.storage, generator.seed, generator.take(result.size), mean, std);
  });
}

/** Numbers spread evenly over [low, high), [0, 1) unless given. */
export function uniform(shape: Shape, options: RandomOptions & { low?: number; high?: number } = {}): Tensor {
  return filled('uniform', shape, options, UNIFORM_RULES, (result) => {
    checkFloat('uniform', result);
    const { generator = defaultGenerator(), low = 0, high = 1 } = options;
    if (low > high) throw new ValueError(`uniform: low is ${low} and high is ${high}, expected low to be at most high`);
    result.backend.uniform(result.storage, generator.seed, generator.take(result.size), low, high);
  });
}

/** More levels of arrays than a shape may have axes: an array that contains itself, for one. */
const MOST_LEVELS = 64;

/** The numbers of nested arrays in row-major order, with their shape. @throws ShapeError, ValueError for anything but numbers */
function read(op: string, data: unknown): { flat: number[]; shape: number[] } {
  const flat: number[] = [];
  const shape: number[] = [];
  const visit = (level: unknown, depth: number): void => {
    if (typeof level === 'number') {
      if (depth !== shape.length) throw new ShapeError(`${op}: nested arrays differ in length or depth`);
      flat.push(level);
      return;
    }
    if ((!Array.isArray(level) && !isTypedArray(level)) || depth > MOST_LEVELS)
      throw new ValueError(
        `${op}: got ${show(level)}${depth > 0 ? ' inside the data' : ''}, expected a typed array, or nested arrays of numbers`,
      );
    const { length } = level as ArrayLike<unknown>;
    if (flat.length === 0 && depth === shape.length) shape.push(length);
    if (length !== shape[depth]) throw new ShapeError(`${op}: nested arrays differ in length or depth`);
    for (let i = 0; i < length; i++) visit((level as ArrayLike<unknown>)[i], depth + 1);
  };
  visit(data, 0);
  return { flat, shape };
}

export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Float64Array) return 'float64';
  throw new DTypeError(`tensor: got ${show(data)}, expected Float32Array, Int32Array, Uint8Array or an array of numbers`);
}

/**
 * @internal The numbers in an array of the type: the same array where it has the type already.
 *
 * @throws DTypeError for an unknown type; ValueError for numbers that a whole-number type cannot hold, and for a transferred buffer
 */
export function toTypedArray(data: ArrayLike<number> | TypedArray, dtype: DType, op = 'tensor'): TypedArray {
  checkDtype(op, dtype);
  const Wanted = ARRAYS[dtype];
  if (isTypedArray(data)) {
    dtypeOf(data as TypedArray);
    checkAttached(op, data as TypedArray);
  }
  if (data instanceof Wanted) return data;
  const range = RANGES[dtype];
  if (range)
    for (let i = 0; i < data.length; i++)
      if (!isWhole(data[i], range))
        throw new ValueError(
          `${op}: number ${i} is ${show(data[i])}, expected whole numbers from ${range[0]} to ${range[1]} for ${dtype}; round them, or use float32`,
        );
  return Wanted.from(data);
}

const isWhole = (value: number, [low, high]: readonly [number, number]) => Number.isInteger(value) && value >= low && value <= high;

/** Arrays over a buffer that was transferred to a worker have length 0, as have those that are empty on purpose. */
function checkAttached(op: string, data: TypedArray): void {
  if (data.length > 0) return;
  try {
    new Uint8Array(data.buffer);
  } catch {
    throw new ValueError(`${op}: the array's buffer was transferred away; pass a copy of the numbers`);
  }
}

// Checks that operations share ---------------------------------------------------------------------

/** Throws unless all are tensors whose memory was not given back and that live on one backend. */
export function checkSameBackend(op: string, ...tensors: readonly Tensor[]): void {
  const [first] = tensors;
  for (const t of tensors) {
    if (!(t instanceof Tensor)) throw new ValueError(`${op}: got ${show(t)}, expected a tensor; make one with tensor(data, shape)`);
    t.checkAlive();
    if (t.backend !== first.backend) throw backendsDiffer(op, first, t);
  }
}

/** @internal The error for tensors of two backends. */
export const backendsDiffer = (op: string, { backend: a }: Tensor, { backend: b }: Tensor): BackendError =>
  new BackendError(
    `${op}: tensors live on different backends (${a.name} and ${b.name}); move one with tensor(await t.data(), t.shape, { backend })`,
  );

export const isFloat = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float64';

/** As `checkSameBackend`, and all must hold floating-point numbers of one type. */
export function checkFloat(op: string, ...tensors: readonly Tensor[]): void {
  checkSameBackend(op, ...tensors);
  const [first] = tensors;
  for (const t of tensors) {
    if (!isFloat(t.dtype)) throw new DTypeError(`${op}: got a ${t.dtype} tensor, expected float32; use cast('float32')`);
    if (t.dtype !== first.dtype) throw new DTypeError(`${op}: got ${first.dtype} and ${t.dtype} tensors, expected one type`);
  }
}

/** Throws a `DTypeError` unless the type can hold the number as it is. */
export function checkScalar(op: string, value: number, dtype: DType): void {
  const range = RANGES[dtype];
  if (range && !isWhole(value, range))
    throw new DTypeError(
      `${op}: got the number ${value} for a tensor of type ${dtype}, expected a whole number from ${range[0]} to ${range[1]}; use cast('float32')`,
    );
}

function checkGradient(op: string, dtype: DType, { requiresGrad }: TensorOptions): void {
  checkDtype(op, dtype);
  if (requiresGrad && !isFloat(dtype)) throw new DTypeError(`${op}: a ${dtype} tensor cannot require a gradient`);
}

// Scopes ----------------------------------------------------------------------------------------

/** Runs `fn` and frees every tensor made inside at its end, but for those it returns and those kept. */
export function scope<T>(fn: () => T): T {
  return runScope('scope()', fn, isTensor);
}

export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
