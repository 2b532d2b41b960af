/** Reads the window attributes (kernel, strides, dilations, pads) of Conv, ConvTranspose and pooling, in one or two dimensions. */

import type { ReceptiveWindow, WindowGeometry } from '../../../nn/index.js';
import { type Padding, reshape, ShapeError, type Tensor } from '../../../tensor/index.js';
import type { Attributes } from '../decoding/attributes.js';
import type { Call } from '../operator.js';

type Pair = readonly [number, number];
export type Sides = readonly [number, number, number, number];

export const AUTO_PADS = ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'] as const;
export type AutoPad = (typeof AUTO_PADS)[number];

/** Converts a list with one element per spatial axis to [vertical, horizontal]; a single spatial axis is the width. */
export function pairOf(list: readonly number[] | undefined, fallback: number, dims: number): Pair {
  const given = list ?? new Array<number>(dims).fill(fallback);
  if (given.length !== dims) throw new ShapeError(`window attribute [${given}] has ${given.length} numbers, expected ${dims}`);
  return dims === 1 ? [fallback, given[0]] : [given[0], given[1]];
}

/** Converts the attribute `pads`, [begin…, end…], to [top, left, bottom, right]. */
export function padsOf(list: readonly number[] | undefined, dims: number): Sides {
  const given = list ?? new Array<number>(2 * dims).fill(0);
  if (given.length !== 2 * dims) throw new ShapeError(`pads [${given}] has ${given.length} numbers, expected ${2 * dims}`);
  return dims === 1 ? [0, given[0], 0, given[1]] : [given[0], given[1], given[2], given[3]];
}

/** Divides the total padding between both sides. An odd element goes to the end for SAME_UPPER, otherwise to the start. */
export function splitPads(total: Pair, mode: AutoPad): Sides {
  const less = total.map((amount) => Math.floor(amount / 2)) as unknown as Pair;
  const more = total.map((amount, i) => amount - less[i]) as unknown as Pair;
  return mode === 'SAME_UPPER' ? [...less, ...more] : [...more, ...less];
}

/** Returns the SAME padding, which gives ⌈size / stride⌉ windows. */
export function samePads(size: Pair, kernel: Pair, stride: Pair, dilation: Pair, mode: AutoPad): Sides {
  const total = (i: 0 | 1) => Math.max(0, (Math.ceil(size[i] / stride[i]) - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - size[i]);
  return splitPads([total(0), total(1)], mode);
}

export interface Window {
  kernelSize: Pair;
  stride: Pair;
  dilation: Pair;
  padding: Padding;
}

/**
 * Reads the window of a node.
 *
 * @param x shape of the input as [N, C, H, W]
 */
export function windowOf(attributes: Attributes, x: readonly number[], kernel: Pair, dims: number): Window {
  const stride = pairOf(attributes.ints('strides'), 1, dims);
  const dilation = pairOf(attributes.ints('dilations'), 1, dims);
  const mode = attributes.word('auto_pad', AUTO_PADS, 'NOTSET');
  const padding: Sides =
    mode === 'NOTSET'
      ? padsOf(attributes.ints('pads'), dims)
      : mode === 'VALID'
        ? [0, 0, 0, 0]
        : samePads([x[2], x[3]], kernel, stride, dilation, mode);
  return { kernelSize: kernel, stride, dilation, padding };
}

/** Returns the number of spatial axes. Throws unless it is 1 or 2. */
export function spatialDims(call: Call, rank: number): 1 | 2 {
  if (rank === 3 || rank === 4) return (rank - 2) as 1 | 2;
  throw call.unsupported(`its input has ${rank} axes, ${Math.max(0, rank - 2)} of them spatial; supported are one and two spatial axes`);
}

/** Reshapes [N, C, W] to [N, C, 1, W]; returns [N, C, H, W] unchanged. */
export const toPlanes = (x: Tensor): Tensor => (x.rank === 3 ? reshape(x, [x.shape[0], x.shape[1], 1, x.shape[2]]) : x);

/** Undoes `toPlanes` after an operation: reshapes [N, C, 1, W] to [N, C, W] if `dims` is 1. */
export const fromPlanes = (y: Tensor, dims: number): Tensor => (dims === 1 ? reshape(y, [y.shape[0], y.shape[1], y.shape[3]]) : y);

/**
 * Returns the receptive window of a node. SAME padding, which depends on the input size, is computed for sizes that are multiples of the
 * stride.
 */
export function receptiveWindowOf(attributes: Attributes, kernel: readonly number[] | undefined): ReceptiveWindow {
  if (kernel?.length !== 2) return 'global';
  const size = kernel as unknown as Pair;
  const stride = pairOf(attributes.ints('strides'), 1, 2);
  const dilation = pairOf(attributes.ints('dilations'), 1, 2);
  const mode = attributes.word('auto_pad', AUTO_PADS, 'NOTSET');
  const pads =
    mode === 'NOTSET'
      ? padsOf(attributes.ints('pads'), 2)
      : mode === 'VALID'
        ? [0, 0, 0, 0]
        : samePads(stride, size, stride, dilation, mode);
  return { kernel: size, stride, padding: [pads[0], pads[1]], dilation } satisfies WindowGeometry;
}
