/** Layers that are several ONNX nodes, or one or several depending on the operator set. */
import type { AdaptiveAvgPool2d, AdaptiveMaxPool2d, GELU, GroupNorm, LayerNorm, Upsample } from '../../../nn/index.js';
import type { Pair, PoolOptions, Shape, Tensor } from '../../../tensor/index.js';
import { OnnxError } from '../errors.js';
import type { GraphWriter } from './graph_writer.js';

/** x · sigmoid(x). */
export function silu(writer: GraphWriter, name: string): void {
  const x = writer.value;
  const gate = writer.node('Sigmoid', `${name}.sigmoid`);
  writer.node('Mul', name, {}, [x, gate]);
}

/** x · min(max(x + 3, 0), 6) / 6: one node from operator set 14 on. */
export function hardSwish(writer: GraphWriter, name: string): void {
  if (writer.opset >= 14) {
    writer.node('HardSwish', name);
    return;
  }
  const x = writer.value;
  const gate = writer.node('HardSigmoid', `${name}.gate`, { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });
  writer.node('Mul', name, {}, [x, gate]);
}

/** GELU: one node from operator set 20 on, before by Erf, or by Tanh for the approximation. */
export function gelu(writer: GraphWriter, { options }: GELU, name: string): void {
  const approximate = options.approximate ?? 'none';
  if (writer.opset >= 20) {
    writer.node('Gelu', name, { approximate });
    return;
  }
  const x = writer.value;
  const scaled = (key: string, value: string, factor: number) =>
    writer.node('Mul', `${name}.${key}`, {}, [value, writer.scalar(`${name}.${key}.factor`, factor)]);
  let inner: string;
  if (approximate === 'none') {
    scaled('argument', x, Math.SQRT1_2);
    inner = writer.node('Erf', `${name}.erf`);
  } else {
    const square = writer.node('Mul', `${name}.square`, {}, [x, x]);
    const cube = writer.node('Mul', `${name}.cube`, {}, [square, x]);
    const sum = writer.node('Add', `${name}.sum`, {}, [x, scaled('small', cube, 0.044715)]);
    scaled('argument', sum, Math.sqrt(2 / Math.PI));
    inner = writer.node('Tanh', `${name}.tanh`);
  }
  const shifted = writer.node('Add', `${name}.shift`, {}, [inner, writer.scalar(`${name}.one`, 1)]);
  const half = scaled('half', x, 0.5);
  writer.node('Mul', name, {}, [half, shifted]);
}

/** Adds a weight and a bias of this shape, or constants where the layer has none. */
function affine(writer: GraphWriter, layer: { weight: Tensor | null; bias: Tensor | null }, name: string, shape: Shape): [string, string] {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const constant = (key: string, value: number) => writer.constant(`${name}.${key}`, shape, new Float32Array(size).fill(value));
  return [
    layer.weight ? writer.parameter(`${name}.weight`, layer.weight, shape) : constant('weight', 1),
    layer.bias ? writer.parameter(`${name}.bias`, layer.bias, shape) : constant('bias', 0),
  ];
}

/** GroupNorm: one node from operator set 21 on, before by InstanceNormalization of the groups. */
export function groupNorm(writer: GraphWriter, layer: GroupNorm, name: string, input: Shape): void {
  const { groups, channels } = layer;
  const epsilon = { float: layer.options.epsilon ?? 1e-5 };
  const x = writer.value;
  if (writer.opset >= 21) {
    writer.node('GroupNormalization', name, { num_groups: groups, epsilon }, [x, ...affine(writer, layer, name, [channels])]);
    return;
  }
  const shape = writer.node('Shape', `${name}.shape`);
  const grouped = writer.node('Reshape', `${name}.group`, {}, [x, writer.constant(`${name}.groups`, [3], [0, groups, -1])]);
  const one = writer.constant(`${name}.one`, [groups], new Float32Array(groups).fill(1));
  const zero = writer.constant(`${name}.zero`, [groups], new Float32Array(groups));
  const normal = writer.node('InstanceNormalization', `${name}.normal`, { epsilon }, [grouped, one, zero]);
  const whole = writer.node('Reshape', `${name}.ungroup`, {}, [normal, shape]);
  const [weight, bias] = affine(writer, layer, name, [channels, ...input.slice(2).map(() => 1)]);
  const scaled = writer.node('Mul', `${name}.scale`, {}, [whole, weight]);
  writer.node('Add', name, {}, [scaled, bias]);
}

