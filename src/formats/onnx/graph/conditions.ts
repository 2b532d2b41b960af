/** Resolves `If` nodes while a model is loaded: a node whose condition follows from constants and shapes is replaced by its branch. */

import type { HostValue } from '../decoding/host_value.js';
import type { GraphProto, NodeProto } from '../decoding/schema.js';
import { type ExternalFiles, readTensor } from '../decoding/tensor_proto.js';
import { UnsupportedError } from '../errors.js';
import { inOrder, type Node, type NodeFactory, type ValueInfo } from './nodes.js';
import { filledShape, ShapePass } from './shape_pass.js';

/** Two sizes to try for free dimensions: if they give different conditions, the condition depends on the size of the input. */
const SIDES = [224, 320] as const;

/** The result of `resolveConditions`. */
export interface Resolved {
  nodes: Node[];
  /** The only batch size for which the conditions are valid; null if they are valid for any. */
  batch: number | null;
}

interface Context {
  factory: NodeFactory;
  files: ExternalFiles;
  inputs: readonly ValueInfo[];
  /** The constants of the graph; the initialisers of the chosen branches are added. */
  constants: Map<string, HostValue>;
  freeBatch: boolean;
}

/**
 * Replaces every `If` node by the nodes of its branch.
 *
 * @param nodes in the order of computation
 * @throws UnsupportedError for a condition that depends on the values of the input, or on a free dimension of its shape
 */
export function resolveConditions(nodes: readonly Node[], context: Context): Resolved {
  if (!nodes.some(({ branches }) => branches)) return { nodes: [...nodes], batch: null };
  const declared = context.inputs[0]?.shape?.[0];
  if (context.freeBatch || typeof declared !== 'number') {
    const attempt = inline(nodes, context, [1, 2]);
    if (attempt.nodes) return { nodes: attempt.nodes, batch: null };
    // If the model declares a fixed batch size, its conditions may be valid only for this size.
    if (typeof declared !== 'number') throw undecided(attempt.undecided);
  }
  const attempt = inline(nodes, { ...context, freeBatch: false }, [1]);
  if (!attempt.nodes) throw undecided(attempt.undecided);
  return { nodes: attempt.nodes, batch: context.freeBatch ? declared : null };
}

const undecided = (node: Node): UnsupportedError =>
  new UnsupportedError(
    `onnx: node ${JSON.stringify(node.name)} (If): its condition ${JSON.stringify(node.inputs[0] ?? '')} is not known before an image arrives; ` +
      'If is supported where the condition follows from constants and shapes. Export the model with a fixed input size, or simplify it (onnx-simplifier)',
    { node: node.name, operator: 'If' },
  );

type Attempt = { nodes: Node[]; undecided?: undefined } | { nodes?: undefined; undecided: Node };

/** Evaluates the conditions for each choice of the free dimensions; all must give the same branch. */
function inline(nodes: readonly Node[], context: Context, batches: readonly number[]): Attempt {
  const constants = new Map(context.constants);
  const passes = batches.flatMap((batch) =>
    SIDES.map((side) => {
      const shapes = context.inputs.map((info) => [info.name, filledShape(info, batch, side, context.freeBatch)] as const);
      return new ShapePass(constants, context.inputs, new Map(shapes.flatMap(([name, shape]) => (shape ? [[name, shape]] : []))));
    }),
  );
  const defined = new Set([...constants.keys(), ...context.inputs.map(({ name }) => name), ...nodes.flatMap(({ outputs }) => outputs)]);
  const result: Node[] = [];
  const waiting = [...nodes].reverse();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (!node.branches) {
      for (const pass of passes) pass.run(node);
      result.push(node);
      continue;
    }
    const answers = passes.map((pass) => pass.host(node!.inputs[0] ?? ''));
    const [first] = answers;
    if (first?.size !== 1 || answers.some((answer) => answer?.size !== 1 || answer.data[0] !== first.data[0])) return { undecided: node };
    const branch = node.branches[first.data[0] ? 0 : 1];
    for (const inner of branchNodes(node, branch, { ...context, constants }, defined).reverse()) waiting.push(inner);
  }
  for (const [name, value] of constants) context.constants.set(name, value);
  return { nodes: result };
}

/** Returns the nodes of a branch in the order of computation, with unique value names. They define the outputs of the `If` node. */
function branchNodes(node: Node, branch: GraphProto, { factory, files, constants }: Context, defined: Set<string>): Node[] {
  const names = new Map<string, string>();
  const define = (name: string): void => {
    let free = name;
    for (let i = 2; defined.has(free); i++) free = `${node.name}/${name}${i > 2 ? i : ''}`;
    defined.add(free);
    names.set(name, free);
  };
  const own = branch.node.flatMap(({ output }) => output).filter((name) => name !== '');
  for (const name of new Set(own)) define(name);
  for (const proto of branch.initializer) {
    define(proto.name ?? '');
    constants.set(names.get(proto.name ?? '')!, readTensor(proto, files));
  }
  const renamed = (name: string): string => names.get(name) ?? name;
  const protos: NodeProto[] = branch.node.map((proto) => ({
    ...proto,
    input: proto.input.map(renamed),
    output: proto.output.map(renamed),
    attribute: proto.attribute.map((attribute) => (attribute.g ? { ...attribute, g: withOuterNames(attribute.g, renamed) } : attribute)),
  }));
  if (branch.output.length < node.outputs.length)
    throw node.attributes.error(`a branch has ${branch.output.length} outputs, the node ${node.outputs.length}`);
  const outputs = node.outputs.flatMap((output, i): NodeProto[] => {
    const from = renamed(branch.output[i].name ?? '');
    return output === '' ? [] : [{ opType: 'Identity', name: '', input: [from], output: [output], attribute: [] }];
  });
  const made = factory.make([...protos, ...outputs]);
  const fresh = new Set(made.flatMap((each) => each.outputs));
  return inOrder(made, (name) => !fresh.has(name) && defined.has(name));
}

/** Renames the outer values that a graph inside a branch uses. */
function withOuterNames(graph: GraphProto, outer: (name: string) => string): GraphProto {
  const own = new Set([
    ...graph.node.flatMap(({ output }) => output),
    ...graph.initializer.map(({ name }) => name ?? ''),
    ...graph.input.map(({ name }) => name ?? ''),
  ]);
  const renamed = (name: string): string => (own.has(name) ? name : outer(name));
  return {
    ...graph,
    node: graph.node.map((node) => ({
      ...node,
      input: node.input.map(renamed),
      attribute: node.attribute.map((attribute) => (attribute.g ? { ...attribute, g: withOuterNames(attribute.g, renamed) } : attribute)),
    })),
    output: graph.output.map((info) => ({ ...info, name: renamed(info.name ?? '') })),
  };
}
