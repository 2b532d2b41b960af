/**
 * The class `Tensor` (a shape over a reference-counted buffer), the functions that create tensors, and the checks that operations share.
 *
 * The operations are added as methods in `methods.ts`. Recording and the backward pass are in `graph/autograd.ts`.
 */
import type { Backend, DType, TypedArray } from '../backend/backend.js';
import { BackendError, DTypeError, ShapeError, ValueError } from '../backend/errors.js';
import { shareAcrossCopies } from '../backend/shared_class.js';
import {
  anything,
  boolean,
  checkArgument,
  checkOptions,
  finite,
  isTypedArray,
  type Rule,
  type Rules,
  rule,
  show,
  unknownName,
} from '../backend/validate.js';
import { context } from './context.js';
import { formatElements } from './format.js';
import type { TensorNode } from './graph/graph_node.js';
import { allocatingFor, Buffer, enterScope, enterStep, runScope } from './memory/memory.js';
import { checkSynchronous, refusePromise } from './memory/synchronous.js';
import { TensorMemory } from './memory/tensor_memory.js';
import { addDisposeMethod, type DisposeMethod } from './memory/using.js';
import { defaultGenerator, type Generator, generatorRule } from './random.js';
import { checkShape, type Shape, sizeOf } from './shape.js';
import type { TensorMethods } from './tensor_methods.js';

/** Options of the functions that create tensors. */
export interface TensorOptions<D extends DType = DType> {
  /** Whether `backward()` accumulates the tensor's gradient in `grad`. Default false. */
  requiresGrad?: boolean;
  /** Element type. Default `float32`, or the type of the typed array given. */
  dtype?: D;
  /** Default: the backend that `init()` or `withBackend` set. */
  backend?: Backend;
}

/** Typed array of an element type. */
export type ArrayOf<D extends DType> = { float32: Float32Array; float64: Float64Array; int32: Int32Array; uint8: Uint8Array }[D];

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array } as const;
/** Smallest and largest value of the integer types. */
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
/** @internal Any number, including NaN and infinities. */
export const anyNumber: Rule = rule('a number', (value) => typeof value === 'number');
/** @internal Rules of `TensorOptions`. */
export const TENSOR_RULES: Rules = { requiresGrad: boolean, dtype: anything, backend: backendRule };
const TO_RULES: Rules = { dtype: anything, backend: backendRule };
const RANDOM_RULES: Rules = { ...TENSOR_RULES, generator: generatorRule };

/**
 * Sets the backend on which new tensors are created; existing tensors keep theirs. `init()` calls it.
 *
 * @example setDefaultBackend(await createBackend({ backend: 'reference' }));
 */
export function setDefaultBackend(backend: Backend | null): void {
  if (backend !== null) checkArgument('setDefaultBackend', 'backend', backend, backendRule);
  context.backend = backend;
}

/**
 * Returns the backend on which new tensors are created.
 *
 * @example const { maxBufferBytes } = defaultBackend().capabilities;
 * @throws BackendError before `await init()`
 */
export function defaultBackend(): Backend {
  if (!context.backend) throw new BackendError('the engine is not ready: call `await init()` first');
  return context.backend;
}

/**
 * Runs a synchronous function with another default backend and returns its result.
 *
 * @example
 * const other = await createBackend({ backend: 'reference' });
 * const network = withBackend(other, () => new Sequential([new Linear(4, 2)]));
 * @throws ValueError if `fn` is an async function; create its tensors and models with the option `{ backend }` instead
 */
export function withBackend<T>(backend: Backend, fn: () => T): T {
  checkArgument('withBackend', 'backend', backend, backendRule);
  checkSynchronous('withBackend', fn);
  const before = context.backend;
  context.backend = backend;
  try {
    const result = fn();
    refusePromise('withBackend', result);
    return result;
  } finally {
    context.backend = before;
  }
}

