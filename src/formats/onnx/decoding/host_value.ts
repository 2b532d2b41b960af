/**
 * Values of a running graph: tensors, and host values: shapes, indices and other small constants, which never
 * visit a backend. Shape arithmetic is done on them as the graph runs.
 */
import { fromHost, type Shape, sizeOf, Tensor, type TypedArray } from '../../../tensor/index.js';
import { OnnxError } from '../errors.js';
import { type ElementType, hostArray, isFloat } from './element_types.js';

/** Numbers on the host with their ONNX type. Never changed once made. */
export class HostValue {
  private made: TypedArray | null = null;

  /** @param source the numbers, or how to read them out of a file when they are wanted */
  constructor(
    readonly type: ElementType,
    readonly shape: Shape,
    private readonly source: TypedArray | (() => TypedArray),
  ) {}

  get data(): TypedArray {
    this.made ??= this.read();
    return this.made;
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  /** The numbers, without keeping them. */
  read(): TypedArray {
    return this.made ?? (typeof this.source === 'function' ? this.source() : this.source);
  }

  /** The same numbers apart from the file that they were read from, which can then go. */
  detached(): HostValue {
    const data = this.read();
    return new HostValue(this.type, this.shape, data.byteLength < data.buffer.byteLength ? data.slice() : data);
  }
}

export type Value = Tensor | HostValue;

export const isHost = (value: Value | undefined): value is HostValue => value instanceof HostValue;

/** Numbers that one host value may have. Host values are shapes, indices and masks; a damaged or hostile model asks for more. */
const MAX_HOST_SIZE = 2 ** 25;
/** Bytes that all host values of one pass through a graph may hold together. */
const MAX_HOST_BYTES = 2 ** 28;

/** Bytes of host values: those that a running graph holds, and those that its current node has made. */
let heldBytes = 0;
let madeBytes = 0;

/** Counts the host values of one pass through a graph, so that a chain of growing ones ends in an error before memory does. */
export class HostBudget {
  /** Values over each array of numbers. */
  private readonly users = new Map<ArrayBufferLike, number>();
  private bytes = 0;

  /** Counts a value that the graph holds from now on. */
  hold(value: HostValue): void {
    const { buffer } = value.data;
    const users = this.users.get(buffer) ?? 0;
    if (users === 0) this.bytes += buffer.byteLength;
    this.users.set(buffer, users + 1);
  }

  release(value: HostValue): void {
    const { buffer } = value.data;
    const users = this.users.get(buffer);
    if (users === undefined) return;
    if (users > 1) this.users.set(buffer, users - 1);
    else {
      this.users.delete(buffer);
      this.bytes -= buffer.byteLength;
    }
  }

  /** Runs one node with what is left of the budget. */
  during<T>(run: () => T): T {
    const before = [heldBytes, madeBytes] as const;
    [heldBytes, madeBytes] = [this.bytes, 0];
    try {
      return run();
    } finally {
      [heldBytes, madeBytes] = before;
    }
  }
}

/** Axes that a value may have. Time to copy a value grows with them. */
export const MAX_RANK = 64;

/** Throws an `OnnxError` for a shape that is beyond what a model may ask for, before anything is allocated for it. */
export function checkHostSize(type: ElementType, shape: Shape): number {
  if (shape.length > MAX_RANK) throw new OnnxError(`onnx: a value has ${shape.length} axes, at most ${MAX_RANK} are allowed`);
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (!(size <= MAX_HOST_SIZE) || shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0))
    throw new OnnxError(`onnx: a value of shape [${shape}] on the host is beyond the ${MAX_HOST_SIZE} numbers allowed`);
  const bytes = size * hostArray(type, 0).BYTES_PER_ELEMENT;
  if (heldBytes + madeBytes + bytes > MAX_HOST_BYTES)
    throw new OnnxError(
      `onnx: a value of shape [${shape}] on the host takes ${bytes} bytes, with ${heldBytes + madeBytes} in use; the limit is ${MAX_HOST_BYTES} bytes for all values on the host`,
    );
  madeBytes += bytes;
  return size;
}

/** A new host value, filled by its maker. */
export function makeHost(type: ElementType, shape: Shape, fill?: (at: number) => number): HostValue {
  const size = checkHostSize(type, shape);
  const data = hostArray(type, size);
  if (fill) for (let i = 0; i < size; i++) data[i] = fill(i);
  return new HostValue(type, shape, data);
}

/** A list of whole numbers, int64. */
export const hostInts = (values: readonly number[]): HostValue => makeHost('int64', [values.length], (i) => values[i]);

/** The ONNX type of any value. */
export function typeOf(value: Value): ElementType {
  if (isHost(value)) return value.type;
  return value.dtype === 'uint8' ? 'uint8' : value.dtype;
}

/** The numbers of a value, for the host to look at. Reads back at once where the value is a tensor that kernels wrote. */
export const numbersOf = (value: Value): TypedArray => (isHost(value) ? value.data : value.dataSync());

/** Any value on the host. */
export const toHost = (value: Value): HostValue => (isHost(value) ? value : new HostValue(typeOf(value), value.shape, value.dataSync()));

const LEAST = -(2 ** 31);
const MOST = 2 ** 31 - 1;

/**
 * A host value as a tensor that users get: whole numbers as int32, bool as uint8, floating-point numbers as float32, or float64 where
 * the model says double (that tensor stays on the host on backends that have no float64).
 *
 * @throws OnnxError for whole numbers beyond 32 bits
 */
export function toTensor(value: Value, backend: Tensor['backend'], what: string): Tensor {
  if (value instanceof Tensor) return value;
  const { type, shape } = value;
  const data = value.read();
  // Neither side changes the numbers in place, so they are shared where they are of the right type.
  if (type === 'float64') return fromHost(data instanceof Float64Array ? data : Float64Array.from(data), shape, { backend });
  if (isFloat(type)) return fromHost(data instanceof Float32Array ? data : Float32Array.from(data), shape, { backend });
  if (type === 'bool' || type === 'uint8') return fromHost(data instanceof Uint8Array ? data : Uint8Array.from(data), shape, { backend });
  const bad = data.find((number) => number < LEAST || number > MOST);
  if (bad !== undefined) throw new OnnxError(`onnx: ${what} holds ${bad}, which does not fit the 32 bits that whole numbers have here`);
  return fromHost(Int32Array.from(data), shape, { backend });
}
