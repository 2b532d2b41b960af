/** Creates the nodes of a graph with their operators and unique names, and sorts them into the order of computation. */
import { Attributes, describe } from '../decoding/attributes.js';
import type { ElementType } from '../decoding/element_types.js';
import type { HostValue } from '../decoding/host_value.js';
import type { GraphProto, ModelProto, NodeProto } from '../decoding/schema.js';
import type { ExternalFiles } from '../decoding/tensor_proto.js';
import { OnnxError, UnsupportedError } from '../errors.js';
import type { Operator } from '../operator.js';
import { OPERATORS } from '../ops/index.js';
import { domainOf, opsetsOf } from './opsets.js';
import { UniqueNames } from './unique_names.js';

/** An input or output of the model. */
export interface ValueInfo {
  /** Name under which `run` takes the input or returns the output. */
  readonly name: string;
  /** Element type, such as `float32` or `int64`. Operators may refuse other types. */
  readonly type: ElementType;
  /** For each dimension its size, or its name if it is free (`null` without a name). Undefined if the model declares no shape. */
  readonly shape: readonly (number | string | null)[] | undefined;
}

/** One operation of a graph. */
export interface Node {
  /** Unique name: the name of the node, or that of its first output if it has none or several nodes share it. */
  readonly name: string;
  readonly type: string;
  readonly operator: Operator;
  readonly opset: number;
  /** Names of the input values; for `If` also the outer values that its branches use. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
  /** The two graphs of an `If`: for a true and for a false condition. */
  readonly branches?: readonly [GraphProto, GraphProto];
}

/** The oldest supported operator set. */
const OLDEST_OPSET = 6;

/** Creates an error that names a node. */
export const nodeError = (node: Node, what: string): OnnxError =>
  new OnnxError(`onnx: node ${JSON.stringify(node.name)} (${node.type}): ${what}`, { node: node.name, operator: node.type });

/** Creates the nodes of a model's graph and of its inner graphs, with unique names. */
export class NodeFactory {
  private readonly opsets: ReadonlyMap<string, number>;
  private readonly names = new UniqueNames();

  constructor(
    model: ModelProto,
    private readonly files: ExternalFiles,
  ) {
    this.opsets = opsetsOf(model.opsetImport);
  }

  /** Creates nodes in the order of `protos`. A node whose name is not unique is named after its first output. */
  make(protos: readonly NodeProto[]): Node[] {
    const given = new Map<string, number>();
    for (const { name } of protos) if (name) given.set(name, (given.get(name) ?? 0) + 1);
    return protos.map((proto) => {
      const { operator, opset } = this.resolve(proto);
      const output = proto.output.find((name) => name !== '');
      if (output === undefined) throw new OnnxError(`onnx: ${describe(proto)} has no output`, { node: proto.name, operator: proto.opType });
      const attributes = new Attributes(proto, this.files);
      const branches = proto.opType === 'If' ? branchesOf(attributes) : undefined;
      return {
        name: this.names.claim(proto.name && given.get(proto.name) === 1 ? proto.name : output),
        type: proto.opType ?? '',
        operator,
        opset,
        inputs: branches ? [...proto.input, ...new Set(branches.flatMap(capturedBy))] : proto.input,
        outputs: proto.output,
        attributes,
        ...(branches && { branches }),
      };
    });
  }

