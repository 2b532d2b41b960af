/**
 * The messages of onnx.proto that this library reads and writes, as tables of fields and as types
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Every field may be missing in a file; a missing list is empty.
 */
import { decodeMessage, encodeMessage, type Field, type Message } from './wire.js';

const field = (key: string, kind: Field['kind']): Field => ({ key, kind });

export interface EntryProto {
  key?: string;
  value?: string;
}

export interface TensorProto {
  dims: number[];
  dataType?: number;
  segment?: object;
  name?: string;
  rawData?: Uint8Array;
  floatData: Uint8Array;
  doubleData: Uint8Array;
  int32Data: number[];
  int64Data: number[];
  uint64Data: number[];
  externalData: EntryProto[];
  dataLocation?: number;
}

export interface AttributeProto {
  name?: string;
  type?: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats: Uint8Array;
  ints: number[];
  strings: Uint8Array[];
  /** Name of the attribute of the surrounding function whose value this attribute has. */
  refAttrName?: string;
}

export interface NodeProto {
  input: string[];
  output: string[];
  name?: string;
  opType?: string;
  domain?: string;
  /** Distinguishes functions of the same name. */
  overload?: string;
  attribute: AttributeProto[];
  /** Not part of the file: versions of the operator sets by domain, for a node of a function's body. */
  opsets?: ReadonlyMap<string, number>;
}

export interface DimensionProto {
  dimValue?: number;
  dimParam?: string;
}

export interface ValueInfoProto {
  name?: string;
  type?: { tensorType?: { elemType?: number; shape?: { dim: DimensionProto[] } } };
}

export interface GraphProto {
  name?: string;
  node: NodeProto[];
  initializer: TensorProto[];
  sparseInitializer: Uint8Array[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
}

export interface OperatorSetProto {
  domain?: string;
  version?: number;
}

/** A local function of a model. */
export interface FunctionProto {
  name?: string;
  domain?: string;
  overload?: string;
  input: string[];
  output: string[];
  /** Attributes with default values. */
  attributeProto: AttributeProto[];
  node: NodeProto[];
  opsetImport: OperatorSetProto[];
}

export interface ModelProto {
  irVersion?: number;
  opsetImport: OperatorSetProto[];
  producerName?: string;
  producerVersion?: string;
  graph?: GraphProto;
  metadata: EntryProto[];
  functions: FunctionProto[];
}

const ENTRY: Message = { name: 'StringStringEntryProto', fields: { 1: field('key', 'string'), 2: field('value', 'string') } };

const TENSOR: Message = {
  name: 'TensorProto',
  fields: {
    1: field('dims', 'ints'),
    2: field('dataType', 'int'),
    3: field('segment', { name: 'Segment', fields: {} }),
    4: field('floatData', 'fixed32'),
    5: field('int32Data', 'ints'),
    7: field('int64Data', 'ints'),
    8: field('name', 'string'),
    9: field('rawData', 'bytes'),
    10: field('doubleData', 'fixed64'),
    11: field('uint64Data', 'ints'),
    13: field('externalData', [ENTRY]),
    14: field('dataLocation', 'int'),
  },
};

/** `GRAPH` and `ATTRIBUTE` refer to each other, so the fields of a graph are filled in below. */
const GRAPH_FIELDS: Record<number, Field> = {};
const GRAPH: Message = { name: 'GraphProto', fields: GRAPH_FIELDS };

const ATTRIBUTE: Message = {
  name: 'AttributeProto',
  fields: {
    1: field('name', 'string'),
    2: field('f', 'float'),
    3: field('i', 'int'),
    4: field('s', 'bytes'),
    5: field('t', TENSOR),
    6: field('g', GRAPH),
    7: field('floats', 'fixed32'),
    8: field('ints', 'ints'),
    9: field('strings', 'bytesList'),
    20: field('type', 'int'),
    21: field('refAttrName', 'string'),
  },
};

const NODE: Message = {
  name: 'NodeProto',
  fields: {
    1: field('input', 'strings'),
    2: field('output', 'strings'),
    3: field('name', 'string'),
    4: field('opType', 'string'),
    5: field('attribute', [ATTRIBUTE]),
    7: field('domain', 'string'),
    8: field('overload', 'string'),
  },
};

const DIMENSION: Message = { name: 'Dimension', fields: { 1: field('dimValue', 'int'), 2: field('dimParam', 'string') } };
const SHAPE: Message = { name: 'TensorShapeProto', fields: { 1: field('dim', [DIMENSION]) } };
const TENSOR_TYPE: Message = { name: 'TypeProto.Tensor', fields: { 1: field('elemType', 'int'), 2: field('shape', SHAPE) } };
const TYPE: Message = { name: 'TypeProto', fields: { 1: field('tensorType', TENSOR_TYPE) } };
const VALUE_INFO: Message = { name: 'ValueInfoProto', fields: { 1: field('name', 'string'), 2: field('type', TYPE) } };

Object.assign(GRAPH_FIELDS, {
  1: field('node', [NODE]),
  2: field('name', 'string'),
  5: field('initializer', [TENSOR]),
  11: field('input', [VALUE_INFO]),
  12: field('output', [VALUE_INFO]),
  15: field('sparseInitializer', 'bytesList'),
});

const OPERATOR_SET: Message = { name: 'OperatorSetIdProto', fields: { 1: field('domain', 'string'), 2: field('version', 'int') } };

const FUNCTION: Message = {
  name: 'FunctionProto',
  fields: {
    1: field('name', 'string'),
    4: field('input', 'strings'),
    5: field('output', 'strings'),
    7: field('node', [NODE]),
    9: field('opsetImport', [OPERATOR_SET]),
    10: field('domain', 'string'),
    11: field('attributeProto', [ATTRIBUTE]),
    13: field('overload', 'string'),
  },
};

const MODEL: Message = {
  name: 'ModelProto',
  fields: {
    1: field('irVersion', 'int'),
    2: field('producerName', 'string'),
    3: field('producerVersion', 'string'),
    7: field('graph', GRAPH),
    8: field('opsetImport', [OPERATOR_SET]),
    14: field('metadata', [ENTRY]),
    25: field('functions', [FUNCTION]),
  },
};

/** The values of `AttributeProto.type`. */
export const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 } as const;

/** Decodes an ONNX model. Weights are views of `bytes`. Throws an `OnnxError` for malformed bytes. */
export const decodeModel = (bytes: Uint8Array): ModelProto => decodeMessage(MODEL, bytes) as unknown as ModelProto;
/** Decodes a single tensor, such as a `.pb` file of ONNX's operator tests. */
export const decodeTensorProto = (bytes: Uint8Array): TensorProto => decodeMessage(TENSOR, bytes) as unknown as TensorProto;

/** A message to be encoded, in which every field is optional. */
export type Written<T> = {
  [K in keyof T]?: T[K] extends (infer U)[]
    ? U extends object
      ? Written<U>[]
      : U[]
    : T[K] extends object | undefined
      ? T[K] extends Uint8Array | undefined
        ? T[K]
        : Written<NonNullable<T[K]>>
      : T[K];
};

export const encodeModel = (model: Written<ModelProto>): Uint8Array => encodeMessage(MODEL, model);
export const encodeTensor = (tensor: Written<TensorProto>): Uint8Array => encodeMessage(TENSOR, tensor);
