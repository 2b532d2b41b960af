/** The interface of an operator (computation, trainable inputs, receptive window), and the arguments of one execution. */
import type { ReceptiveWindow } from '../../nn/index.js';
import { type Backend, type DType, fromHost, type Shape, ShapeError, sizeOf, Tensor } from '../../tensor/index.js';
import type { Attributes } from './decoding/attributes.js';
import { isFloat } from './decoding/element_types.js';
import { type HostValue, toTensor, type Value } from './decoding/host_value.js';

/** One ONNX operator. */
export interface Operator {
  /** Computes the outputs in order. Optional outputs that the graph does not use may be null or omitted. */
  run(call: Call): readonly (Value | null)[];
  /** Indices of the inputs whose floating-point constants are trainable parameters. */
  weights?: readonly number[];
  /** Receptive window of one output element. Default `global`. `weight` is the shape of the second input, if known. */
  receptiveWindow?: ReceptiveWindow | ((attributes: Attributes, weight: Shape | undefined) => ReceptiveWindow);
  /**
   * Indices of the inputs whose elements `run` needs on the host, such as axes and shapes. Integers are needed there too, unless
   * `integers` names their input.
   */
  host?: readonly number[] | 'all' | ((attributes: Attributes, value: Tensor) => readonly number[]);
  /** Indices of the inputs that may be integer or bool tensors on the backend. Default: none; integers are computed on the host. */
  integers?: readonly number[] | 'all';
  /** Operator set in which the operator was introduced. Default: it is older than all supported ones. */
  since?: number;
  /** Names of the attributes of all versions. A node with another attribute is refused. Default: attributes are not checked. */
  attributes?: readonly string[];
  /** Whether a following ReLU can be fused into the kernel; `run` applies it if `call.relu` is set. */
  fusesRelu?: boolean;
  /** Whether the operator is stochastic, or otherwise different in training mode. */
  trains?: boolean;
}

/** Returns whether an operator needs the elements of an input on the host. */
export function needsHost({ operator, attributes }: { operator: Operator; attributes: Attributes }, slot: number, value: Value): boolean {
  if (!(value instanceof Tensor)) return false;
  const includes = (list: readonly number[] | 'all' | undefined): boolean => list === 'all' || (list?.includes(slot) ?? false);
  const { host, integers } = operator;
  if (includes(typeof host === 'function' ? host(attributes, value) : host)) return true;
  return value.dtype !== 'float32' && value.dtype !== 'float64' && !includes(integers);
}

/** Longest accepted list of axes, sizes or parts in an input. */
const MAX_LIST = 8192;

/** The arguments of a `Call`. */
export interface CallOptions {
  node: { readonly opset: number; readonly attributes: Attributes; readonly outputs: readonly string[] };
  inputs: readonly (Value | undefined)[];
  /** The backend of the model; null while constants are evaluated during loading. */
  backend: Backend | null;
  training: boolean;
  /** Whether the following ReLU is fused into this node. */
  relu: boolean;
  /** Cache of the tensors of constants. */
  constants: Map<HostValue, Tensor | null>;
}

/** Maximum number of elements of a padded or expanded tensor, because a few bytes of a model can request any size. */
const MAX_GROWN = 2 ** 27;

/** Throws if an operator that expands or pads would create a tensor beyond the limit. */
export function checkGrowth(call: Call, from: Shape, to: Shape): void {
  const size = sizeOf(to);
  if (size > MAX_GROWN && size > sizeOf(from))
    throw call.error(`it would create shape [${to}] from [${from}], more than the limit of ${MAX_GROWN} elements`);
}

/** The arguments of one execution of a node, with conversions to the types that operators need. */
export class Call {
  readonly opset: number;
  readonly attributes: Attributes;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly string[];
  readonly training: boolean;
  readonly relu: boolean;

  constructor(private readonly options: CallOptions) {
    const { node, inputs, training, relu } = options;
    ({ opset: this.opset, attributes: this.attributes, outputs: this.outputs } = node);
    this.inputs = inputs;
    this.training = training;
    this.relu = relu;
  }

  get backend(): Backend {
    if (!this.options.backend) throw this.error('it cannot be computed while the model is loaded');
    return this.options.backend;
  }

  /** Whether an optional input is present. */
  has(slot: number): boolean {
    return this.inputs[slot] !== undefined;
  }

  /** Whether the graph uses an output. */
  wants(slot: number): boolean {
    return (this.outputs[slot] ?? '') !== '';
  }

  value(slot: number): Value {
    const value = this.inputs[slot];
    if (value === undefined) throw this.error(`input ${slot} is missing`);
    return value;
  }

  /** Returns an input that the operator needs on the host; see `Operator.host`. */
  host(slot: number): HostValue {
    const value = this.value(slot);
    if (value instanceof Tensor) throw this.error(`input ${slot} is a tensor, expected a value on the host`);
    return value;
  }

  /** Returns an input as a floating-point tensor. */
  tensor(slot: number): Tensor {
    return this.asTensor(this.value(slot), `input ${slot}`);
  }

  optionalTensor(slot: number): Tensor | null {
    return this.has(slot) ? this.tensor(slot) : null;
  }

  asTensor(value: Value, what: string): Tensor {
    if (value instanceof Tensor) {
      if (value.dtype === 'float32' || value.dtype === 'float64') return value;
      throw this.unsupported(`${what} is ${value.dtype}, supported is float32`);
    }
    const known = this.options.constants.get(value);
    if (known && known.dtype === this.dtype && !known.disposed) return known;
    if (!isFloat(value.type) || (value.type === 'float64' && this.dtype === 'float32'))
      throw this.unsupported(`${what} is ${value.type}, supported is float32`);
    const made =
      this.dtype === 'float64'
        ? fromHost(Float64Array.from(value.data), value.shape, { backend: this.backend })
        : toTensor(value, this.backend, what);
    if (this.options.constants.has(value)) this.options.constants.set(value, made.keep());
    return made;
  }

  /** The type of tensors created from host values: that of the first floating-point tensor among the inputs. */
  private get dtype(): DType {
    const first = this.inputs.find((input) => input instanceof Tensor && (input.dtype === 'float32' || input.dtype === 'float64'));
    return (first as Tensor | undefined)?.dtype ?? 'float32';
  }

  /** Returns an input as a list of integers, for shapes and axes. */
  ints(slot: number): number[] | undefined {
    const value = this.inputs[slot];
    if (value && value.size > MAX_LIST) throw this.error(`input ${slot} has ${value.size} elements, expected at most ${MAX_LIST}`);
    return value && Array.from(this.host(slot).data);
  }

  /** Returns an input as a number. */
  number(slot: number): number | undefined {
    const value = this.inputs[slot];
    if (value === undefined) return undefined;
    if (value.size !== 1) throw this.error(`input ${slot} has ${value.size} elements, expected one`);
    return this.host(slot).data[0];
  }

  /** Returns a list that is an attribute in older operator sets and an input in newer ones. */
  listFrom(attribute: string, slot: number): number[] | undefined {
    return this.ints(slot) ?? this.attributes.ints(attribute);
  }

  /** Converts an axis to the range from 0; negative axes count from the end. With `inclusive`, the axis may equal `rank`. */
  axis(axis: number, rank: number, inclusive = false): number {
    const normal = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(axis) || normal < 0 || normal > rank || (normal === rank && !inclusive && rank > 0))
      throw new ShapeError(`axis ${axis} does not exist in a tensor of rank ${rank}`);
    return normal;
  }

  unsupported(message: string): Error {
    return this.attributes.unsupported(message);
  }

  error(message: string): Error {
    return this.attributes.error(message);
  }
}
