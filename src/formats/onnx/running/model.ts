/**
 * The module for an imported ONNX model. It can be run, trained and visualised like any other network.
 *
 * The graph is computed node by node on the backend of its parameters. Intermediate values are released after their last use, shapes and
 * indices are computed on the host, and a ReLU that follows a convolution is fused into its kernel.
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
import {
  countParameters,
  type LayeredModel,
  type LayerSummary,
  Module,
  parameter,
  type ReceptiveField,
  type ReceptiveWindow,
} from '../../../nn/index.js';
import { unknownLayer } from '../../../nn/rules.js';
import { inLayer } from '../../../tensor/graph/spans.js';
import {
  type Backend,
  BackendError,
  type DType,
  DTypeError,
  defaultBackend,
  fromHost,
  noGrad,
  reshape,
  type Shape,
  ShapeError,
  scope,
  sizeOf,
  Tensor,
  ValueError,
  zeros,
} from '../../../tensor/index.js';
import { backendRule, checkSameBackend } from '../../../tensor/tensor.js';
import { isFloat } from '../decoding/element_types.js';
import { HostBudget, HostValue, isHost, toTensor, type Value } from '../decoding/host_value.js';
import { OnnxError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { type Node, neededFor, type ValueInfo } from '../graph/nodes.js';
import { ShapePass } from '../graph/shape_pass.js';
import { Call } from '../operator.js';
import { receptiveFields } from './receptive_field.js';

/** Operators that may be between a convolution and the ReLU of its feature map. */
const BETWEEN = ['BatchNormalization', 'Add', 'Identity'];
const FEATURES = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization'];

const feedsRule = rule('an object with a Tensor for each input, by name', recordOf(instanceOf(Tensor)).test);
const ownGraph = objectWith('a graph', { constants: instanceOf(Map), consumers: instanceOf(Map), nodes: arrayOf(anything) });

/** An imported ONNX model; `loadOnnx` creates it. */
export class OnnxModel extends Module implements LayeredModel {
  private readonly graph: Omit<Graph, 'constants'>;
  private readonly learned = new Map<string, Tensor>();
  private readonly fixed = new Map<string, HostValue>();
  /** Tensors of small constants, created on first use. */
  private readonly constants = new Map<HostValue, Tensor | null>();
  private readonly byName: ReadonlyMap<string, Node>;
  private readonly outputNames: ReadonlySet<string>;
  private makers: ReadonlyMap<string, Node> | undefined;
  private readonly fields: ReadonlyMap<string, ReceptiveField>;

  /** @internal Use `loadOnnx`. */
  constructor(
    given: Graph,
    private backend: Backend,
  ) {
    super();
    if (!ownGraph.test(given) || !backendRule.test(backend))
      throw new ValueError('OnnxModel: the constructor is internal; use await loadOnnx(bytes)');
    const { constants, ...graph } = given;
    this.graph = graph;
    this.training = false;
    this.byName = new Map(graph.nodes.map((node) => [node.name, node]));
    this.outputNames = new Set(graph.outputs.map(({ name }) => name));
    this.fields = receptiveFields({ ...graph, constants });
    this.readWeights(constants);
  }

  /** Uploads the weights one by one and copies the small constants, so that the memory of the file can be released. */
  private readWeights(constants: Graph['constants']): void {
    const weights = new Set(this.graph.parameters);
    for (const [name, value] of constants) {
      if (!weights.has(name)) {
        const small = value.detached();
        this.fixed.set(name, small);
        this.constants.set(small, null);
        continue;
      }
      const target = parameter(toTensor(value, this.backend, name));
      // `writable` uploads the elements, so that only the backend has a copy.
      void target.writable;
      this.learned.set(name, target);
    }
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

  /**
   * Computes the outputs of the model. In evaluation mode (the default), no graph is recorded unless an input requires a gradient.
   *
   * @param feeds a tensor for each input, by name: float32 for all floating-point types, int32 for integers, uint8 for bool
   * @returns tensors by output name, which the caller must dispose; integers are int32, bool is uint8, double is float64
   * @throws ValueError for names that are missing or unknown, DTypeError and ShapeError naming the node
   */
  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    checkArgument('run', 'feeds', feeds, feedsRule);
    const known = new Set(this.inputs.map(({ name }) => name));
    const unknown = Object.keys(feeds).find((name) => !known.has(name));
    if (unknown !== undefined) throw new ValueError(`run: there is no input '${unknown}'; the inputs are ${this.inputNames()}`);
    const values = new Map<string, Value>();
    for (const info of this.inputs) {
      const given = feeds[info.name];
      if (!given) throw new ValueError(`run: input '${info.name}' is missing; the inputs are ${this.inputNames()}`);
      values.set(info.name, await this.accept(info, given));
    }
    const record = this.training || Object.values(feeds).some((feed) => feed.requiresGrad);
    const names = this.outputs.map(({ name }) => name);
    const compute = () => this.compute(values, names);
    return record ? compute() : noGrad(compute);
  }

