/** Questions about a graph: which node computes or uses a value, which nodes are layers, and which layer is a feature map. */
import type { ReceptiveField } from '../../../nn/index.js';
import { unknownLayer } from '../../../nn/rules.js';
import { ValueError } from '../../../tensor/index.js';
import type { Graph } from './graph.js';
import type { Node } from './nodes.js';
import { receptiveFields } from './receptive_field.js';

/** Operators that may be between a convolution and the ReLU of its feature map. */
const BETWEEN = ['BatchNormalization', 'Add', 'Identity'];
const FEATURES = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization'];

/** Operators that do not compute with the elements of their first input. */
const RESHAPING = ['Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Shape'];

/** Numbers of the floating-point types in `TensorProto.DataType`. */
const FLOAT_TYPES = [1, 10, 11, 16];

/** Returns the name of the first output that is not omitted. */
export const firstOutput = (node: Node): string => node.outputs.find((name) => name !== '')!;

/** Finds nodes of a graph by name, by output and by input. */
export class GraphLookup {
  private readonly byName: ReadonlyMap<string, Node>;
  private readonly outputNames: ReadonlySet<string>;
  private readonly fields: ReadonlyMap<string, ReceptiveField>;
  private makers: ReadonlyMap<string, Node> | undefined;

  private readonly graph: Omit<Graph, 'constants'>;

  constructor({ constants, ...graph }: Graph) {
    // The constants refer to the memory of the file, so they are not kept.
    this.graph = graph;
    this.byName = new Map(graph.nodes.map((node) => [node.name, node]));
    this.outputNames = new Set(graph.outputs.map(({ name }) => name));
    this.fields = receptiveFields({ ...graph, constants });
  }

  /** Names of the nodes that depend on the values of the input. */
  layerNames(): string[] {
    return this.graph.nodes.filter((node) => this.fields.has(firstOutput(node))).map(({ name }) => name);
  }

  /** @throws ValueError for an unknown name */
  node(name: string): Node {
    const node = this.byName.get(name);
    if (node) return node;
    throw new ValueError(unknownLayer(name, this.layerNames()));
  }

  /** Returns the node that computes a value. */
  maker(value: string): Node | undefined {
    this.makers ??= new Map(this.graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
    return this.makers.get(value);
  }

  /** Returns the nodes that use a value as an input. */
  consumersOf(value: string): readonly Node[] {
    return this.graph.consumers.get(value) ?? [];
  }

  isOutput(value: string): boolean {
    return this.outputNames.has(value);
  }

  receptiveField(name: string): ReceptiveField {
    return this.fields.get(firstOutput(this.node(name))) ?? null;
  }

  /** Returns the ReLU that follows a convolution or matrix product (a bias or batch normalisation may be between), or else `name`. */
  featureLayer(name: string): string {
    const first = this.node(name);
    if (!FEATURES.includes(first.type)) return name;
    for (let node = first; ; ) {
      const following = this.consumersOf(firstOutput(node));
      if (following.length !== 1) return name;
      [node] = following;
      if (node.type === 'Relu' || node.type === 'Clip') return node.name;
      // A sum with another feature map is a new feature map; a sum with a constant is a bias.
      if (!BETWEEN.includes(node.type) || node.inputs.filter((input) => this.fields.has(input)).length > 1) return name;
    }
  }

  /** Whether a value is used only by casts to floating point, possibly after a change of shape. */
  isOnlyCast(value: string): boolean {
    const waiting = [value];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (this.isOutput(at)) return false;
      for (const { type, attributes, inputs, outputs } of this.consumersOf(at)) {
        if (type === 'Cast' && FLOAT_TYPES.includes(attributes.int('to', 0))) continue;
        if (!RESHAPING.includes(type) || inputs[0] !== at) return false;
        if (type !== 'Shape') waiting.push(outputs[0]);
      }
    }
    return true;
  }
}
