/** Small ONNX models for tests, from one line per node. */
import { type ElementType, TYPE_NUMBERS } from '../../../src/formats/onnx/decoding/element_types.js';
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  encodeModel,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type Written,
} from '../../../src/formats/onnx/decoding/schema.js';
import { writeTensor } from '../../../src/formats/onnx/decoding/tensor_proto.js';

export type Attribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { tensor: Written<TensorProto> }
  | { graph: Written<GraphProto> };

const asAttribute = ([name, value]: [string, Attribute]): Written<AttributeProto> => {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPES.int, i: value };
  if (typeof value === 'string') return { name, type: ATTRIBUTE_TYPES.string, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPES.float, f: value.float };
  if ('tensor' in value) return { name, type: ATTRIBUTE_TYPES.tensor, t: value.tensor };
  if ('graph' in value) return { name, type: ATTRIBUTE_TYPES.graph, g: value.graph };
  return { name, type: ATTRIBUTE_TYPES.ints, ints: [...value] };
};

/** `node('Conv', 'x w b', 'y', { group: 2 })`; `_` is an input left out. */
export const node = (
  opType: string,
  inputs: string,
  outputs: string,
  attributes: Record<string, Attribute> = {},
  name = '',
): Written<NodeProto> => ({
  opType,
  name,
  input: inputs
    .split(' ')
    .filter((part) => part !== '')
    .map((part) => (part === '_' ? '' : part)),
  output: outputs.split(' '),
  attribute: Object.entries(attributes).map(asAttribute),
});

export const floats = (name: string, shape: readonly number[], data: readonly number[]): Written<TensorProto> =>
  writeTensor(name, shape, Float32Array.from(data));
export const ints = (name: string, data: readonly number[]): Written<TensorProto> => writeTensor(name, [data.length], data);

/** A graph inside an attribute: the branch of an `If`. */
export const branch = (nodes: Written<NodeProto>[], output: string): { graph: Written<GraphProto> } => ({
  graph: { name: 'branch', node: nodes, output: [{ name: output }] },
});

export interface Description {
  nodes: Written<NodeProto>[];
  /** Name → type and, where it is to be said, shape. Default: `x`, float32 of any shape. */
  inputs?: Record<string, { type?: ElementType; shape?: readonly (number | string)[] }>;
  outputs?: readonly string[];
  initializers?: Written<TensorProto>[];
  opset?: number;
  domain?: string;
}

export function onnx({ nodes, inputs = { x: {} }, outputs = ['y'], initializers = [], opset = 13, domain = '' }: Description): Uint8Array {
  const info = (name: string, { type = 'float32', shape }: { type?: ElementType; shape?: readonly (number | string)[] }) => ({
    name,
    type: {
      tensorType: {
        elemType: TYPE_NUMBERS[type],
        ...(shape && { shape: { dim: shape.map((extent) => (typeof extent === 'number' ? { dimValue: extent } : { dimParam: extent })) } }),
      },
    },
  });
  return encodeModel({
    irVersion: 8,
    opsetImport: [{ domain, version: opset }],
    graph: {
      name: 'test',
      node: nodes,
      initializer: initializers,
      input: Object.entries(inputs).map(([name, given]) => info(name, given)),
      output: outputs.map((name) => info(name, {})),
    },
  });
}
