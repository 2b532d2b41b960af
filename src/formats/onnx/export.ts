/** Exports a sequential network as an ONNX model. */
import { arrayOf, checkArgument, checkOptions, instanceOf, integer, type RulesFor, recordOf, text } from '../../backend/validate.js';
import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  LeakyReLU,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  type Module,
  ReLU,
  Sequential,
  Sigmoid,
  Softmax,
  Tanh,
  torchvision,
} from '../../nn/index.js';
import { type Padding, type Pair, type PoolOptions, type Shape, ShapeError, type Tensor } from '../../tensor/index.js';
import { TYPE_NUMBERS } from './decoding/element_types.js';
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  encodeModel,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
  type Written,
} from './decoding/schema.js';
import { writeTensor } from './decoding/tensor_proto.js';
import { OnnxError } from './errors.js';

/** Options of `toOnnx`. */
export interface ToOnnxOptions {
  /** Shape of the input, [N, C, H, W]; the batch size of the model is free, whatever N is. Alternative to `inputSize` and `channels`. */
  inputShape?: Shape;
  /** Height and width of the input in pixels. */
  inputSize?: number;
  /** Channels of the input. Default 3. */
  channels?: number;
  /** Name of the graph. Default `zfnet`. */
  name?: string;
  /** Name of the input. Default `input`. */
  inputName?: string;
  /** Name of the output. Default `output`. */
  outputName?: string;
  /** Strings by key, stored in the metadata of the file. Default: none. */
  metadata?: Readonly<Record<string, string>>;
  /** Operator set, 13 to 22. Default 13. */
  opset?: number;
}

/** The IR version (version of the file format) for each supported operator set. */
const OPSETS: Readonly<Record<number, number>> = { 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10 };

const OPTIONS: RulesFor<ToOnnxOptions> = {
  inputShape: arrayOf(integer(), 1),
  inputSize: integer(1),
  channels: integer(1),
  name: text,
  inputName: text,
  outputName: text,
  metadata: recordOf(text),
  opset: integer(),
};

/**
 * Exports a network as the bytes of an ONNX model (PyTorch: `torch.onnx.export`). The model is in evaluation mode and has float32 type,
 * one input, one output and a free batch size. Initialisers are named after the parameters, nodes after the layers.
 *
 *     await writeFile('model.onnx', toOnnx(model, { inputSize: 224 }));
 *
 * @param model layers in sequence; may be nested
 * @throws OnnxError for a layer that cannot be exported
 * @throws ShapeError if the input shape does not fit the network, or is missing
 */