  /** Computes the first output of a model with one input. The graph is recorded for the backward pass, as for any module. */
  forward(x: Tensor): Tensor {
    const [output] = this.outputs;
    if (!output) throw new OnnxError('onnx: the model has no output');
    return this.compute(this.single(x), [output.name])[output.name];
  }

  override outputShape(input: Shape): Shape {
    return noGrad(() => [...this.forward(zeros(input, { backend: this.backend })).shape]);
  }

  // Looking inside ------------------------------------------------------------------------------

  /** Names of the nodes that depend on the values of the input, in the order of computation; shape arithmetic is omitted. */
  layerNames(): string[] {
    return this.graph.nodes.filter((node) => this.fields.has(firstOutput(node))).map(({ name }) => name);
  }

  layer(name: string): Module {
    const node = this.node(name);
    return new OnnxLayer(node, this.learned, (x) => {
      // A node with several non-constant inputs receives `x` for each of them.
      const given = node.inputs.map((input): [string, Value] => [input, this.learned.get(input) ?? this.fixed.get(input) ?? x]);
      return this.runNode(node, new Map(given), false);
    });
  }

  activations(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    checkArgument('activations', 'the names', names, arrayOf(text));
    if (names.length === 0) return {};
    const outputs = names.map((name) => firstOutput(this.node(name)));
    const results = this.values(x, outputs);
    return Object.fromEntries(names.map((name, i) => [name, results[outputs[i]]]));
  }

  /** @internal Computes values of the graph by name. */
  values(x: Tensor, names: readonly string[]): Record<string, Tensor> {
    return this.compute(this.single(x), names);
  }

  /** @internal The nodes in the order of computation. */
  get nodes(): readonly Node[] {
    return this.graph.nodes;
  }

  /** Returns the ReLU that follows a convolution or matrix product (a bias or batch normalisation may be between), or else `name`. */
  featureLayer(name: string): string {
    const first = this.node(name);
    if (!FEATURES.includes(first.type)) return name;
    for (let node = first; ; ) {
      const following = this.graph.consumers.get(firstOutput(node)) ?? [];
      if (following.length !== 1) return name;
      [node] = following;
      if (node.type === 'Relu' || node.type === 'Clip') return node.name;
      // A sum with another feature map is a new feature map; a sum with a constant is a bias.
      if (!BETWEEN.includes(node.type) || node.inputs.filter((input) => this.fields.has(input)).length > 1) return name;
    }
  }

  receptiveField(name: string): ReceptiveField {
    return this.fields.get(firstOutput(this.node(name))) ?? null;
  }

  /** Returns a summary of the layers. It runs the model once on zeros, because the shapes depend on the input shape. */
  summarize(input: Shape): LayerSummary[] {
    const names = this.layerNames();
    const outputs = noGrad(() => this.activations(zeros(input, { backend: this.backend }), names));
    return names.map((name) => {
      const layer = this.layer(name);
      const { shape } = outputs[name];
      outputs[name].dispose();
      return {
        name,
        kind: layer.kind,
        outputShape: shape,
        parameters: countParameters(layer),
        multiplyAdds: multiplyAdds(layer, shape),
        activationBytes: 4 * sizeOf(shape),
        receptiveField: this.receptiveField(name),
      };
    });
  }

