/**
 * Builds and checks the graph of a model: looks up operators, checks that every name is defined once, sorts the nodes into the order of
 * computation, and reads constants.
 */

import { elementType, isFloat } from '../decoding/element_types.js';
import { HostBudget, HostValue } from '../decoding/host_value.js';
import type { GraphProto, ModelProto, ValueInfoProto } from '../decoding/schema.js';
import { type ExternalFiles, readTensor } from '../decoding/tensor_proto.js';
import { OnnxError, UnsupportedError } from '../errors.js';
import { Call } from '../operator.js';
import { resolveConditions } from './conditions.js';
import { withoutFunctions } from './functions.js';
import { withLrn } from './lrn_pattern.js';
import { type Constants, consumersOf, inOrder, type Node, NodeFactory, type ValueInfo } from './nodes.js';

/** A checked graph that can be computed node by node. */
export interface Graph {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In the order of computation. */
  readonly nodes: readonly Node[];
  /** Initialisers and the values of `Constant` nodes, by name. */
  readonly constants: Constants;
  /** Names of the constants that are trainable parameters. */
  readonly parameters: readonly string[];
  /** The nodes that use a value as an input, by its name. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
  /** Metadata strings of the file by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The only valid batch size, because the conditions of `If` nodes were resolved for it; null if any is valid. */
  readonly batch: number | null;
}

/**
 * Builds the graph of a decoded model.
 *
 * @param files contents of the external data files
 * @param freeBatch see `LoadOnnxOptions`
 * @throws OnnxError naming the node and operator that caused it
 */
export function buildGraph(model: ModelProto, files: ExternalFiles, freeBatch = false): Graph {
  const graph = withoutFunctions(model);
  if (!graph) throw new OnnxError('onnx: there is no graph in these bytes; this is not an ONNX model');
  if (graph.sparseInitializer.length > 0) throw new UnsupportedError('onnx: the model has sparse initialisers, which are not supported');
  const constants = readInitializers(graph, files);
  const factory = new NodeFactory(model, files);
  const made = factory.make(graph.node);
  const inputs = distinct(graph.input.filter(({ name }) => !constants.has(name ?? '')).map((info) => valueInfo(info, 'input')));
  const given = new Set(inputs.map(({ name }) => name));
  const ordered = inOrder(made, (name) => constants.has(name) || given.has(name));
  const unfolded = withoutConstants(ordered, constants);
  const free = freeBatch ? unfolded.map((node) => followingBatch(node, inputs[0], constants)) : unfolded;
  const outputs = graph.output.map((info) => valueInfo(info, 'output'));
  const resolved = resolveConditions(free, { factory, files, inputs, constants, freeBatch });
  const simple = resolved.nodes.length === free.length ? resolved.nodes : withoutConstants(resolved.nodes, constants);
  const nodes = withLrn(simple, { inputs, constants, outputs, freeBatch: freeBatch && resolved.batch === null });
  for (const { attributes } of nodes) attributes.detach();
  const defined = new Set([...given, ...constants.keys(), ...nodes.flatMap((node) => node.outputs)]);
  for (const { name } of outputs)
    if (!defined.has(name)) throw new OnnxError(`onnx: output ${JSON.stringify(name)} is computed by no node`);
  const metadata = Object.fromEntries(model.metadata.map(({ key = '', value = '' }) => [key, value]));
  const used = new Set([...nodes.flatMap((node) => node.inputs), ...outputs.map(({ name }) => name)]);
  for (const name of [...constants.keys()]) if (!used.has(name)) constants.delete(name);
  const parameters = learnedNames(nodes, constants);
  checkFinite(nodes, constants);
  return { inputs, outputs, nodes, constants, consumers: consumersOf(nodes), metadata, parameters, batch: resolved.batch };
}

/** Throws if two inputs have the same name. */
function distinct(inputs: readonly ValueInfo[]): readonly ValueInfo[] {
  const seen = new Set<string>();
  for (const { name } of inputs) {
    if (seen.has(name)) throw new OnnxError(`onnx: there are two inputs named ${JSON.stringify(name)}`);
    seen.add(name);
  }
  return inputs;
}

function readInitializers(graph: GraphProto, files: ExternalFiles): Map<string, HostValue> {
  const constants = new Map<string, HostValue>();
  for (const proto of graph.initializer) {
    const name = proto.name ?? '';
    if (constants.has(name)) throw new OnnxError(`onnx: there are two initialisers named ${JSON.stringify(name)}`);
    constants.set(name, readTensor(proto, files));
  }
  return constants;
}

/** Operators that are evaluated while a model is loaded if they compute a weight from constants. */
const MAKING_WEIGHTS = new Set(['ConstantOfShape', 'Identity', 'Cast', 'DequantizeLinear']);

