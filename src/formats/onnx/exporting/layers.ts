/** The ONNX form of each layer. A layer without an entry cannot be exported. */
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AuxiliaryHead,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Dropout2d,
  Flatten,
  GELU,
  GroupNorm,
  HardSigmoid,
  HardSwish,
  Identity,
  LayerNorm,
  LeakyReLU,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  type Module,
  PartialConv2d,
  PReLU,
  RadialBasis,
  ReLU,
  ReLU6,
  ScaledTanh,
  Sigmoid,
  SiLU,
  Softmax,
  Subsampling2d,
  Tanh,
  Upsample,
} from '../../../nn/index.js';
import { PaddedChannels } from '../../../nn/models/padded_channels.js';
import type { Padding, Pair, PoolOptions, Shape } from '../../../tensor/index.js';
import { lrnBefore } from '../../../tensor/ops/local_response_norm.js';
import { OnnxError } from '../errors.js';
import { paddedChannels, partialConv, radialBasis, scaledTanh, subsampling } from './classic.js';
import { evenWindow, gelu, groupNorm, hardSwish, layerNorm, silu, unevenAverage, unevenMax, upsample } from './composed.js';
import type { AttributeValue, GraphWriter } from './graph_writer.js';

/** Adds the nodes of a layer; `input` is the shape of its input. */
type Write<T> = (writer: GraphWriter, layer: T, name: string, input: Shape) => void;

type LayerClass<T> = abstract new (...args: never[]) => T;

const entry = <T extends Module>(kind: LayerClass<T>, write: Write<T>): [LayerClass<Module>, Write<Module>] => [
  kind,
  write as Write<Module>,
];

/** A layer that is one node without parameters. */
const plain = <T extends Module>(
  kind: LayerClass<T>,
  opType: string,
  attributes: (layer: T, input: Shape) => Record<string, AttributeValue> = () => ({}),
) => entry(kind, (writer, layer, name, input) => writer.node(opType, name, attributes(layer, input)));

const LAYERS: readonly [LayerClass<Module>, Write<Module>][] = [
  entry(Conv2d, (writer, layer, name) => writer.node('Conv', name, convAttributes(layer), weighted(writer, layer, name))),
  entry(ConvTranspose2d, (writer, layer, name) => {
    const attributes = { ...convAttributes(layer), output_padding: pair(layer.options.outputPadding ?? 0) };
    writer.node('ConvTranspose', name, attributes, weighted(writer, layer, name));
  }),
  entry(Linear, (writer, layer, name) => writer.node('Gemm', name, { transB: 1 }, weighted(writer, layer, name))),
  plain(ReLU, 'Relu'),
  plain(LeakyReLU, 'LeakyRelu', ({ slope }) => ({ alpha: { float: slope } })),
  plain(Sigmoid, 'Sigmoid'),
  plain(Tanh, 'Tanh'),
  plain(Softmax, 'Softmax', ({ options }) => ({ axis: options.axis ?? -1 })),
  plain(Flatten, 'Flatten', () => ({ axis: 1 })),
  entry(ReLU6, (writer, _layer, name) => {
    const bounds = [writer.scalar(`${name}.low`, 0), writer.scalar(`${name}.high`, 6)];
    writer.node('Clip', name, {}, [writer.value, ...bounds]);
  }),
  plain(HardSigmoid, 'HardSigmoid', () => ({ alpha: { float: 1 / 6 }, beta: { float: 0.5 } })),
  entry(HardSwish, (writer, _layer, name) => hardSwish(writer, name)),
  entry(SiLU, (writer, _layer, name) => silu(writer, name)),
  entry(GELU, gelu),
  entry(PReLU, (writer, layer, name, input) => {
    // The slopes are broadcast from the last axis on, so they need the axes after the channels.
    const shape = layer.channels === 1 ? [1] : [layer.channels, ...input.slice(2).map(() => 1)];
    writer.node('PRelu', name, {}, [writer.value, writer.parameter(`${name}.weight`, layer.weight, shape)]);
  }),
  entry(Dropout, dropout),
  // ONNX has no dropout of whole maps. In evaluation mode it does nothing.
  plain(Dropout2d, 'Identity'),
  plain(Identity, 'Identity'),
  entry(GroupNorm, groupNorm),
  entry(LayerNorm, layerNorm),
  entry(Upsample, upsample),
  plain(MaxPool2d, 'MaxPool', ({ options }) => poolAttributes(options)),
  plain(AvgPool2d, 'AveragePool', ({ options }) => averageAttributes(options)),
  entry(AdaptiveAvgPool2d, (writer, layer, name, input) => {
    const window = evenWindow(layer, input);
    if (window) writer.node('AveragePool', name, averageAttributes(window));
    else unevenAverage(writer, layer, name, input);
  }),
  entry(AdaptiveMaxPool2d, (writer, layer, name, input) => {
    const window = evenWindow(layer, input);
    if (!window) throw unevenMax(layer, name, input);
    writer.node('MaxPool', name, poolAttributes(window));
  }),
  entry(BatchNorm2d, (writer, layer, name) => {
    const own = ['weight', 'bias', 'running_mean', 'running_var'] as const;
    const inputs = own.map((key) => writer.parameter(`${name}.${key}`, layer[key]));
    writer.node('BatchNormalization', name, { epsilon: { float: layer.epsilon } }, [writer.value, ...inputs]);
  }),
  entry(LocalResponseNorm, contrast),
  // An auxiliary classifier returns its input in evaluation mode.
  entry(AuxiliaryHead, () => {}),
  entry(PaddedChannels, paddedChannels),
  entry(ScaledTanh, scaledTanh),
  entry(PartialConv2d, partialConv),
  entry(Subsampling2d, subsampling),
  entry(RadialBasis, radialBasis),
];

