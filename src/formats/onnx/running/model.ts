/**
 * The module for an imported ONNX model. It can be run, trained and visualised like any other network.
 *
 * The graph is computed node by node on the backend of its parameters; see `execution.ts`.
 *
 * The backward pass uses the gradient of each operator, except for those with backward rules: Relu (and Clip with lower bound 0, a
 * bounded ReLU), LRN, and MaxPool with shared switches. In a projection, batch normalisation therefore multiplies by
 * scale / √(variance + epsilon), average pooling distributes evenly over its window, a sum passes the projected signal to all operands,
 * and a concatenation splits it.
 */
import {
  anything,
  arrayOf,
  checkArgument,
  checkOptions,
  instanceOf,
  objectWith,
  oneOf,
  recordOf,
  rule,
  text,
} from '../../../backend/validate.js';
import { countParameters, type LayeredModel, type LayerSummary, Module, type ReceptiveField } from '../../../nn/index.js';
import { type Backend, type DType, noGrad, type Shape, scope, sizeOf, Tensor, ValueError, zeros } from '../../../tensor/index.js';
import { backendRule } from '../../../tensor/tensor.js';
import type { Value } from '../decoding/host_value.js';
import { OnnxError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { firstOutput, GraphLookup } from '../graph/lookup.js';
import type { Node, ValueInfo } from '../graph/nodes.js';
import { complete, completeSync, Execution } from './execution.js';
import { acceptFeeds, singleFeed } from './inputs.js';
import { multiplyAdds, OnnxLayer } from './layer.js';
import { RunValues } from './run_values.js';
import { ModelWeights } from './weights.js';

const feedsRule = rule('an object with a Tensor for each input, by name', recordOf(instanceOf(Tensor)).test);
const ownGraph = objectWith('a graph', { constants: instanceOf(Map), consumers: instanceOf(Map), nodes: arrayOf(anything) });

/**
 * An imported ONNX model; `loadOnnx` creates it.
 *
 * @example
 * const net = await loadOnnx(bytes);
 * const { output } = await net.run({ input: images });
 */
export class OnnxModel extends Module implements LayeredModel {
  private readonly graph: Omit<Graph, 'constants'>;
  /** @internal Parameters and constants. */
  readonly weights: ModelWeights;
  private readonly execution: Execution;
  /** @internal Finds the nodes of the graph. */
  readonly lookup: GraphLookup;

  /** @internal Use `loadOnnx`. */
  constructor(given: Graph, backend: Backend) {
    super();
    if (!ownGraph.test(given) || !backendRule.test(backend))
      throw new ValueError('OnnxModel: the constructor is internal; use await loadOnnx(bytes)');
    const { constants, ...graph } = given;
    this.graph = graph;
    this.training = false;
    this.lookup = new GraphLookup(given);
    this.weights = new ModelWeights(constants, graph.parameters, backend);
    this.execution = new Execution(graph, this.weights);
  }

  /** Inputs of `run`: names, ONNX types and shapes. */
  get inputs(): readonly ValueInfo[] {
    return this.graph.inputs;
  }

  /** Outputs of `run`: names, ONNX types and shapes. */
  get outputs(): readonly ValueInfo[] {
    return this.graph.outputs;
  }

  /** Metadata strings of the file by key. */
  get metadata(): Readonly<Record<string, string>> {
    return this.graph.metadata;
  }

  /** @internal The nodes in the order of computation. */
  get nodes(): readonly Node[] {
    return this.graph.nodes;
  }

  /** @internal The only valid batch size of the graph; null if any is valid. */
  get batch(): number | null {
    return this.graph.batch;
  }

  /**
   * Computes the outputs of the model. In evaluation mode (the default), no graph is recorded unless an input requires a gradient.
   *
   * @param feeds a tensor for each input, by name: float32 for all floating-point types, int32 for integers, uint8 for bool
   * @returns tensors by output name, which the caller must dispose; integers are int32, bool is uint8, double is float64
   * @throws ValueError for names that are missing or unknown, DTypeError and ShapeError naming the node
   */
  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    checkArgument('run', 'feeds', feeds, feedsRule);
    const values = await acceptFeeds(this.inputs, feeds, this.weights.backend);
    const record = this.training || Object.values(feeds).some((feed) => feed.requiresGrad);
    const names = this.outputs.map(({ name }) => name);
    // A backend that reads synchronously runs the whole graph in one scope, so that each constant is uploaded once.
    if (this.weights.backend.capabilities.syncRead) return record ? this.compute(values, names) : noGrad(() => this.compute(values, names));
    return complete(this.execution.compute(values, names, { training: this.training, record }));
  }

  /** Computes the first output of a model with one input. The graph is recorded for the backward pass, as for any module. */
  forward(x: Tensor): Tensor {
    const [output] = this.outputs;
    if (!output) throw new OnnxError('onnx: the model has no output');
    return this.values(x, [output.name])[output.name];
  }

  override outputShape(input: Shape): Shape {
    return noGrad(() => [...this.forward(zeros(input, { backend: this.weights.backend })).shape]);
  }

  /** Names of the nodes that depend on the values of the input, in the order of computation; shape arithmetic is omitted. */
  layerNames(): string[] {
    return this.lookup.layerNames();
  }

  /** Returns the node with a name from `layerNames()` as a module. @throws ValueError for any other name */
  layer(name: string): Module {
    const node = this.lookup.node(name);
    const { learned, fixed } = this.weights;
    return new OnnxLayer(node, learned, (x) => {
      // A node with several non-constant inputs receives `x` for each of them.
      const given = node.inputs.map((input): [string, Value] => [input, learned.get(input) ?? fixed.get(input) ?? x]);
      return completeSync(this.execution.node(node, new RunValues(given, [node], node.outputs), { training: this.training, record: true }));
    });
  }

  activations(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    checkArgument('activations', 'the names', names, arrayOf(text));
    if (names.length === 0) return {};
    const outputs = names.map((name) => firstOutput(this.lookup.node(name)));
    const results = this.values(x, outputs);
    return Object.fromEntries(names.map((name, i) => [name, results[outputs[i]]]));
  }

  /** @internal Computes values of the graph by name. */
  values(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    return this.compute(singleFeed(this, x), names);
  }

  featureLayer(name: string): string {
    return this.lookup.featureLayer(name);
  }

  receptiveField(name: string): ReceptiveField {
    return this.lookup.receptiveField(name);
  }

  /** Returns a summary of the layers. It runs the model once on zeros, because the shapes depend on the input shape. */
  summarize(input: Shape): LayerSummary[] {
    const names = this.layerNames();
    const outputs = noGrad(() => this.activations(zeros(input, { backend: this.weights.backend }), names));
    return names.map((name) => {
      const { shape } = outputs[name];
      outputs[name].dispose();
      return summaryOf(this, name, shape);
    });
  }

  override namedParameters(): [string, Tensor][] {
    return [...this.weights.learned];
  }

  override async to(where: { backend?: Backend; dtype?: DType }): Promise<this> {
    checkOptions('to', where ?? null, { backend: backendRule, dtype: oneOf('float32', 'float64') });
    await this.weights.move(where.backend ?? this.weights.backend, where.dtype);
    return this;
  }

  override dispose(): void {
    super.dispose();
    this.weights.disposeConstants();
  }

  private compute(feeds: ReadonlyMap<string, Value>, wanted: readonly string[]): Record<string, Tensor> {
    return scope(() => completeSync(this.execution.compute(feeds, wanted, { training: this.training, record: true })));
  }
}

/** Returns the summary of a layer with this output shape. */
function summaryOf(model: OnnxModel, name: string, outputShape: Shape): LayerSummary {
  const layer = model.layer(name);
  return {
    name,
    kind: layer.kind,
    outputShape,
    parameters: countParameters(layer),
    multiplyAdds: multiplyAdds(layer, outputShape),
    activationBytes: 4 * sizeOf(outputShape),
    receptiveField: model.receptiveField(name),
  };
}
