/** What an operator is: how it computes, which of its inputs are learned, and what of its input one output sees. */
import type { Reach } from '../../nn/index.js';
import { type Backend, type DType, fromHost, type Shape, ShapeError, sizeOf, Tensor } from '../../tensor/index.js';
import type { Attributes } from './decoding/attributes.js';
import { isFloat } from './decoding/element_types.js';
import { type HostValue, numbersOf, toTensor, type Value } from './decoding/host_value.js';

export interface Operator {
  /** Outputs in their order; null, or fewer, for optional ones that nobody wants. */
  run(call: Call): readonly (Value | null)[];
  /** Input slots whose floating-point constants are parameters. */
  weights?: readonly number[];
  /** What of its input one activation sees; `global` where it is not given. `weight` is the shape of the second input, where known. */
  reach?: Reach | ((attributes: Attributes, weight: Shape | undefined) => Reach);
  /** Whether a ReLU right behind can run in the same kernel: `call.relu` asks for it. */
  fusesRelu?: boolean;
  /** The operator is stochastic or otherwise different in training. */
  trains?: boolean;
}

/** The longest list of axes, extents or parts that an input may hold. */
const MAX_LIST = 8192;

export interface CallOptions {
  node: { readonly opset: number; readonly attributes: Attributes; readonly outputs: readonly string[] };
  inputs: readonly (Value | undefined)[];
  /** Null where constants are folded: nothing visits a backend then. */
  backend: Backend | null;
  training: boolean;
  /** A ReLU behind runs in the same kernel. */
  relu: boolean;
  /** Constants that have been made tensors before. */
  constants: Map<HostValue, Tensor | null>;
}

/** Numbers that a tensor may grow to by padding or repetition, where a few bytes of the model ask for any amount. */
const MAX_GROWN = 2 ** 27;

/** Throws where an operator that repeats or pads makes a tensor larger than any image or map. */
export function checkGrowth(call: Call, from: Shape, to: Shape): void {
  const size = sizeOf(to);
  if (size > MAX_GROWN && size > sizeOf(from))
    throw call.error(`it makes shape [${to}] of [${from}], more than the ${MAX_GROWN} numbers allowed`);
}

/** One execution of a node: its inputs, as the operator wants to see them. */
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
    if (!this.options.backend) throw this.error('it cannot be computed while the model is read');
    return this.options.backend;
  }

  /** Whether an optional input is there. */
  has(slot: number): boolean {
    return this.inputs[slot] !== undefined;
  }

  /** Whether anybody may look at an output. */
  wants(slot: number): boolean {
    return (this.outputs[slot] ?? '') !== '';
  }

  value(slot: number): Value {
    const value = this.inputs[slot];
    if (value === undefined) throw this.error(`input ${slot} is missing`);
    return value;
  }

  /** An input as a floating-point tensor. */
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

  /** The type that tensors made of host values take: that of the first floating-point tensor among the inputs. */
  private get dtype(): DType {
    const first = this.inputs.find((input) => input instanceof Tensor && (input.dtype === 'float32' || input.dtype === 'float64'));
    return (first as Tensor | undefined)?.dtype ?? 'float32';
  }

  /** Whole numbers from an input, for shapes and axes. */
  ints(slot: number): number[] | undefined {
    const value = this.inputs[slot];
    if (value && value.size > MAX_LIST) throw this.error(`input ${slot} has ${value.size} numbers, expected a list of at most ${MAX_LIST}`);
    return value && Array.from(numbersOf(value));
  }

  /** One number from an input. */
  number(slot: number): number | undefined {
    const value = this.inputs[slot];
    if (value === undefined) return undefined;
    if (value.size !== 1) throw this.error(`input ${slot} has ${value.size} numbers, expected one`);
    return numbersOf(value)[0];
  }

  /** A list that is an attribute up to some opset and an input from then on. */
  listFrom(attribute: string, slot: number): number[] | undefined {
    return this.ints(slot) ?? this.attributes.ints(attribute);
  }

  /** An axis from 0; negative ones count from the end. `rank` itself is allowed where `inclusive`. */
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