/** Adds the nodes of a layer. Returns false for a layer that has no form in ONNX. */
export function writeLayer(writer: GraphWriter, layer: Module, name: string, input: Shape): boolean {
  const found = LAYERS.find(([kind]) => layer instanceof kind);
  found?.[1](writer, layer, name, input);
  return found !== undefined;
}

function weighted(writer: GraphWriter, layer: Conv2d | ConvTranspose2d | Linear, name: string): string[] {
  const inputs = [writer.value, writer.parameter(`${name}.weight`, layer.weight)];
  return layer.bias ? [...inputs, writer.parameter(`${name}.bias`, layer.bias)] : inputs;
}

/** Dropout does nothing in evaluation mode; the node is kept for fine-tuning in other frameworks. */
function dropout(writer: GraphWriter, layer: { probability: number }, name: string): void {
  writer.node('Dropout', name, {}, [writer.value, writer.scalar(`${name}.ratio`, layer.probability)]);
}

/**
 * Adds local response normalisation: an `LRN` node across channels; elementary operators within a channel, which ONNX has no operator
 * for: x / (k + alpha · mean of x² over the window) ^ beta.
 */
function contrast(writer: GraphWriter, layer: LocalResponseNorm, name: string): void {
  const { size = 5, alpha = 1e-4, beta = 0.75, k = 2, region = 'across' } = layer.options;
  const x = writer.value;
  const before = lrnBefore(layer.options);
  if (region === 'across') {
    // ONNX defines the window that begins ⌊(size − 1) / 2⌋ channels before its centre.
    if (before !== Math.floor((size - 1) / 2))
      throw new OnnxError(
        `toOnnx: layer '${name}' (${layer.kind}) has window 'pytorch' and the even size ${size}, which ONNX has no operator for; use an odd size`,
      );
    writer.node('LRN', name, { size, alpha: { float: alpha }, beta: { float: beta }, bias: { float: k } });
    return;
  }
  const after = size - 1 - before;
  const squares = writer.node('Mul', `${name}.square`, {}, [x, x]);
  const window = { kernel_shape: [size, size], strides: [1, 1], pads: [before, before, after, after], count_include_pad: 1 };
  const means = writer.node('AveragePool', `${name}.mean`, window, [squares]);
  const scaled = writer.node('Mul', `${name}.scale`, {}, [means, writer.scalar(`${name}.alpha`, alpha)]);
  const shifted = writer.node('Add', `${name}.shift`, {}, [scaled, writer.scalar(`${name}.k`, k)]);
  const power = writer.node('Pow', `${name}.power`, {}, [shifted, writer.scalar(`${name}.beta`, beta)]);
  writer.node('Div', name, {}, [x, power]);
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