/** LayerNorm: one node from operator set 17 on, before by means over the last axes. */
export function layerNorm(writer: GraphWriter, layer: LayerNorm, name: string): void {
  const { normalizedShape } = layer;
  const epsilon = layer.options.epsilon ?? 1e-5;
  const x = writer.value;
  const [weight, bias] = affine(writer, layer, name, normalizedShape);
  if (writer.opset >= 17) {
    writer.node('LayerNormalization', name, { axis: -normalizedShape.length, epsilon: { float: epsilon } }, [x, weight, bias]);
    return;
  }
  const axes = normalizedShape.map((_, i) => i - normalizedShape.length);
  const average = writer.node('ReduceMean', `${name}.mean`, { axes });
  const centred = writer.node('Sub', `${name}.centre`, {}, [x, average]);
  const square = writer.node('Mul', `${name}.square`, {}, [centred, centred]);
  const variance = writer.node('ReduceMean', `${name}.variance`, { axes }, [square]);
  const shifted = writer.node('Add', `${name}.shift`, {}, [variance, writer.scalar(`${name}.epsilon`, epsilon)]);
  const deviation = writer.node('Sqrt', `${name}.deviation`, {}, [shifted]);
  const normal = writer.node('Div', `${name}.normal`, {}, [centred, deviation]);
  const scaled = writer.node('Mul', `${name}.scale`, {}, [normal, weight]);
  writer.node('Add', name, {}, [scaled, bias]);
}

/** Upsample: a Resize by scales, or to a size that is joined with the batch size and the channels of the input. */
export function upsample(writer: GraphWriter, { options }: Upsample, name: string): void {
  const { size, scaleFactor, mode = 'nearest', alignCorners = false } = options;
  const x = writer.value;
  const attributes = {
    mode: mode === 'nearest' ? 'nearest' : 'linear',
    coordinate_transformation_mode: mode === 'nearest' ? 'asymmetric' : alignCorners ? 'align_corners' : 'half_pixel',
    nearest_mode: 'floor',
  };
  if (scaleFactor !== undefined) {
    const factors = typeof scaleFactor === 'number' ? [scaleFactor, scaleFactor] : scaleFactor;
    const scales = writer.constant(`${name}.scales`, [4], Float32Array.of(1, 1, ...factors));
    writer.node('Resize', name, attributes, [x, '', scales]);
    return;
  }
  const shape = writer.node('Shape', `${name}.shape`);
  const [start, end] = [writer.constant(`${name}.start`, [1], [0]), writer.constant(`${name}.end`, [1], [2])];
  const images = writer.node('Slice', `${name}.images`, {}, [shape, start, end]);
  const target = writer.node('Concat', `${name}.target`, { axis: 0 }, [images, writer.constant(`${name}.size`, [2], pair(size!))]);
  writer.node('Resize', name, attributes, [x, '', '', target]);
}

const pair = (value: Pair): [number, number] => (typeof value === 'number' ? [value, value] : [value[0], value[1]]);

/** Returns the window of an adaptive pooling if all its windows are equal; otherwise null. */
export function evenWindow({ outputSize }: AdaptiveAvgPool2d | AdaptiveMaxPool2d, input: Shape): PoolOptions | null {
  const [oh, ow] = pair(outputSize);
  const [h, w] = input.slice(-2);
  return h % oh === 0 && w % ow === 0 ? { kernelSize: [h / oh, w / ow] } : null;
}

/** Adaptive average pooling whose windows differ: a product with a matrix of averages on each side. */
export function unevenAverage(writer: GraphWriter, { outputSize }: AdaptiveAvgPool2d, name: string, input: Shape): void {
  const [oh, ow] = pair(outputSize);
  const [h, w] = input.slice(-2);
  const x = writer.value;
  const rows = writer.constant(`${name}.rows`, [oh, h], averages(h, oh, false));
  const columns = writer.constant(`${name}.columns`, [w, ow], averages(w, ow, true));
  const high = writer.node('MatMul', `${name}.vertical`, {}, [rows, x]);
  writer.node('MatMul', name, {}, [high, columns]);
}

/** Returns the matrix [outputs, inputs], or its transpose, that averages the windows from ⌊i · s⌋ to ⌈(i + 1) · s⌉, s = inputs / outputs. */
function averages(inputs: number, outputs: number, transposed: boolean): Float32Array {
  const matrix = new Float32Array(inputs * outputs);
  for (let i = 0; i < outputs; i++) {
    const [start, end] = [Math.floor((i * inputs) / outputs), Math.ceil(((i + 1) * inputs) / outputs)];
    for (let j = start; j < end; j++) matrix[transposed ? j * outputs + i : i * inputs + j] = 1 / (end - start);
  }
  return matrix;
}

/** Creates the error for adaptive max pooling whose windows differ. */
export const unevenMax = ({ outputSize }: AdaptiveMaxPool2d, name: string, input: Shape): OnnxError =>
  new OnnxError(
    `toOnnx: layer '${name}' (AdaptiveMaxPool2d) pools [${input.slice(-2)}] to [${pair(outputSize)}] in windows of different sizes, which ONNX has no operator for; use an input size that is a multiple of the output size`,
  );