/**
 * A multi-dimensional array of numbers in row-major order, on one backend. Created by `tensor`, `zeros`, `randn`, … and by operations.
 *
 * @example const y = tensor([[1, 2], [3, 4]]).mul(2).sum();
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: `methods.ts` adds the methods that the interface declares.
export class Tensor<D extends DType = DType> extends TensorMemory {
  /** The gradient that `backward()` has accumulated in this leaf; null before the first backward pass. */
  grad: Tensor | null = null;
  /** @internal The recorded operation that computed this tensor; null for leaves and while nothing is recorded. */
  node: TensorNode | null = null;
  private wantsGradient = false;
  /** Whether the tensor has ever required a gradient. */
  private trainable = false;

  /** @internal Use `tensor`, `zeros`, … */
  constructor(shape: readonly number[], buffer: Buffer, requiresGrad = false, scoped = true) {
    super(shape, buffer);
    if (requiresGrad) this.requiresGrad = true;
    if (scoped) enterScope(this);
    else enterStep(this);
  }

  /** Whether the backward pass computes a gradient for this tensor. Setting it throws a `DTypeError` for whole numbers. */
  get requiresGrad(): boolean {
    return this.wantsGradient;
  }

  set requiresGrad(value: boolean) {
    checkArgument('requiresGrad', 'the value', value, boolean);
    checkGradient('requiresGrad', this.dtype, value);
    this.wantsGradient = value;
    if (value) this.trainable = true;
  }

  /** @internal Whether the tensor is a parameter: a leaf that requires a gradient, or did before it was frozen. */
  get isParameter(): boolean {
    return this.trainable && this.node === null;
  }

  /** Returns a copy of the elements in row-major order, as a typed array of the element type. */
  async data<A extends TypedArray = ArrayOf<D>>(): Promise<A> {
    this.checkAlive();
    return (await this.buffer.read(this.settles)) as A;
  }

  /** Returns a copy of the elements synchronously. @throws BackendError on backends that only read asynchronously (WebGPU) */
  dataSync<A extends TypedArray = ArrayOf<D>>(): A {
    this.checkAlive();
    if (!this.buffer.onHost() && !this.backend.capabilities.syncRead)
      throw new BackendError(`dataSync: the ${this.backend.name} backend cannot read synchronously; use \`await tensor.data()\``);
    return this.buffer.readSync(this.settles) as A;
  }

  /** Returns the value of a tensor of one element. @throws ShapeError for any other number of elements */
  async item(): Promise<number> {
    this.checkSingle('item');
    return (await this.data())[0];
  }

  /** Returns the value of a tensor of one element synchronously. @throws BackendError as `dataSync()` */
  itemSync(): number {
    this.checkSingle('itemSync');
    return this.dataSync()[0];
  }

  /** Overwrites all elements. The number of elements must match the shape. */
  set(data: TypedArray | readonly number[]): this {
    this.checkAlive();
    const flat = isTypedArray(data) ? data : read('set', data).flat;
    if (flat.length !== this.size)
      throw new ShapeError(`set: got ${flat.length} elements, expected ${this.size} for a tensor of shape [${this.shape}]`);
    const numbers = toTypedArray(flat, this.dtype, 'set');
    this.backend.write(this.buffer.ownedByBackend(), numbers);
    return this;
  }

  /** Returns a tensor over the same memory that is not part of the graph: no gradient passes through it. PyTorch `detach`. */
  detach(): Tensor<D> {
    return this.alias(this.shape, true);
  }

  /**
   * Frees the memory of this tensor and of its `grad`. Using the tensor afterwards throws a `DisposedError`. Results that were computed
   * from it can still run `backward()`, since the graph has references of its own.
   */
  dispose(): void {
    this.release('dispose()');
    this.grad?.dispose();
    this.grad = null;
  }

  /** @internal Releases the references to buffer and graph; `by` is named in the message of a later `DisposedError`. */
  override release(by: string): void {
    if (this.disposed) return;
    super.release(by);
    this.node?.releaseReference(by);
  }

  /** @internal Returns a new tensor over the same buffer. */
  alias(shape: Shape, scoped: boolean): Tensor<D> {
    this.checkAlive();
    this.buffer.retain();
    return new Tensor(shape, this.buffer, false, scoped);
  }

  /**
   * Returns a copy on another backend or with another element type. The copy is not part of the graph; use `cast` for a conversion that
   * gradients pass through. Conversion to an integer type truncates and clamps as `cast` does. PyTorch `to`.
   *
   * @example const onGpu = await images.to({ backend: gpu });
   * @param where.backend default: the tensor's own backend
   * @param where.dtype default: the tensor's own element type
   * @throws DTypeError for a type that the backend does not have
   */
  async to<E extends DType = D>(where: { backend?: Backend; dtype?: E }): Promise<Tensor<E>> {
    checkOptions('to', where ?? null, TO_RULES);
    this.checkAlive();
    const dtype = (where.dtype ?? this.dtype) as E;
    checkDtype('to', dtype);
    const backend = where.backend ?? this.backend;
    if (backend === this.backend && !this.buffer.onHost()) {
      const copy = empty('to', this.shape, dtype, backend);
      backend.cast(copy.storage, this.storage);
      return copy as Tensor<E>;
    }
    return fromHost(converted(await this.data<TypedArray>(), dtype), this.shape, { backend }) as Tensor<E>;
  }

  /**
   * Returns type, shape and backend; followed by the elements where they can be read at once, that is, unless only a backend without
   * synchronous reads has them. Axes with more than six elements are abbreviated.
   */
  override toString(): string {
    const head = `Tensor(${this.dtype} [${this.shape}] on ${this.backend.name}${this.requiresGrad ? ', requiresGrad' : ''}${this.disposed ? ', freed' : ''})`;
    if (this.disposed || !(this.buffer.onHost() || this.backend.capabilities.syncRead)) return head;
    return `${head} ${formatElements(this.buffer.onHost() ?? this.backend.readSync(this.storage), this.shape)}`;
  }

  /** Whether reading may move the data to the host: not that of parameters and of tensors whose backward pass is to come. */
  private get settles(): boolean {
    return !this.kept && !this.wantsGradient;
  }

  private checkSingle(op: string): void {
    if (this.size !== 1) throw new ShapeError(`${op}: a tensor of shape [${this.shape}] has ${this.size} elements, expected 1; use data()`);
  }
}