  /** @internal The node that computes a value. */
  maker(name: string): Node | undefined {
    this.makers ??= new Map(this.graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
    return this.makers.get(name);
  }

  /** @internal A constant that is not a parameter. */
  constant(name: string): HostValue | undefined {
    return this.fixed.get(name);
  }

  /** @internal The nodes that use a value as an input. */
  consumersOf(name: string): readonly Node[] {
    return this.graph.consumers.get(name) ?? [];
  }

  /** @internal The only valid batch size of the graph; null if any is valid. */
  get batch(): number | null {
    return this.graph.batch;
  }

  /** @internal Infers the shapes of the graph's values for an input shape; undefined for values that depend on its elements. */
  shapesFor(input: Shape): (name: string) => Shape | undefined {
    const weights = new Map([...this.learned].map(([name, { shape }]) => [name, shape]));
    const pass = new ShapePass(this.fixed, this.inputs, new Map([[this.inputs[0]?.name ?? '', input]]), weights);
    for (const node of this.graph.nodes) pass.run(node);
    return (name) => pass.shape(name);
  }

  // Parameters ----------------------------------------------------------------------------------

  override namedParameters(): [string, Tensor][] {
    return [...this.learned];
  }

  override to(where: { backend?: Backend; dtype?: DType }): this {
    checkOptions('to', where ?? null, { backend: backendRule, dtype: oneOf('float32', 'float64') });
    this.backend = where.backend ?? defaultBackend();
    for (const [name, value] of this.learned) {
      const data = value.dataSync();
      const dtype = where.dtype ?? value.dtype;
      const copy = dtype === 'float64' ? Float64Array.from(data) : Float32Array.from(data);
      this.learned.set(name, parameter(fromHost(copy, value.shape, { backend: this.backend })));
      value.dispose();
    }
    this.dropConstants();
    return this;
  }

  override dispose(): void {
    super.dispose();
    this.dropConstants();
  }

  private dropConstants(): void {
    for (const [value, made] of this.constants) {
      made?.dispose();
      this.constants.set(value, null);
    }
  }

  // Computing -----------------------------------------------------------------------------------

  private inputNames(): string {
    return this.inputs.map(({ name, type, shape }) => `'${name}' (${type} [${shape?.map((extent) => extent ?? '?') ?? '…'}])`).join(', ');
  }

  private single(x: Tensor): Map<string, Value> {
    if (this.inputs.length !== 1) throw new ValueError(`this model has ${this.inputs.length} inputs, ${this.inputNames()}: use run()`);
    const [info] = this.inputs;
    checkSameBackend('forward', x);
    const pixels = this.takesPixels(x);
    this.check(pixels ? { ...info, type: 'float32' } : info, x);
    return new Map([[info.name, pixels || isFloat(info.type) ? x : new HostValue(info.type, x.shape, x.dataSync())]]);
  }

  /**
   * Whether the input has an integer type but a floating-point image is given, which the graph casts anyway. The image is then used
   * unchanged, so that gradients with respect to it are available.
   */
  private takesPixels({ dtype }: Tensor): boolean {
    const [{ name, type }] = this.inputs;
    return (dtype === 'float32' || dtype === 'float64') && !isFloat(type) && this.isOnlyCast(name);
  }

  /** @internal Whether a value is used only by casts to floating point, possibly after a change of shape. */
  isOnlyCast(name: string): boolean {
    const waiting = [name];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (this.outputNames.has(at)) return false;
      for (const { type, attributes, inputs, outputs } of this.consumersOf(at)) {
        if (type === 'Cast' && [1, 10, 11, 16].includes(attributes.int('to', 0))) continue;
        if (!['Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Shape'].includes(type) || inputs[0] !== at) return false;
        if (type !== 'Shape') waiting.push(outputs[0]);
      }
    }
    return true;
  }

  /** Converts an input for the graph: floating-point types are tensors, other types are host values. */
  private async accept(info: ValueInfo, given: Tensor): Promise<Value> {
    this.check(info, given);
    if (isFloat(info.type) && info.type !== 'float64') return given;
    return new HostValue(info.type, given.shape, await given.data());
  }

  private check({ name, type, shape }: ValueInfo, given: Tensor): void {
    const float = given.dtype === 'float32' || given.dtype === 'float64';
    if (float !== isFloat(type))
      throw new DTypeError(
        `input '${name}' is ${given.dtype}, expected ${isFloat(type) ? 'float32' : type === 'bool' ? 'uint8' : 'int32'} for ${type}`,
      );
    if (given.backend !== this.backend)
      throw new BackendError(
        `input '${name}' lives on the ${given.backend.name} backend, the model on ${this.backend.name}; move one of them`,
      );
    if (shape && shape.length !== given.rank)
      throw new ShapeError(`input '${name}' has shape [${given.shape}], expected [${shape.map((extent) => extent ?? '?')}]`);
  }

  private node(name: string): Node {
    const node = this.byName.get(name);
    if (node) return node;
    throw new ValueError(unknownLayer(name, this.layerNames()));
  }

