/**
 * Layers run on pieces of their maps: which outputs a change of the input reaches, and how a layer is computed for those alone.
 *
 * A window is [y0, x0, y1, x1] within a map, end exclusive. The piece of input that a window of outputs needs may stand out over
 * the map's edge; there lies the layer's padding, put around the map once, so that the layer itself runs without any.
 */
import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  LeakyReLU,
  LocalResponseNorm,
  MaxPool2d,
  type Module,
  ReLU,
  Sigmoid,
  Tanh,
  type WindowGeometry,
} from '../../nn/index.js';
import { avgPool2d, conv2d, localResponseNorm, maxPool2d, pad, type Shape, type Tensor } from '../../tensor/index.js';
import type { Patch } from '../activations/receptive_fields.js';

/** A layer that can be computed piece by piece. */
export interface WindowLayer {
  geometry: WindowGeometry;
  /** What its padding counts as. */
  padding: number;
  /** The outputs of a piece of the padded input [N, C, H, W], computed without padding. */
  run(x: Tensor): Tensor;
}

/** The lowest float32: no maximum, and finite, so that looking for numbers gone bad does not stop at it. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

const POINT: WindowGeometry = { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] };

/** Does nothing, to one point at a time. */
export const IDENTITY: WindowLayer = { geometry: POINT, padding: 0, run: (x) => x };

/** How a layer is computed piece by piece; null for one that sees all of its input at once, or that is not known here. */
export function windowLayer(layer: Module): WindowLayer | null {
  const geometry = layer.reach();
  if (typeof geometry === 'string') return null;
  // What a subclass computes in a `forward` of its own is not known.
  const isPlain = (kind: typeof Conv2d | typeof MaxPool2d | typeof AvgPool2d | typeof LocalResponseNorm) =>
    layer.forward === kind.prototype.forward;
  if (layer instanceof Conv2d && isPlain(Conv2d)) {
    const options = { ...layer.options, padding: 0 };
    return { geometry, padding: 0, run: (x) => conv2d(x, layer.weight, layer.bias, options) };
  }
  if (layer instanceof MaxPool2d && isPlain(MaxPool2d)) {
    const options = { ...layer.options, padding: 0, ceil: false };
    return { geometry, padding: LOWEST, run: (x) => maxPool2d(x, options) };
  }
  if (layer instanceof AvgPool2d && isPlain(AvgPool2d)) {
    const { ceil = false, countIncludePad = true } = layer.options;
    // At the edge its divisor would depend on the place.
    if (ceil || (!countIncludePad && geometry.padding.some((amount) => amount > 0))) return null;
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

const POINTWISE = [ReLU, LeakyReLU, Sigmoid, Tanh, Dropout, BatchNorm2d];

/** Whether each output of a layer depends, in evaluation, on the activations at its own place alone. */
export const isPointwise = (layer: Module): boolean =>
  POINTWISE.some((kind) => layer.forward === kind.prototype.forward) ||
  (layer.forward === LocalResponseNorm.prototype.forward && layer.reach() === 'point');

function withoutRim(x: Tensor, before: number, after: number): Tensor {
  const [n, c, h, w] = x.shape;
  return x.slice([0, 0, before, before], [n, c, h - after, w - after]);
}

/** How far a window of the layer reaches along an axis. */
const reachOf = ({ kernel, dilation }: WindowGeometry, axis: 0 | 1): number => dilation[axis] * (kernel[axis] - 1) + 1;

/** A map [N, C, H, W] within all the padding that a layer's outputs, [height, width] of them, see. */
export function padded(x: Tensor, { geometry, padding }: WindowLayer, outputs: readonly [number, number]): Tensor {
  const amounts = ([0, 1] as const).map((axis): [number, number] => {
    const before = geometry.padding[axis];
    const needed = (outputs[axis] - 1) * geometry.stride[axis] + reachOf(geometry, axis);
    return [before, Math.max(0, needed - before - x.shape[2 + axis])];
  });
  return amounts.flat().every((amount) => amount === 0) ? x.detach() : pad(x, [[0, 0], [0, 0], ...amounts], padding);
}

/** The outputs, of [height, width] in all, that see anything of a window of the input; at least one. */
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

/** The window of the padded input that a window of outputs sees. */
export function seenInputs([y0, x0, y1, x1]: Patch, geometry: WindowGeometry): Patch {
  const [down, across] = geometry.stride;
  return [y0 * down, x0 * across, (y1 - 1) * down + reachOf(geometry, 0), (x1 - 1) * across + reachOf(geometry, 1)];
}

/** A window of one image of a batch. */
export interface Block {
  /** [N, C, H, W] */
  of: Tensor;
  image: number;
  /** Top left of the window. */
  at: readonly [number, number];
}

/** Copies a window of [height, width], all channels of it, from one batch into another. */
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