/**
 * Evaluates nodes with constant outputs and adds the results to `constants`: `Constant` nodes, and weights that operators in
 * `MAKING_WEIGHTS` compute from constants. Returns the other nodes.
 */
function withoutConstants(nodes: readonly Node[], constants: Map<string, HostValue>): Node[] {
  // Exporters store weights also in half precision or quantised, followed by a conversion.
  const weights = new Set(nodes.flatMap(({ inputs, operator }) => (operator.weights ?? []).map((slot) => inputs[slot] ?? '')));
  return nodes.filter((node) => {
    const { type, inputs, outputs, operator } = node;
    const [output] = outputs;
    const makesWeight = MAKING_WEIGHTS.has(type) && weights.has(output);
    if (type !== 'Constant' && !(makesWeight && inputs.every((name) => constants.has(name)))) return true;
    const values = inputs.map((name) => constants.get(name));
    const call = new Call({ node, inputs: values, backend: null, training: false, relu: false, constants: new Map() });
    constants.set(output, new HostBudget().during(() => operator.run(call))[0] as HostValue);
    return false;
  });
}

/** Changes a `Reshape` to a fixed shape that starts with the input's batch size, so that it accepts any batch size. */
function followingBatch(node: Node, input: ValueInfo | undefined, constants: Map<string, HostValue>): Node {
  const [data = '', target = ''] = node.inputs;
  const wanted = constants.get(target);
  const batch = input?.shape?.[0];
  if (node.type !== 'Reshape' || constants.has(data) || !wanted || typeof batch !== 'number') return node;
  const extents = Array.from(wanted.read(), Number);
  if (extents[0] !== batch) return node;
  // If another dimension is already -1 (inferred), use 0, which copies the batch size of the data.
  const free = new HostValue(wanted.type, wanted.shape, wanted.read().slice());
  free.data[0] = extents.includes(-1) ? 0 : -1;
  const name = `${target} of any batch`;
  constants.set(name, free);
  return { ...node, inputs: [data, name, ...node.inputs.slice(2)] };
}

/** Returns the floating-point constants in weight inputs of operators. A scalar operand of `Add` or `Mul` is not a weight. */
function learnedNames(nodes: readonly Node[], constants: ReadonlyMap<string, HostValue>): string[] {
  const learned = new Set<string>();
  for (const { operator, inputs, type } of nodes) {
    const least = type === 'Add' || type === 'Mul' ? 2 : 1;
    for (const slot of operator.weights ?? []) {
      const value = constants.get(inputs[slot] ?? '');
      if (value && isFloat(value.type) && value.type !== 'float64' && value.size >= least) learned.add(inputs[slot]);
    }
  }
  return [...constants.keys()].filter((name) => learned.has(name));
}

/** Operators whose constants are weights, scales or statistics. A non-finite one would make the outputs NaN. */
const WEIGHTED = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'BatchNormalization',
  'LayerNormalization',
  'InstanceNormalization',
  'GroupNormalization',
  'PRelu',
]);

/**
 * Throws for weights that are not finite, and for any constant with a NaN. Infinite values of other constants are allowed: they occur as
 * bounds of a `Clip`, and in masks that are added to scores.
 */
function checkFinite(nodes: readonly Node[], constants: Constants): void {
  const seen = new Set<string>();
  for (const { name: node, type, inputs } of nodes) {
    const finite = WEIGHTED.has(type);
    for (const name of inputs) {
      const value = constants.get(name);
      const key = `${finite} ${name}`;
      if (!value || !isFloat(value.type) || seen.has(key)) continue;
      seen.add(key);
      const data = value.read();
      for (let i = 0; i < data.length; i++) {
        if (Number.isFinite(data[i]) || (!finite && !Number.isNaN(data[i]))) continue;
        throw new OnnxError(
          `onnx: tensor ${JSON.stringify(name)} of node ${JSON.stringify(node)} (${type}) has the value ${data[i]} at index ${i}, expected finite values; the file is damaged or the training diverged`,
          { node, operator: type },
        );
      }
    }
  }
}

function valueInfo({ name, type }: ValueInfoProto, role: string): ValueInfo {
  const what = `${role} ${JSON.stringify(name ?? '')}`;
  if (!name) throw new OnnxError(`onnx: an ${role} of the model has no name`);
  if (!type?.tensorType) throw new UnsupportedError(`onnx: ${what} is not a tensor; sequences, maps and optional values are not supported`);
  const { elemType, shape } = type.tensorType;
  return { name, type: elementType(elemType, what), shape: shape?.dim.map(({ dimValue, dimParam }) => dimValue ?? dimParam ?? null) };
}