  /** Computes the wanted values, and only the nodes that they depend on. Intermediate values are released after their last use. */
  private compute(feeds: ReadonlyMap<string, Value>, wanted: readonly string[]): Record<string, Tensor> {
    return scope(() => {
      const plan = neededFor(wanted, this.graph.nodes);
      const budget = new HostBudget();
      const hold = (name: string, value: Value): void => {
        values.set(name, value);
        if (isHost(value)) budget.hold(value);
      };
      const values = new Map<string, Value>([...this.fixed, ...this.learned, ...feeds]);
      const given = new Set(values.values());
      const uses = new Map<string, number>();
      for (const { inputs } of plan) for (const name of inputs) uses.set(name, (uses.get(name) ?? 0) + 1);
      const held = new Set(wanted);
      const skipped = new Set<Node>();
      for (const node of plan) {
        if (!skipped.has(node)) {
          const relu = this.fusableRelu(node, held);
          const results = budget.during(() => this.runNode(node, values, relu !== null));
          if (relu) {
            skipped.add(relu);
            hold(relu.outputs[0], results[0]!);
          } else {
            for (const [i, name] of node.outputs.entries()) {
              const result = results[i];
              if (name !== '' && result) hold(name, result);
            }
          }
        }
        for (const name of node.inputs) {
          const left = uses.get(name)! - 1;
          uses.set(name, left);
          const value = values.get(name);
          if (left > 0 || held.has(name) || !value || given.has(value)) continue;
          if (value instanceof Tensor) value.release('the next node');
          else budget.release(value);
          values.delete(name);
        }
      }
      return Object.fromEntries(wanted.map((name) => [name, this.asOutput(name, values.get(name), given)]));
    });
  }

  private asOutput(name: string, value: Value | undefined, given: ReadonlySet<Value>): Tensor {
    if (!value) throw new OnnxError(`onnx: ${JSON.stringify(name)} is an optional output that its node did not compute`);
    if (isHost(value)) return toTensor(value, this.backend, `output ${JSON.stringify(name)}`);
    // If an input or a weight is also an output, return another tensor with the same buffer, which the caller may dispose.
    return given.has(value) ? reshape(value, value.shape) : value;
  }

  /** Returns the ReLU that can be fused into this node, because it is the only user of its output; otherwise null. */
  private fusableRelu(node: Node, held: ReadonlySet<string>): Node | null {
    if (!node.operator.fusesRelu || held.has(node.outputs[0])) return null;
    const following = this.graph.consumers.get(node.outputs[0]) ?? [];
    const [only] = following;
    if (following.length !== 1 || only.type !== 'Relu' || this.outputNames.has(node.outputs[0])) return null;
    return only;
  }

  private runNode(node: Node, values: ReadonlyMap<string, Value>, relu: boolean): readonly (Value | null)[] {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : onHostUnlessFloat(values.get(name))));
    const call = new Call({ node, inputs, backend: this.backend, training: this.training, relu, constants: this.constants });
    try {
      return inLayer(node.name, () => scope(() => node.operator.run(call)));
    } catch (error) {
      throw naming(node, error);
    }
  }
}

/** Returns the multiply-adds of convolutions and matrix products; 0 for other operators, whose number is negligible. */
function multiplyAdds(layer: Module, output: Shape): number {
  const weights = layer.parameters()[0];
  if (layer.kind === 'Conv') return sizeOf(output) * (weights.size / weights.shape[0]);
  if (layer.kind === 'Gemm' || layer.kind === 'MatMul') return weights ? sizeOf(output) * (weights.size / (output.at(-1) ?? 1)) : 0;
  return 0;
}

/** Returns the name of the first output that is not omitted. */
const firstOutput = (node: Node): string => node.outputs.find((name) => name !== '')!;

/** Converts integer tensors, which a kernel has computed, to host values. */
function onHostUnlessFloat(value: Value | undefined): Value | undefined {
  if (!(value instanceof Tensor) || value.dtype === 'float32' || value.dtype === 'float64') return value;
  return new HostValue(value.dtype, value.shape, value.dataSync());
}

/** Prefixes the message of an error with the node that caused it. */
function naming(node: Node, error: unknown): unknown {
  const message = (inner: Error) => `onnx: node ${JSON.stringify(node.name)} (${node.type}): ${inner.message}`;
  for (const Kind of [ShapeError, DTypeError, ValueError]) if (error instanceof Kind) return new Kind(message(error), { cause: error });
  return error;
}

/** A node as a layer, with its operator, its parameters and its receptive window. */
class OnnxLayer extends Module {
  constructor(
    private readonly node: Node,
    private readonly learned: ReadonlyMap<string, Tensor>,
    private readonly compute: (x: Tensor) => readonly (Value | null)[],
  ) {
    super();
  }

  override get kind(): string {
    return this.node.type;
  }

  forward(x: Tensor): Tensor {
    const [y] = this.compute(x);
    if (!(y instanceof Tensor))
      throw new OnnxError(`onnx: node ${JSON.stringify(this.node.name)} (${this.node.type}) does not return a tensor`);
    return y;
  }

  override namedParameters(): [string, Tensor][] {
    return this.node.inputs.filter((name) => this.learned.has(name)).map((name) => [name, this.learned.get(name)!]);
  }

  override receptiveWindow(): ReceptiveWindow {
    const { receptiveWindow: window = 'global' } = this.node.operator;
    return typeof window === 'function' ? window(this.node.attributes, this.learned.get(this.node.inputs[1] ?? '')?.shape) : window;
  }
}