export interface Tensor<D extends DType = DType> extends TensorMethods<Tensor<D>, Tensor, Tensor<'int32'>>, DisposeMethod {
  /** Converts to another element type. See the function `cast`. */
  cast<E extends DType>(dtype: E): Tensor<E>;
}

addDisposeMethod(Tensor.prototype);
shareAcrossCopies(Tensor, 'tensor');

// Creating tensors ------------------------------------------------------------------------------

type Nested = number | readonly Nested[];

/** Element type of a tensor made from an array of this type. */
type DTypeOf<A> = A extends Int32Array ? 'int32' : A extends Uint8Array ? 'uint8' : A extends Float64Array ? 'float64' : 'float32';

/**
 * Creates a tensor from a typed array and a shape, or from nested arrays. The data is copied and stays on the host. The backend's copy
 * is made at the first use and evicted after `backward()`, so that the inputs of earlier training steps use no backend memory.
 *
 * @example tensor([[1, 2], [3, 4]]); tensor(new Float32Array(6), [2, 3], { requiresGrad: true });
 * @throws ShapeError if the number of elements does not match the shape; ValueError or DTypeError for values that the type cannot
 *   represent
 */
export function tensor<A extends TypedArray | Nested, D extends DType = DTypeOf<A>>(
  data: A,
  shape?: Shape,
  options: TensorOptions<D> = {},
): Tensor<D> {
  checkOptions('tensor', options, TENSOR_RULES);
  const given = isTypedArray(data) ? { flat: data as TypedArray, shape: [(data as TypedArray).length] } : read('tensor', data);
  const { flat } = given;
  const dims = shape === undefined ? given.shape : shape;
  checkShape('tensor', dims);
  if (flat.length !== sizeOf(dims))
    throw new ShapeError(`tensor: got ${flat.length} elements, expected ${sizeOf(dims)} for shape [${dims}]`);
  const dtype = options.dtype ?? (isTypedArray(data) ? dtypeOf(data as TypedArray) : 'float32');
  checkGradient('tensor', dtype, options.requiresGrad);
  const host = toTypedArray(flat, dtype);
  return fromHost(host === (data as unknown) ? host.slice() : host, dims, options);
}

/** @internal Creates a tensor over a typed array without copying it. The caller must not modify the array afterwards. */
export function fromHost(host: TypedArray, shape: Shape, options: TensorOptions = {}): Tensor {
  checkOptions('fromHost', options, TENSOR_RULES);
  checkShape('fromHost', shape);
  const dtype = dtypeOf(host);
  if (host.length !== sizeOf(shape))
    throw new ShapeError(`fromHost: got ${host.length} elements, expected ${sizeOf(shape)} for shape [${shape}]`);
  const backend = options.backend ?? defaultBackend();
  return new Tensor([...shape], new Buffer(backend, dtype, host.length, host), options.requiresGrad ?? false);
}

