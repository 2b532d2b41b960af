/** ONNX forms of the layers of LeNet-5 and of the shortcuts without parameters of ResNet. */
import type { PartialConv2d, RadialBasis, ScaledTanh, Subsampling2d } from '../../../nn/index.js';
import { SCALED_TANH } from '../../../nn/layers/lenet.js';
import type { PaddedChannels } from '../../../nn/models/padded_channels.js';
import type { GraphWriter } from './graph_writer.js';

/** Channels of zeros behind those of the input. */
export function paddedChannels(writer: GraphWriter, { inChannels, outChannels }: PaddedChannels, name: string): void {
  const pads = writer.constant(`${name}.pads`, [8], [0, 0, 0, 0, 0, outChannels - inChannels, 0, 0]);
  writer.node('Pad', name, {}, [writer.value, pads]);
}

/** 1.7159 · tanh(2/3 · x). */
export function scaledTanh(writer: GraphWriter, _layer: ScaledTanh, name: string): void {
  const argument = writer.node('Mul', `${name}.argument`, {}, [writer.value, writer.scalar(`${name}.slope`, SCALED_TANH.slope)]);
  const value = writer.node('Tanh', `${name}.tanh`, {}, [argument]);
  writer.node('Mul', name, {}, [value, writer.scalar(`${name}.amplitude`, SCALED_TANH.amplitude)]);
}

/** A convolution whose full weight is gathered from the kernels of the connections and a kernel of zeros. */
export function partialConv(writer: GraphWriter, layer: PartialConv2d, name: string): void {
  const x = writer.value;
  const { inChannels, table, kernelSize: k, kernelIndices } = layer;
  const own = writer.parameter(`${name}.weight`, layer.weight);
  const none = writer.constant(`${name}.none`, [1, 1, k, k], new Float32Array(k * k));
  const kernels = writer.node('Concat', `${name}.kernels`, { axis: 0 }, [own, none]);
  const places = writer.constant(`${name}.places`, [kernelIndices.length], [...kernelIndices]);
  const chosen = writer.node('Gather', `${name}.chosen`, { axis: 0 }, [kernels, places]);
  const shape = writer.constant(`${name}.shape`, [4], [table.length, inChannels, k, k]);
  const full = writer.node('Reshape', `${name}.full`, {}, [chosen, shape]);
  writer.node('Conv', name, { kernel_shape: [k, k] }, [x, full, writer.parameter(`${name}.bias`, layer.bias)]);
}

/** The sum of each 2×2 window, times a coefficient, plus a bias. */
export function subsampling(writer: GraphWriter, layer: Subsampling2d, name: string): void {
  const mean = writer.node('AveragePool', `${name}.mean`, { kernel_shape: [2, 2], strides: [2, 2] });
  const sum = writer.node('Mul', `${name}.sum`, {}, [mean, writer.scalar(`${name}.four`, 4)]);
  const shape = [layer.channels, 1, 1];
  const scaled = writer.node('Mul', `${name}.scaled`, {}, [sum, writer.parameter(`${name}.weight`, layer.weight, shape)]);
  writer.node('Add', name, {}, [scaled, writer.parameter(`${name}.bias`, layer.bias, shape)]);
}

/** −Σ (x − code)² for each code. */
export function radialBasis(writer: GraphWriter, { weight }: RadialBasis, name: string): void {
  const x = writer.value;
  const rows = writer.node('Reshape', `${name}.rows`, {}, [x, writer.constant(`${name}.shape`, [3], [0, 1, weight.shape[1]])]);
  const difference = writer.node('Sub', `${name}.difference`, {}, [rows, writer.parameter(`${name}.weight`, weight)]);
  const squares = writer.node('Mul', `${name}.squares`, {}, [difference, difference]);
  const sum = writer.node('ReduceSum', `${name}.sum`, { keepdims: 0 }, [squares, writer.constant(`${name}.axes`, [1], [2])]);
  writer.node('Neg', name, {}, [sum]);
}
