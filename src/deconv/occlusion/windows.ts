/**
 * Runs layers on windows of their maps: finds the outputs that a change of the input affects, and computes only those.
 *
 * A window is [y0, x0, y1, x1] within a map, end exclusive. The input that a window of outputs needs may extend into the padding. The
 * map is therefore padded once, and the layer itself runs without padding.
 */
import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Dropout2d,
  GELU,
  HardSigmoid,
  HardSwish,
  LeakyReLU,
  LocalResponseNorm,
  MaxPool2d,
  type Module,
  PReLU,
  ReLU,
  ReLU6,
  Sigmoid,
  SiLU,
  Tanh,
  type WindowGeometry,
} from '../../nn/index.js';
import { avgPool2d, conv2d, localResponseNorm, maxPool2d, pad, type Shape, type Tensor } from '../../tensor/index.js';
import type { Patch } from '../activations/receptive_fields.js';

/** A layer that can be computed on windows. */
export interface WindowLayer {
  geometry: WindowGeometry;
  /** Value of the padding. */
  padding: number;
  /** Outputs for a window of the padded input [N, C, H, W], computed without padding. */
  run(x: Tensor): Tensor;
}

/** The lowest finite float32. It never wins a maximum, and being finite it does not trigger the check for NaN and infinity. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

const POINT: WindowGeometry = { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] };

/** The identity, for a stage that begins with a pointwise layer. */
export const IDENTITY: WindowLayer = { geometry: POINT, padding: 0, run: (x) => x };

/** Returns how a layer is computed on windows; null for a layer with a global receptive field or of an unknown kind. */
export function windowLayer(layer: Module): WindowLayer | null {
  const geometry = layer.receptiveWindow();
  if (geometry === null || typeof geometry === 'string') return null;
  // A subclass with its own `forward` may compute something else.
  const isPlain = (kind: typeof Conv2d | typeof MaxPool2d | typeof AvgPool2d | typeof LocalResponseNorm) =>
    layer.forward === kind.prototype.forward;
  if (layer instanceof Conv2d && isPlain(Conv2d)) {
    const options = { ...layer.options, padding: 0 };
    return { geometry, padding: 0, run: (x) => conv2d(x, layer.weight, layer.bias, options) };
  }
  if (layer instanceof MaxPool2d && isPlain(MaxPool2d)) {
    const options = { ...layer.options, padding: 0, ceilMode: false };
    return { geometry, padding: LOWEST, run: (x) => maxPool2d(x, options) };
  }
  if (layer instanceof AvgPool2d && isPlain(AvgPool2d)) {
    const { ceilMode = false, countIncludePad = true } = layer.options;
    // At the edge, the divisor would depend on the position.
    if (ceilMode || (!countIncludePad && geometry.padding.some((amount) => amount > 0))) return null;
    const options = { ...layer.options, padding: 0 };
    return { geometry, padding: 0, run: (x) => avgPool2d(x, options) };
  }
  if (layer instanceof LocalResponseNorm && isPlain(LocalResponseNorm)) {
    const [before] = geometry.padding;
    const after = geometry.kernel[0] - 1 - before;
    return { geometry, padding: 0, run: (x) => withoutRim(localResponseNorm(x, layer.options), before, after) };
  }
  return null;
}

const POINTWISE = [ReLU, ReLU6, LeakyReLU, PReLU, SiLU, GELU, HardSigmoid, HardSwish, Sigmoid, Tanh, Dropout, Dropout2d, BatchNorm2d];

/** Whether each output of a layer in evaluation mode depends only on the inputs at the same position. */
export const isPointwise = (layer: Module): boolean =>
  POINTWISE.some((kind) => layer.forward === kind.prototype.forward) ||
  (layer.forward === LocalResponseNorm.prototype.forward && layer.receptiveWindow() === 'point');

function withoutRim(x: Tensor, before: number, after: number): Tensor {
  const [n, c, h, w] = x.shape;
  return x.slice([0, 0, before, before], [n, c, h - after, w - after]);
}

/** Extent of the layer's window along an axis, dilation included. */
const reachOf = ({ kernel, dilation }: WindowGeometry, axis: 0 | 1): number => dilation[axis] * (kernel[axis] - 1) + 1;

/** Map [N, C, H, W] with the padding that a layer needs for [height, width] outputs. */
export function padded(x: Tensor, { geometry, padding }: WindowLayer, outputs: readonly [number, number]): Tensor {
  const amounts = ([0, 1] as const).map((axis): [number, number] => {
    const before = geometry.padding[axis];
    const needed = (outputs[axis] - 1) * geometry.stride[axis] + reachOf(geometry, axis);
    return [before, Math.max(0, needed - before - x.shape[2 + axis])];
  });
  return amounts.flat().every((amount) => amount === 0) ? x.detach() : pad(x, [[0, 0], [0, 0], ...amounts], padding);
}

/** Window of the outputs that depend on a window of the input, clipped to the [height, width] outputs; at least one output. */
export function reachedOutputs(window: Patch, geometry: WindowGeometry, outputs: readonly [number, number]): Patch {
  const span = (axis: 0 | 1): [number, number] => {
    const { stride, padding } = geometry;
    const first = Math.ceil((window[axis] + padding[axis] - reachOf(geometry, axis) + 1) / stride[axis]);
    const end = Math.floor((window[axis + 2] - 1 + padding[axis]) / stride[axis]) + 1;
    const from = Math.min(Math.max(first, 0), outputs[axis] - 1);
    return [from, Math.max(from + 1, Math.min(end, outputs[axis]))];
  };
  const [y0, y1] = span(0);
  const [x0, x1] = span(1);
  return [y0, x0, y1, x1];
}

/** Window of the padded input that a window of outputs depends on. */
export function seenInputs([y0, x0, y1, x1]: Patch, geometry: WindowGeometry): Patch {
  const [down, across] = geometry.stride;
  return [y0 * down, x0 * across, (y1 - 1) * down + reachOf(geometry, 0), (x1 - 1) * across + reachOf(geometry, 1)];
}

/** A window of one image of a batch. */
export interface Block {
  /** [N, C, H, W] */
  of: Tensor;
  image: number;
  /** Top left corner [y, x] of the window. */
  at: readonly [number, number];
}

/** Copies a window of [height, width], with all channels, from one batch into another. */
export function copyBlock(to: Block, from: Block, [height, width]: readonly [number, number]): void {
  const { backend } = to.of;
  const channels = to.of.shape[1];
  backend.stridedCopy(to.of.writable, from.of.storage, {
    shape: [channels, height, width],
    yOffset: offsetOf(to),
    yStrides: stridesOf(to.of.shape),
    xOffset: offsetOf(from),
    xStrides: stridesOf(from.of.shape),
  });
}

const stridesOf = ([, , height, width]: Shape) => [height * width, width, 1];

function offsetOf({ of, image, at }: Block): number {
  const [, channels, height, width] = of.shape;
  return (image * channels * height + at[0]) * width + at[1];
}
