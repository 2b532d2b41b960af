/** Collects the nodes and initialisers of a graph that is exported. The elements of the parameters are read when the walk is complete. */
import type { Shape, Tensor, TypedArray } from '../../../tensor/index.js';
import { ATTRIBUTE_TYPES, type AttributeProto, type NodeProto, type TensorProto, type Written } from '../decoding/schema.js';
import { writeTensor } from '../decoding/tensor_proto.js';

/** An integer, a list of integers, a floating-point number or a word. */
export type AttributeValue = number | readonly number[] | { float: number } | string;

type Source = { tensor: Tensor } | { data: Float32Array | readonly number[] };

export class GraphWriter {
  readonly nodes: Written<NodeProto>[] = [];
  private readonly sources: { name: string; shape: Shape; source: Source }[] = [];

  /**
   * @param value name of the current value, which is the input of the next node
   * @param opset version of the operator set
   */
  constructor(
    public value: string,
    readonly opset: number,
  ) {}

  /** Adds a node and makes its output the current value. Inputs default to the current value. */
  node(opType: string, name: string, attributes: Record<string, AttributeValue> = {}, inputs: readonly string[] = [this.value]): string {
    const output = `${name}_output`;
    this.nodes.push({ opType, name, input: [...inputs], output: [output], attribute: Object.entries(attributes).map(attributeProto) });
    this.value = output;
    return output;
  }

  /** Adds a parameter or buffer of the network. @param shape the shape in the file, if it differs */
  parameter(name: string, tensor: Tensor, shape: Shape = tensor.shape): string {
    if (!this.sources.some((source) => source.name === name)) this.sources.push({ name, shape, source: { tensor } });
    return name;
  }

  /** Adds a constant: float32 for a Float32Array, int64 for numbers. */
  constant(name: string, shape: Shape, data: Float32Array | readonly number[]): string {
    this.sources.push({ name, shape, source: { data } });
    return name;
  }

  /** Adds a float32 scalar. */
  scalar(name: string, value: number): string {
    return this.constant(name, [], Float32Array.of(value));
  }

  /** Gives the last value this name. An empty graph gets a node that copies its input. */
  renameLast(name: string): void {
    const last = this.nodes.at(-1);
    if (last?.output?.[0] === this.value) last.output = [name];
    else this.nodes.push({ opType: 'Identity', name: 'identity', input: [this.value], output: [name] });
  }

  /** The tensors whose elements `initializers` needs, in this order. */
  tensors(): Tensor[] {
    return this.sources.flatMap(({ source }) => ('tensor' in source ? [source.tensor] : []));
  }

  /** Returns the initialisers. @param elements those of `tensors()` */
  initializers(elements: readonly TypedArray[]): Written<TensorProto>[] {
    let next = 0;
    return this.sources.map(({ name, shape, source }) => {
      const data = 'tensor' in source ? elements[next++] : source.data;
      return writeTensor(name, shape, Array.isArray(data) || data instanceof Float32Array ? data : Float32Array.from(data));
    });
  }
}

function attributeProto([name, value]: [string, AttributeValue]): Written<AttributeProto> {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPES.int, i: value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE_TYPES.string, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPES.float, f: value.float };
  return { name, type: ATTRIBUTE_TYPES.ints, ints: [...value] };
}
