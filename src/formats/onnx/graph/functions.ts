/**
 * Replaces the calls of a model's local functions by the nodes of their bodies. Exporters use such functions for blocks of a network and
 * for operators of their own.
 */
import { describe } from '../decoding/attributes.js';
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto } from '../decoding/schema.js';
import { OnnxError } from '../errors.js';
import { domainOf, opsetsOf } from './opsets.js';
import { UniqueNames } from './unique_names.js';

/** Largest number of nodes after the replacement. Functions that call each other could otherwise grow a small file exponentially. */
const MOST_NODES = 50_000;

const keyOf = (domain: string | undefined, name: string | undefined, overload: string | undefined): string =>
  JSON.stringify([domainOf(domain), name ?? '', overload ?? '']);

/**
 * Returns the graph of a model without calls of local functions. The names of nodes and values of a body start with the name of the call.
 *
 * @throws OnnxError for a function that calls itself, and for more than `MOST_NODES` nodes
 */
export function withoutFunctions({ graph, functions }: ModelProto): GraphProto | undefined {
  if (!graph || functions.length === 0) return graph;
  return new Inliner(functions, valueNames(graph)).graph(graph);
}

/** Collects the names of all values of a graph and of its inner graphs. */
function valueNames(graph: GraphProto, into = new Set<string>()): Set<string> {
  for (const { name } of [...graph.input, ...graph.initializer, ...graph.output]) into.add(name ?? '');
  for (const { input, output, attribute } of graph.node) {
    for (const name of [...input, ...output]) into.add(name);
    for (const { g } of attribute) if (g) valueNames(g, into);
  }
  return into;
}

/** How the names and attributes of a body are replaced in one call. */
interface Call {
  /** The node that calls the function. */
  node: NodeProto;
  function: FunctionProto;
  /** Versions of the operator sets that the body uses. */
  opsets: ReadonlyMap<string, number>;
  rename(name: string): string;
}

/** Inlines functions into graphs. */
class Inliner {
  private readonly functions = new Map<string, FunctionProto>();
  private nodes = 0;
  private readonly names: UniqueNames;

  constructor(
    functions: readonly FunctionProto[],
    /** Names of values that exist. */
    taken: Set<string>,
  ) {
    this.names = new UniqueNames(taken);
    for (const each of functions) this.functions.set(keyOf(each.domain, each.name, each.overload), each);
  }

  graph(graph: GraphProto, calls: readonly string[] = []): GraphProto {
    return { ...graph, node: this.expanded(graph.node, calls) };
  }

  /** @param calls keys of the functions inside whose bodies these nodes are */
  private expanded(nodes: readonly NodeProto[], calls: readonly string[]): NodeProto[] {
    return nodes.flatMap((node) => {
      const key = keyOf(node.domain, node.opType, node.overload);
      const called = this.functions.get(key);
      if (called) {
        if (calls.includes(key)) throw new OnnxError(`onnx: ${describe(node)}: the function ${called.name} calls itself`);
        return this.expanded(this.body(node, called), [...calls, key]);
      }
      if (++this.nodes > MOST_NODES)
        throw new OnnxError(`onnx: the model has more than ${MOST_NODES} nodes after its functions are inserted, the limit`);
      return [{ ...node, attribute: node.attribute.map((each) => (each.g ? { ...each, g: this.graph(each.g, calls) } : each)) }];
    });
  }

  /** Returns the nodes of a function's body, with the names and attributes of one call. */
  private body(node: NodeProto, called: FunctionProto): NodeProto[] {
    if (node.input.length > called.input.length || node.output.length > called.output.length)
      throw new OnnxError(
        `onnx: ${describe(node)} has ${node.input.length} inputs and ${node.output.length} outputs, its function at most ${called.input.length} and ${called.output.length}`,
      );
    const prefix = node.name || node.output.find((name) => name !== '') || (called.name ?? '');
    const names = new Map<string, string>([['', '']]);
    for (const [i, name] of called.input.entries()) names.set(name, node.input[i] ?? '');
    const made = new Set(called.node.flatMap(({ output }) => output));
    const copies: NodeProto[] = [];
    for (const [i, name] of called.output.entries()) {
      const output = node.output[i] ?? '';
      if (output === '') continue;
      // An output that is also an input of the function, or two outputs with one name, need a node that copies the value.
      if (made.has(name) && !names.has(name)) names.set(name, output);
      else copies.push({ opType: 'Identity', name: '', input: [name], output: [output], attribute: [] });
    }
    const rename = (name: string): string => {
      const known = names.get(name);
      if (known !== undefined) return known;
      const fresh = this.names.claim(`${prefix}/${name}`);
      names.set(name, fresh);
      return fresh;
    };
    const call: Call = { node, function: called, opsets: opsetsOf(called.opsetImport), rename };
    const inner = called.node.map((each) => inCall(each, call, `${prefix}/${each.name || each.opType}`));
    return [...inner, ...copies.map((each) => ({ ...each, input: each.input.map(rename) }))];
  }
}

/** Returns a node of a body with the names and attributes of a call. */
function inCall(node: NodeProto, call: Call, name: string): NodeProto {
  return {
    ...node,
    name,
    opsets: call.opsets,
    input: node.input.map(call.rename),
    output: node.output.map(call.rename),
    attribute: node.attribute.flatMap((attribute) => attributesInCall(attribute, call)),
  };
}

/** Replaces a reference to an attribute of the function by the value in the call, or by its default; without either it is omitted. */
function attributesInCall(attribute: AttributeProto, call: Call): AttributeProto[] {
  const { refAttrName } = attribute;
  if (refAttrName) {
    const has = ({ name }: AttributeProto) => name === refAttrName;
    const value = call.node.attribute.find(has) ?? call.function.attributeProto.find(has);
    return value ? [{ ...value, name: attribute.name }] : [];
  }
  return [attribute.g ? { ...attribute, g: graphInCall(attribute.g, call) } : attribute];
}

/** Renames the values of the function that an inner graph uses. Its own values keep their names, which are made unique later. */
function graphInCall(graph: GraphProto, call: Call): GraphProto {
  const own = new Set([
    ...graph.input.map(({ name }) => name ?? ''),
    ...graph.initializer.map(({ name }) => name ?? ''),
    ...graph.node.flatMap(({ output }) => output),
  ]);
  const rename = (name: string): string => (own.has(name) ? name : call.rename(name));
  return {
    ...graph,
    node: graph.node.map((node) => inCall(node, { ...call, rename }, node.name ?? '')),
    output: graph.output.map((info) => ({ ...info, name: rename(info.name ?? '') })),
  };
}