/** @internal Creates an uninitialised tensor for a kernel to write to. */
export function empty(op: string, shape: Shape, dtype: DType, backend: Backend, scoped = true): Tensor {
  checkShape(op, shape);
  allocatingFor(op);
  return new Tensor(shape, new Buffer(backend, dtype, sizeOf(shape), null), false, scoped);
}

/** Creates a tensor after checking shape and options; `fill` writes its elements. */
function filled(op: string, shape: Shape, options: TensorOptions, rules: Rules, fill: (result: Tensor, dtype: DType) => void): Tensor {
  checkOptions(op, options, rules);
  checkShape(op, shape);
  const { dtype = 'float32', backend = defaultBackend(), requiresGrad = false } = options;
  checkGradient(op, dtype, requiresGrad);
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
 * Creates a tensor whose elements all have the same value. PyTorch `full`.
 *
 * @example full([2, 2], 0.5)
 * @throws ShapeError or ValueError for invalid arguments; DTypeError for a value that the type cannot represent
 */
export function full<D extends DType = 'float32'>(shape: Shape, value: number, options: TensorOptions<D> = {}): Tensor<D> {
  checkArgument('full', 'value', value, anyNumber);
  return filled('full', shape, options, TENSOR_RULES, (result, dtype) => {
    checkScalar('full', value, dtype);
    result.backend.fill(result.storage, value);
  });
}

/**
 * Creates a tensor of zeros.
 *
 * @example zeros([2, 3], { requiresGrad: true })
 */
export const zeros = <D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> => full(shape, 0, options);
/**
 * Creates a tensor of ones.
 *
 * @example ones([2, 3], { dtype: 'int32' })
 */
export const ones = <D extends DType = 'float32'>(shape: Shape, options?: TensorOptions<D>): Tensor<D> => full(shape, 1, options);

/** Options of the functions that create tensors of random numbers. */
export interface RandomOptions<D extends DType = DType> extends TensorOptions<D> {
  /** Generator of the random numbers. Default: the global one that `manualSeed` seeds. */
  generator?: Generator;
}

const NORMAL_RULES: Rules = { ...RANDOM_RULES, mean: finite(), std: finite(0) };
const UNIFORM_RULES: Rules = { ...RANDOM_RULES, low: finite(), high: finite() };

/**
 * Creates a tensor of normally distributed random numbers; mean 0 and standard deviation 1 by default.
 *
 * @example randn([2, 3], { mean: 1, std: 0.1 })
 */
export function randn<D extends DType = 'float32'>(
  shape: Shape,
  options: RandomOptions<D> & { mean?: number; std?: number } = {},
): Tensor<D> {
  return filled('randn', shape, options, NORMAL_RULES, (result) => {
    checkFloat('randn', result);
    const { generator = defaultGenerator(), mean = 0, std = 1 } = options;
    result.backend.normal(result.storage, generator.seed, generator.next(result.size), mean, std);
  });
}

/**
 * Creates a tensor of random numbers distributed uniformly over [low, high); [0, 1) by default.
 *
 * @example uniform([2, 3], { low: -1, high: 1 })
 * @throws ValueError if `low` is above `high`
 */
export function uniform<D extends DType = 'float32'>(
  shape: Shape,
  options: RandomOptions<D> & { low?: number; high?: number } = {},
): Tensor<D> {
  return filled('uniform', shape, options, UNIFORM_RULES, (result) => {
    checkFloat('uniform', result);
    const { generator = defaultGenerator(), low = 0, high = 1 } = options;
    if (low > high) throw new ValueError(`uniform: low is ${low} and high is ${high}, expected low to be at most high`);
    result.backend.uniform(result.storage, generator.seed, generator.next(result.size), low, high);
  });
}

/** Maximum depth of nested arrays, the maximum rank of a shape. An array that contains itself exceeds it. */
const MOST_LEVELS = 64;

/** Flattens nested arrays. @throws ShapeError if their lengths differ; ValueError for anything but numbers */
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

/** Returns the element type of a typed array. @throws DTypeError for unsupported kinds of arrays */
export function dtypeOf(data: TypedArray): DType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Float64Array) return 'float64';
  throw new DTypeError(`tensor: got ${show(data)}, expected Float32Array, Int32Array, Uint8Array or an array of numbers`);
}

