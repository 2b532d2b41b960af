/** Nodes of a graph: their operators looked up, their names made unique, and put in the order of computation. */
import { Attributes, describe } from '../decoding/attributes.js';
import type { ElementType } from '../decoding/element_types.js';
import type { HostValue } from '../decoding/host_value.js';
import type { GraphProto, ModelProto, NodeProto } from '../decoding/schema.js';
import type { ExternalFiles } from '../decoding/tensor_proto.js';
import { OnnxError, UnsupportedError } from '../errors.js';
import type { Operator } from '../operator.js';
import { OPERATORS } from '../ops/index.js';

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
  /** For `If`, also the outer values that its branches use. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
  /** The two graphs of an `If`: where the condition holds, and where it does not. */
  readonly branches?: readonly [GraphProto, GraphProto];
}

/** The oldest operator set that is read here. */
const OLDEST_OPSET = 6;

/** The domain as the table of operators has it. */
const domainOf = (domain: string | undefined): string => (domain === 'ai.onnx' ? '' : (domain ?? ''));

export const nodeError = (node: Node, what: string): OnnxError =>
  new OnnxError(`onnx: node ${JSON.stringify(node.name)} (${node.type}): ${what}`, { node: node.name, operator: node.type });

/** Makes nodes of a model, of its graph and of the graphs inside it: every operator known, no name given twice. */
export class NodeFactory {
  private readonly opsets = new Map<string, number>();
  private readonly taken = new Set<string>();
  /** The next suffix to try for a name that is taken. */
  private readonly suffixes = new Map<string, number>();

  constructor(
    model: ModelProto,
    private readonly files: ExternalFiles,
  ) {
    for (const { domain, version } of model.opsetImport)
      if (version !== undefined && !this.opsets.has(domainOf(domain))) this.opsets.set(domainOf(domain), version);
  }

  /** Nodes in the order of `protos`. A name that several nodes have gives way to the name of the node's first output. */
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
        name: this.claim(proto.name && given.get(proto.name) === 1 ? proto.name : output),
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

  /** The name, or one made of it that no other node has. */
  private claim(name: string): string {
    let free = name;
    for (let suffix = this.suffixes.get(name) ?? 2; this.taken.has(free); suffix++) {
      free = `${name}_${suffix}`;
      this.suffixes.set(name, suffix + 1);
    }
    this.taken.add(free);
    return free;
  }

  /** The operator of a node and the version of its operator set. */
  private resolve(proto: NodeProto): { operator: Operator; opset: number } {
    const domain = domainOf(proto.domain);
    const table = Object.hasOwn(OPERATORS, domain) ? OPERATORS[domain] : undefined;
    const fail = (what: string) => new UnsupportedError(`onnx: ${describe(proto)}: ${what}`, { node: proto.name, operator: proto.opType });
    if (!table) throw fail(`operators of domain ${JSON.stringify(domain)} are not supported; supported are ONNX’s own`);
    const type = proto.opType ?? '';
    if (!Object.hasOwn(table, type)) throw fail(`this operator is not supported; supported are ${Object.keys(table).sort().join(', ')}`);
    const opset = this.opsets.get(domain) ?? (domain === '' ? undefined : 1);
    if (opset === undefined) throw fail('the model does not say which operator set it uses');
    if (domain === '' && opset < OLDEST_OPSET) throw fail(`operator set ${opset} is too old; supported are ${OLDEST_OPSET} and later`);
    return { operator: table[type], opset };
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

/** Names of outer values that a graph inside a node uses. The decoder limits how deep graphs are nested. */
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

/** Throws where two nodes, or a node and something that is there already, define the same name. */
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
 * Nodes so that each comes behind those it needs, else in the file's order. Time grows with the number of inputs of all nodes.
 *
 * @param isKnown whether a value exists without any of these nodes
 */
export function inOrder(nodes: readonly Node[], isKnown: (name: string) => boolean): Node[] {
  checkDefinitions(nodes, isKnown);
  const makers = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) if (output !== '') makers.set(output, node);
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
      if (name === '' || isKnown(name)) continue;
      const maker = makers.get(name);
      if (!maker) throw nodeError(node, `its input ${JSON.stringify(name)} is no input of the model, no initialiser and no node’s output`);
      if (done.has(maker)) continue;
      if (open.has(maker)) throw nodeError(node, `it needs ${JSON.stringify(name)}, which depends on it: the graph has a cycle`);
      open.add(maker);
      stack.push({ node: maker, next: 0 });
    }
  }
  return order;
}

/** Nodes that the wanted values need, in their order. */
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

/** Nodes that take a value in, by its name. */
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

/** The constants by name, for functions that only look values up. */
export type Constants = ReadonlyMap<string, HostValue>;