export function toOnnx(model: Sequential, options: ToOnnxOptions = {}): Uint8Array {
  checkArgument('toOnnx', 'the model', model, instanceOf(Sequential));
  checkOptions('toOnnx', options, OPTIONS);
  const { name = 'zfnet', inputName = 'input', outputName = 'output', opset = 13 } = options;
  if (!Object.hasOwn(OPSETS, opset))
    throw new OnnxError(`toOnnx: operator set ${opset} is not supported, expected one of ${Object.keys(OPSETS).join(', ')}`);
  const input = inputShapeOf(options);
  const writer = new GraphWriter(inputName);
  writer.row(model, '', input);
  writer.renameLast(outputName);
  const output = model.outputShape(input);
  return encodeModel({
    irVersion: OPSETS[opset],
    producerName: 'zfnet',
    opsetImport: [{ domain: '', version: opset }],
    metadata: Object.entries(options.metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: {
      name,
      node: writer.nodes,
      initializer: writer.initializers,
      input: [valueInfo(inputName, input)],
      output: [valueInfo(outputName, output)],
    },
  });
}

function inputShapeOf({ inputShape, inputSize, channels = 3 }: ToOnnxOptions): Shape {
  if (inputShape) return inputShape;
  if (inputSize === undefined) throw new ShapeError('toOnnx: expected inputShape [N, C, H, W] or inputSize');
  return [1, channels, inputSize, inputSize];
}

/** Describes an input or output. The first dimension is the batch, which is free. */
function valueInfo(name: string, shape: Shape): Written<ValueInfoProto> {
  const dim = shape.map((extent, i) => (i === 0 ? { dimParam: 'batch' } : { dimValue: extent }));
  return { name, type: { tensorType: { elemType: TYPE_NUMBERS.float32, shape: { dim } } } };
}

type AttributeValue = number | readonly number[] | { float: number };

/** Collects the nodes and initialisers of a graph. */
class GraphWriter {
  readonly nodes: Written<NodeProto>[] = [];
  readonly initializers: Written<TensorProto>[] = [];

  /** @param value name of the current value, which is the input of the next node */
  constructor(private value: string) {}

  /** Adds a node and makes its output the current value. */
  node(opType: string, name: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}): string {
    const output = `${name}_output`;
    this.nodes.push({ opType, name, input: [...inputs], output: [output], attribute: Object.entries(attributes).map(attributeProto) });
    this.value = output;
    return output;
  }

  parameter(name: string, tensor: Tensor): string {
    const data = tensor.dataSync();
    this.initializers.push(writeTensor(name, tensor.shape, data instanceof Float32Array ? data : Float32Array.from(data)));
    return name;
  }

  constant(name: string, shape: Shape, data: Float32Array): string {
    this.initializers.push(writeTensor(name, shape, data));
    return name;
  }

  renameLast(name: string): void {
    const last = this.nodes.at(-1);
    if (last) last.output = [name];
    else this.nodes.push({ opType: 'Identity', name: 'identity', input: [this.value], output: [name] });
  }

  row(model: Sequential, prefix: string, input: Shape): void {
    for (const { name, layer, input: shape } of model.shapes(input)) this.layer(layer, prefix + name, shape);
  }

  private layer(layer: Module, name: string, input: Shape): void {
    const x = this.value;
    const one = (opType: string, attributes: Record<string, AttributeValue> = {}) => this.node(opType, name, [x], attributes);
    if (layer instanceof Sequential) this.row(layer, `${name}.`, input);
    else if (layer instanceof torchvision.Residual) this.residual(layer, name, input);
    else if (layer instanceof Conv2d) this.node('Conv', name, this.weighted(layer, name), convAttributes(layer));
    else if (layer instanceof ConvTranspose2d) {
      const extra = pair(layer.options.outputPadding ?? 0);
      this.node('ConvTranspose', name, this.weighted(layer, name), { ...convAttributes(layer), output_padding: extra });
    } else if (layer instanceof Linear) this.node('Gemm', name, this.weighted(layer, name), { transB: 1 });
    else if (layer instanceof ReLU) one('Relu');
    else if (layer instanceof LeakyReLU) one('LeakyRelu', { alpha: { float: layer.slope } });
    else if (layer instanceof Sigmoid) one('Sigmoid');
    else if (layer instanceof Tanh) one('Tanh');
    else if (layer instanceof Softmax) one('Softmax', { axis: -1 });
    else if (layer instanceof Flatten) one('Flatten', { axis: 1 });
    // Dropout does nothing in evaluation mode; the node is kept for fine-tuning in other frameworks.
    else if (layer instanceof Dropout) {
      const ratio = this.constant(`${name}.ratio`, [], Float32Array.of(layer.probability));
      this.node('Dropout', name, [x, ratio]);
    } else if (layer instanceof MaxPool2d) one('MaxPool', poolAttributes(layer.options));
    else if (layer instanceof AvgPool2d) one('AveragePool', averageAttributes(layer.options));
    else if (layer instanceof AdaptiveAvgPool2d) one('AveragePool', averageAttributes(layer.windowFor(input)));
    else if (layer instanceof BatchNorm2d) {
      const own = ['weight', 'bias', 'running_mean', 'running_var'] as const;
      const inputs = own.map((key) => this.parameter(`${name}.${key}`, layer[key]));
      this.node('BatchNormalization', name, [x, ...inputs], { epsilon: { float: layer.epsilon } });
    } else if (layer instanceof LocalResponseNorm) this.contrast(layer, name);
    else throw new OnnxError(`toOnnx: layer '${name}' (${layer.kind}) cannot be exported to ONNX`);
  }

  private weighted(layer: Conv2d | ConvTranspose2d | Linear, name: string): string[] {
    const inputs = [this.value, this.parameter(`${name}.weight`, layer.weight)];
    return layer.bias ? [...inputs, this.parameter(`${name}.bias`, layer.bias)] : inputs;
  }

  /** relu(branch(x) + shortcut(x)). */
  private residual(block: InstanceType<typeof torchvision.Residual>, name: string, input: Shape): void {
    const x = this.value;
    this.row(block.branch, `${name}.`, input);
    const branch = this.value;
    this.value = x;
    if (block.downsample) this.row(block.downsample, `${name}.downsample.`, input);
    const sum = this.node('Add', `${name}.add`, [branch, this.value]);
    this.node('Relu', name, [sum]);
  }

  /**
   * Adds local response normalisation: an `LRN` node across channels; elementary operators within a channel, which ONNX has no operator
   * for: x / (k + alpha · mean of x² over the window) ^ beta.
   */
  private contrast(layer: LocalResponseNorm, name: string): void {
    const { size = 5, alpha = 1e-4, beta = 0.75, k = 2, region = 'across' } = layer.options;
    const x = this.value;
    if (region === 'across') {
      this.node('LRN', name, [x], { size, alpha: { float: alpha }, beta: { float: beta }, bias: { float: k } });
      return;
    }
    const before = Math.floor((size - 1) / 2);
    const after = size - 1 - before;
    const scalar = (key: string, value: number) => this.constant(`${name}.${key}`, [], Float32Array.of(value));
    const squares = this.node('Mul', `${name}.square`, [x, x]);
    const pads = [before, before, after, after];
    const means = this.node('AveragePool', `${name}.mean`, [squares], {
      kernel_shape: [size, size],
      strides: [1, 1],
      pads,
      count_include_pad: 1,
    });
    const scaled = this.node('Mul', `${name}.scale`, [means, scalar('alpha', alpha)]);
    const shifted = this.node('Add', `${name}.shift`, [scaled, scalar('k', k)]);
    const power = this.node('Pow', `${name}.power`, [shifted, scalar('beta', beta)]);
    this.node('Div', name, [x, power]);
  }
}