  /** Returns the operator of a node and the version of its operator set. */
  private resolve(proto: NodeProto): { operator: Operator; opset: number } {
    const domain = domainOf(proto.domain);
    const table = Object.hasOwn(OPERATORS, domain) ? OPERATORS[domain] : undefined;
    const fail = (what: string) => new UnsupportedError(`onnx: ${describe(proto)}: ${what}`, { node: proto.name, operator: proto.opType });
    if (!table) throw fail(`operators of domain ${JSON.stringify(domain)} are not supported; supported are ONNX’s own`);
    const type = proto.opType ?? '';
    if (!Object.hasOwn(table, type)) throw fail(`this operator is not supported; supported are ${Object.keys(table).sort().join(', ')}`);
    const opset = (proto.opsets ?? this.opsets).get(domain) ?? (domain === '' ? undefined : 1);
    if (opset === undefined) throw fail('the model does not say which operator set it uses');
    if (domain === '' && opset < OLDEST_OPSET) throw fail(`operator set ${opset} is too old; supported are ${OLDEST_OPSET} and later`);
    const operator = table[type];
    if (opset < (operator.since ?? 0)) throw fail(`it exists from operator set ${operator.since} on, the model uses ${opset}`);
    const unknown = proto.attribute.find(({ name = '' }) => operator.attributes && !operator.attributes.includes(name));
    if (unknown)
      throw fail(
        `attribute ${JSON.stringify(unknown.name)} is not supported; ${operator.attributes?.length ? `supported are ${operator.attributes.join(', ')}` : 'it has none'}`,
      );
    return { operator, opset };
  }
}

function branchesOf(attributes: Attributes): readonly [GraphProto, GraphProto] {
  const branch = (name: string): GraphProto => {
    const graph = attributes.graph(name);
    if (!graph) throw attributes.error(`it has no ${name}`);
    return graph;
  };
  return [branch('then_branch'), branch('else_branch')];
}

/** Returns the names of the outer values that an inner graph uses. The recursion is safe, because the decoder limits the nesting. */
export function capturedBy(graph: GraphProto): string[] {
  const own = new Set([
    ...graph.input.map(({ name }) => name ?? ''),
    ...graph.initializer.map(({ name }) => name ?? ''),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const used = new Set<string>();
  for (const { input, attribute } of graph.node) {
    for (const name of input) used.add(name);
    for (const { g } of attribute) if (g) for (const name of capturedBy(g)) used.add(name);
  }
  for (const { name } of graph.output) used.add(name ?? '');
  return [...used].filter((name) => name !== '' && !own.has(name));
}

/** Throws if a name is defined by two nodes, or by a node and an existing value. */
export function checkDefinitions(nodes: readonly Node[], isKnown: (name: string) => boolean): void {
  const defined = new Set<string>();
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (defined.has(output) || isKnown(output)) throw nodeError(node, `its output ${JSON.stringify(output)} is defined twice`);
      defined.add(output);
    }
  }
}

/**
 * Sorts nodes topologically, so that each follows the nodes that it depends on; otherwise the order is that of the file. The time is
 * linear in the number of inputs of all nodes.
 *
 * @param isKnown whether a value exists independently of these nodes
 */
export function inOrder(nodes: readonly Node[], isKnown: (name: string) => boolean): Node[] {
  checkDefinitions(nodes, isKnown);
  const makers = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) if (output !== '') makers.set(output, node);
  const done = new Set<Node>();
  const open = new Set<Node>();
  const order: Node[] = [];
  for (const root of nodes) {
    // Depth-first search with an explicit stack, because deep graphs would overflow the call stack.
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
      if (name === '' || isKnown(name)) continue;
      const maker = makers.get(name);
      if (!maker)
        throw nodeError(
          node,
          `its input ${JSON.stringify(name)} is neither an input of the model nor an initialiser nor an output of a node`,
        );
      if (done.has(maker)) continue;
      if (open.has(maker)) throw nodeError(node, `it needs ${JSON.stringify(name)}, which depends on it: the graph has a cycle`);
      open.add(maker);
      stack.push({ node: maker, next: 0 });
    }
  }
  return order;
}

/** Returns the nodes that the wanted values depend on, in the order of computation. */
export function neededFor(wanted: Iterable<string>, nodes: readonly Node[]): Node[] {
  const needed = new Set(wanted);
  const plan: Node[] = [];
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    if (!node.outputs.some((name) => name !== '' && needed.has(name))) continue;
    plan.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  return plan.reverse();
}

/** Returns the nodes that use each value as an input, by its name. */
export function consumersOf(nodes: readonly Node[]): Map<string, Node[]> {
  const consumers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const name of new Set(node.inputs)) {
      const list = consumers.get(name);
      if (list) list.push(node);
      else consumers.set(name, [node]);
    }
  }
  return consumers;
}

/** Constants by name. */
export type Constants = ReadonlyMap<string, HostValue>;
