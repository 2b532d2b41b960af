/**
 * Host values: shapes, indices and other small constants of a graph, which are computed on the host and never uploaded to a backend. The
 * other values of a graph are tensors.
 */
import { fromHost, type Shape, sizeOf, Tensor, type TypedArray } from '../../../tensor/index.js';
import { OnnxError } from '../errors.js';
import { type ElementType, hostArray, isFloat } from './element_types.js';

/** An immutable array on the host with its shape and ONNX type. */
export class HostValue {
  private made: TypedArray | null = null;

  /** @param source the elements, or a function that decodes them from the file on first use */
  constructor(
    readonly type: ElementType,
    readonly shape: Shape,
    private readonly source: TypedArray | (() => TypedArray),
  ) {}

  /** The elements, decoded on first use. */
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

  /** Returns the elements without caching the decoded array. */
  read(): TypedArray {
    return this.made ?? (typeof this.source === 'function' ? this.source() : this.source);
  }

  /** Returns a copy that does not refer to the file, so that the memory of the file can be released. */
  detached(): HostValue {
    const data = this.read();
    return new HostValue(this.type, this.shape, data.byteLength < data.buffer.byteLength ? data.slice() : data);
  }
}

export type Value = Tensor | HostValue;

export const isHost = (value: Value | undefined): value is HostValue => value instanceof HostValue;

/** Maximum number of elements of a host value. Shapes, indices and masks are smaller; only a damaged or hostile model exceeds it. */
const MAX_HOST_SIZE = 2 ** 25;
/** Maximum number of bytes of all host values in one run of a graph. */
const MAX_HOST_BYTES = 2 ** 28;

/** Bytes of the host values that a running graph keeps, and of those that its current node has created. */
let heldBytes = 0;
let madeBytes = 0;

/** Counts the bytes of host values in one run of a graph, so that growing values cause an error before the memory is exhausted. */
export class HostBudget {
  /** Number of values per array buffer. */
  private readonly users = new Map<ArrayBufferLike, number>();
  private bytes = 0;

  /** Counts a value that the graph keeps. */
  hold(value: HostValue): void {
    const { buffer } = value.data;
    const users = this.users.get(buffer) ?? 0;
    if (users === 0) this.bytes += buffer.byteLength;
    this.users.set(buffer, users + 1);
  }

  /** Stops counting a value that the graph no longer needs. */
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

  /** Runs one node with the rest of the budget. */
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

/** Maximum number of axes of a value. The time to copy a value grows with the number of axes. */
export const MAX_RANK = 64;

/** Checks a shape against the limits before memory is allocated, and returns its number of elements. Throws an `OnnxError`. */
export function checkHostSize(type: ElementType, shape: Shape): number {
  if (shape.length > MAX_RANK) throw new OnnxError(`onnx: a value has ${shape.length} axes, at most ${MAX_RANK} are allowed`);
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (!(size <= MAX_HOST_SIZE) || shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0))
    throw new OnnxError(`onnx: a value of shape [${shape}] on the host exceeds the limit of ${MAX_HOST_SIZE} elements`);
  const bytes = size * hostArray(type, 0).BYTES_PER_ELEMENT;
  if (heldBytes + madeBytes + bytes > MAX_HOST_BYTES)
    throw new OnnxError(
      `onnx: a value of shape [${shape}] on the host takes ${bytes} bytes, with ${heldBytes + madeBytes} in use; the limit is ${MAX_HOST_BYTES} bytes for all values on the host`,
    );
  madeBytes += bytes;
  return size;
}

/** Creates a host value; `fill` returns the element at a row-major index (default: all 0). */
export function makeHost(type: ElementType, shape: Shape, fill?: (at: number) => number): HostValue {
  const size = checkHostSize(type, shape);
  const data = hostArray(type, size);
  if (fill) for (let i = 0; i < size; i++) data[i] = fill(i);
  return new HostValue(type, shape, data);
}

/** Creates a host value of type int64 with one axis. */
export const hostInts = (values: readonly number[]): HostValue => makeHost('int64', [values.length], (i) => values[i]);

/** Returns the ONNX type of a value. */
export function typeOf(value: Value): ElementType {
  if (isHost(value)) return value.type;
  return value.dtype === 'uint8' ? 'uint8' : value.dtype;
}

const LEAST = -(2 ** 31);
const MOST = 2 ** 31 - 1;

/**
 * Converts a value to a tensor for the user: integers become int32, bool and uint8 become uint8, double becomes float64, and other
 * floating-point types become float32. On backends without float64, a float64 tensor stays on the host.
 *
 * @throws OnnxError for integers that do not fit into int32
 */
export function toTensor(value: Value, backend: Tensor['backend'], what: string): Tensor {
  if (value instanceof Tensor) return value;
  const { type, shape } = value;
  const data = value.read();
  // Neither the host value nor the tensor is written in place, so an array of the right type is shared.
  if (type === 'float64') return fromHost(data instanceof Float64Array ? data : Float64Array.from(data), shape, { backend });
  if (isFloat(type)) return fromHost(data instanceof Float32Array ? data : Float32Array.from(data), shape, { backend });
  if (type === 'bool' || type === 'uint8') return fromHost(data instanceof Uint8Array ? data : Uint8Array.from(data), shape, { backend });
  const bad = data.find((number) => number < LEAST || number > MOST);
  if (bad !== undefined) throw new OnnxError(`onnx: ${what} has the value ${bad}, which does not fit into int32`);
  return fromHost(Int32Array.from(data), shape, { backend });
}