function attributeProto([name, value]: [string, AttributeValue]): Written<AttributeProto> {
  if (typeof value === 'number') return { name, type: ATTRIBUTE_TYPES.int, i: value };
  if ('float' in value) return { name, type: ATTRIBUTE_TYPES.float, f: value.float };
  return { name, type: ATTRIBUTE_TYPES.ints, ints: [...value] };
}

const pair = (value: Pair): [number, number] => (typeof value === 'number' ? [value, value] : [value[0], value[1]]);

function padsOf(padding: Padding = 0): number[] {
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding.length === 2 ? [...padding, ...padding] : [...padding];
}

const convAttributes = ({ weight, options }: Conv2d | ConvTranspose2d): Record<string, AttributeValue> => ({
  kernel_shape: weight.shape.slice(2),
  strides: pair(options.stride ?? 1),
  pads: padsOf(options.padding),
  dilations: pair(options.dilation ?? 1),
  group: options.groups ?? 1,
});

const poolAttributes = (options: PoolOptions): Record<string, AttributeValue> => ({
  kernel_shape: pair(options.kernelSize),
  strides: pair(options.stride ?? options.kernelSize),
  pads: padsOf(options.padding),
  ...(options.dilation === undefined ? {} : { dilations: pair(options.dilation) }),
  ceil_mode: options.ceilMode ? 1 : 0,
});

const averageAttributes = (options: PoolOptions): Record<string, AttributeValue> => ({
  ...poolAttributes(options),
  count_include_pad: (options.countIncludePad ?? true) ? 1 : 0,
});
