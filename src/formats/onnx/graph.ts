/** A model's graph, checked: every operator known, every name defined once, nodes in the order of computation, constants read. */
import { Attributes, describe } from './attributes.js';
import { type ElementType, elementType, isFloat } from './element_types.js';
import { OnnxError, UnsupportedError } from './errors.js';
import { HostValue } from './host_value.js';
import { Call, type Operator } from './operator.js';
import { OPERATORS } from './ops/index.js';
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from './schema.js';
import { type ExternalFiles, readTensor } from './tensor_proto.js';

/** An input or output of the model. */
export interface ValueInfo {
  readonly name: string;
  readonly type: ElementType;
  /** A number, or the name of an extent that is free (`null` where it has none); undefined where the model does not say. */
  readonly shape: readonly (number | string | null)[] | undefined;
}

export interface Node {
  /** Its name where it has one of its own, else its first output's. */
  readonly name: string;
  readonly type: string;
  readonly operator: Operator;
  readonly opset: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

export interface Graph {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** In the order of computation. */
  readonly nodes: readonly Node[];
  /** Initialisers and what `Constant` nodes say, by name. */
  readonly constants: ReadonlyMap<string, HostValue>;
  /** Names of the constants that are learned. */
  readonly parameters: readonly string[];
  /** Nodes that take a value in. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
  /** Strings by key that the file carries along. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The oldest operator set that is read here. */
const OLDEST_OPSET = 6;

/** The domain as the table of operators has it. */
const domainOf = (domain: string | undefined): string => (domain === 'ai.onnx' ? '' : (domain ?? ''));

/**
 * @param files the bytes of files beside the model
 * @param freeBatch see `LoadOnnxOptions`
 * @throws OnnxError naming the node and operator at fault
 */
export function buildGraph(model: ModelProto, files: ExternalFiles, freeBatch = false): Graph {
  const { graph } = model;
  if (!graph) throw new OnnxError('onnx: there is no graph in these bytes; this is no ONNX model');
  if (graph.sparseInitializer.length > 0) throw new UnsupportedError('onnx: the model has sparse initialisers, which are not supported');
  const constants = readInitializers(graph, files);
  const known = graph.node.map((proto) => resolve(proto, model));
  const named = withNames(graph.node, known, files);
  const inputs = graph.input.filter(({ name }) => !constants.has(name ?? '')).map((info) => valueInfo(info, 'input'));
  const ordered = inOrder(
    named,
    inputs.map(({ name }) => name),
    constants,
  );
  const unfolded = ordered.filter((node) => !folded(node, constants, ordered));
  const nodes = freeBatch ? unfolded.map((node) => followingBatch(node, inputs[0], constants)) : unfolded;
  for (const { attributes } of nodes) attributes.detach();
  const outputs = graph.output.map((info) => valueInfo(info, 'output'));
  const defined = new Set([...inputs.map(({ name }) => name), ...constants.keys(), ...nodes.flatMap((node) => node.outputs)]);
  for (const { name } of outputs)
    if (!defined.has(name)) throw new OnnxError(`onnx: output ${JSON.stringify(name)} is computed by no node`);
  const consumers = new Map<string, Node[]>();
  for (const node of nodes) for (const name of new Set(node.inputs)) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  const metadata = Object.fromEntries(model.metadata.map(({ key = '', value = '' }) => [key, value]));
  return { inputs, outputs, nodes, constants, consumers, metadata, parameters: learnedNames(nodes, constants) };
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

interface Resolved {
  operator: Operator;
  opset: number;
}

/** The operator of a node and the version of its operator set. */
function resolve(proto: NodeProto, model: ModelProto): Resolved {
  const domain = domainOf(proto.domain);
  const table = Object.hasOwn(OPERATORS, domain) ? OPERATORS[domain] : undefined;
  const fail = (what: string) => new UnsupportedError(`onnx: ${describe(proto)}: ${what}`, { node: proto.name, operator: proto.opType });
  if (!table) throw fail(`operators of domain ${JSON.stringify(domain)} are not supported; supported are ONNX’s own`);
  const type = proto.opType ?? '';
  if (!Object.hasOwn(table, type)) throw fail(`this operator is not supported; supported are ${Object.keys(table).sort().join(', ')}`);
  const imported = model.opsetImport.find((entry) => domainOf(entry.domain) === domain);
  const opset = imported?.version ?? (domain === '' ? undefined : 1);
  if (opset === undefined) throw fail('the model does not say which operator set it uses');
  if (domain === '' && opset < OLDEST_OPSET) throw fail(`operator set ${opset} is too old; supported are ${OLDEST_OPSET} and later`);
  return { operator: table[type], opset };
}

/** Gives every node a name that no other has. */
function withNames(protos: readonly NodeProto[], known: readonly Resolved[], files: ExternalFiles): Node[] {
  const given = new Map<string, number>();
  for (const { name } of protos) if (name) given.set(name, (given.get(name) ?? 0) + 1);
  const taken = new Set<string>();
  return protos.map((proto, i) => {
    const output = proto.output.find((name) => name !== '');
    if (output === undefined) throw new OnnxError(`onnx: ${describe(proto)} has no output`, { node: proto.name, operator: proto.opType });
    let name = proto.name && given.get(proto.name) === 1 ? proto.name : output;
    while (taken.has(name)) name += '_';
    taken.add(name);
    return {
      name,
      type: proto.opType ?? '',
      ...known[i],
      inputs: proto.input,
      outputs: proto.output,
      attributes: new Attributes(proto, files),
    };
  });
}

/** Nodes so that each comes behind those it needs, else in the file's order. */
function inOrder(nodes: readonly Node[], inputs: readonly string[], constants: ReadonlyMap<string, HostValue>): Node[] {
  const fail = (node: Node, what: string) =>
    new OnnxError(`onnx: node ${JSON.stringify(node.name)} (${node.type}): ${what}`, { node: node.name, operator: node.type });
  const makers = new Map<string, Node>();
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (makers.has(output) || constants.has(output) || inputs.includes(output))
        throw fail(node, `its output ${JSON.stringify(output)} is defined twice`);
      makers.set(output, node);
    }
  }
  const done = new Set<Node>();
  const open = new Set<Node>();
  const order: Node[] = [];
  for (const root of nodes) {
    // Depth first, with a stack of its own: graphs may be deep.
    const stack: { node: Node; next: number }[] = done.has(root) ? [] : [{ node: root, next: 0 }];
    open.add(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const { node } = top;
      if (top.next === node.inputs.length) {
        stack.pop();
        open.delete(node);
        done.add(node);
        order.push(node);
        continue;
      }
      const name = node.inputs[top.next++];
      if (name === '' || constants.has(name) || inputs.includes(name)) continue;
      const maker = makers.get(name);
      if (!maker) throw fail(node, `its input ${JSON.stringify(name)} is no input of the model, no initialiser and no node’s output`);
      if (done.has(maker)) continue;
      if (open.has(maker)) throw fail(node, `it needs ${JSON.stringify(name)}, which depends on it: the graph has a cycle`);
      open.add(maker);
      stack.push({ node: maker, next: 0 });
    }
  }
  return order;
}

/** Nodes whose output is a constant, put among the constants: `Constant`, and weights that `ConstantOfShape` or `Identity` make of one. */
function folded(node: Node, constants: Map<string, HostValue>, all: readonly Node[]): boolean {
  const { type, inputs, outputs, operator } = node;
  const [output] = outputs;
  const feedsWeight = () => all.some((user) => user.inputs.some((name, slot) => name === output && user.operator.weights?.includes(slot)));
  const fold =
    type === 'Constant' ||
    ((type === 'ConstantOfShape' || type === 'Identity') && inputs.every((name) => constants.has(name)) && feedsWeight());
  if (!fold) return false;
  const call = new Call({
    node,
    inputs: inputs.map((name) => constants.get(name)),
    backend: null,
    training: false,
    relu: false,
    constants: new Map(),
  });
  constants.set(output, operator.run(call)[0] as HostValue);
  return true;
}

/** A reshape of the image's numbers to a fixed shape that begins with the input's batch, made to take any batch. */
function followingBatch(node: Node, input: ValueInfo | undefined, constants: Map<string, HostValue>): Node {
  const [data = '', target = ''] = node.inputs;
  const wanted = constants.get(target);
  const batch = input?.shape?.[0];
  if (node.type !== 'Reshape' || constants.has(data) || !wanted || typeof batch !== 'number') return node;
  const extents = Array.from(wanted.read(), Number);
  if (extents[0] !== batch) return node;
  // Where another extent is left open already, 0 copies the batch of the data.
  const free = new HostValue(wanted.type, wanted.shape, wanted.read().slice());
  free.data[0] = extents.includes(-1) ? 0 : -1;
  const name = `${target} of any batch`;
  constants.set(name, free);
  return { ...node, inputs: [data, name, ...node.inputs.slice(2)] };
}

/** Floating-point constants in the slots of weights. One number beside a sum or a product is a constant, not a weight. */
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

function valueInfo({ name, type }: ValueInfoProto, role: string): ValueInfo {
  const what = `${role} ${JSON.stringify(name ?? '')}`;
  if (!name) throw new OnnxError(`onnx: an ${role} of the model has no name`);
  if (!type?.tensorType) throw new UnsupportedError(`onnx: ${what} is no tensor; sequences, maps and optional values are not supported`);
  const { elemType, shape } = type.tensorType;
  return { name, type: elementType(elemType, what), shape: shape?.dim.map(({ dimValue, dimParam }) => dimValue ?? dimParam ?? null) };
}