/**
 * @internal Converts an array to the typed array of an element type; returns the array itself if it already has that type.
 *
 * @throws DTypeError for an unknown type; ValueError for a value that an integer type cannot represent, and for a transferred buffer
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
          `${op}: element ${i} is ${show(data[i])}, expected a whole number from ${range[0]} to ${range[1]} for ${dtype}; round it, or use float32`,
        );
  return Wanted.from(data);
}

/** Returns a copy in another element type, converted like the kernel `cast`: towards zero, and clamped to the range of an integer type. */
function converted(data: TypedArray, dtype: DType): TypedArray {
  const range = RANGES[dtype];
  const copy = new ARRAYS[dtype](data.length);
  for (let i = 0; i < copy.length; i++) copy[i] = range ? Math.min(Math.max(Math.trunc(data[i]), range[0]), range[1]) : data[i];
  return copy;
}

const isWhole = (value: number, [low, high]: readonly [number, number]) => Number.isInteger(value) && value >= low && value <= high;

/** Throws for an array whose buffer was transferred to a worker. Such an array has length 0, like an array that is empty on purpose. */
function checkAttached(op: string, data: TypedArray): void {
  if (data.length > 0) return;
  try {
    new Uint8Array(data.buffer);
  } catch {
    throw new ValueError(`${op}: the array's buffer was transferred to another thread; pass a copy of the array`);
  }
}

// Checks that operations share ---------------------------------------------------------------------

/** Throws unless all arguments are tensors that have not been freed and that share one backend. */
export function checkSameBackend(op: string, ...tensors: readonly Tensor[]): void {
  const [first] = tensors;
  for (const t of tensors) {
    if (!(t instanceof Tensor)) throw new ValueError(`${op}: got ${show(t)}, expected a tensor; make one with tensor(data, shape)`);
    t.checkAlive();
    if (t.backend !== first.backend) throw backendsDiffer(op, first, t);
  }
}

/** @internal Returns the error for tensors on different backends. */
export const backendsDiffer = (op: string, { backend: a }: Tensor, { backend: b }: Tensor): BackendError =>
  new BackendError(
    `${op}: got tensors on different backends (${a.name} and ${b.name}), expected one backend; move one with tensor(await t.data(), t.shape, { backend })`,
  );

export const isFloat = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float64';

/** As `checkSameBackend`; also throws a `DTypeError` unless all tensors have the same floating-point type. */
export function checkFloat(op: string, ...tensors: readonly Tensor[]): void {
  checkSameBackend(op, ...tensors);
  const [first] = tensors;
  for (const t of tensors) {
    if (!isFloat(t.dtype)) throw new DTypeError(`${op}: got a ${t.dtype} tensor, expected float32; use cast('float32')`);
    if (t.dtype !== first.dtype) throw new DTypeError(`${op}: got ${first.dtype} and ${t.dtype} tensors, expected one type`);
  }
}

/** Throws a `DTypeError` unless the element type can represent the number exactly. */
export function checkScalar(op: string, value: number, dtype: DType): void {
  const range = RANGES[dtype];
  if (range && !isWhole(value, range))
    throw new DTypeError(
      `${op}: got the number ${value} for a tensor of type ${dtype}, expected a whole number from ${range[0]} to ${range[1]}; use cast('float32')`,
    );
}

function checkGradient(op: string, dtype: DType, requiresGrad = false): void {
  checkDtype(op, dtype);
  if (requiresGrad && !isFloat(dtype))
    throw new DTypeError(`${op}: got requiresGrad for a ${dtype} tensor, expected float32; integer tensors have no gradient`);
}

// Scopes ----------------------------------------------------------------------------------------

/**
 * Runs a synchronous function and frees every tensor created inside, except those that it returns and those marked by `keep()`.
 *
 * @example const mean = scope(() => images.sub(0.5).square().mean());
 * @throws ValueError if `fn` is an async function
 */
export function scope<T>(fn: () => T): T {
  return runScope('scope()', fn, isTensor);
}

/** Returns whether a value is a tensor, of this copy of the engine or of another one in the process. */
export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
