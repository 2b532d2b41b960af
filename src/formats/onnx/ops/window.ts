/** Window attributes that Conv, ConvTranspose and the pools have in common, in one or two dimensions. */

import type { Reach, WindowGeometry } from '../../../nn/index.js';
import { type Padding, reshape, ShapeError, type Tensor } from '../../../tensor/index.js';
import type { Attributes } from '../decoding/attributes.js';
import type { Call } from '../operator.js';

type Pair = readonly [number, number];
export type Sides = readonly [number, number, number, number];

export const AUTO_PADS = ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'] as const;
export type AutoPad = (typeof AUTO_PADS)[number];

/** An axis list of one or two numbers as [vertical, horizontal]; a signal of one dimension lies along the width. */
export function pairOf(list: readonly number[] | undefined, fallback: number, dims: number): Pair {
  const given = list ?? new Array<number>(dims).fill(fallback);
  if (given.length !== dims) throw new ShapeError(`window attribute [${given}] has ${given.length} numbers, expected ${dims}`);
  return dims === 1 ? [fallback, given[0]] : [given[0], given[1]];
}

/** `pads` is [begin…, end…]. */
export function padsOf(list: readonly number[] | undefined, dims: number): Sides {
  const given = list ?? new Array<number>(2 * dims).fill(0);
  if (given.length !== 2 * dims) throw new ShapeError(`pads [${given}] has ${given.length} numbers, expected ${2 * dims}`);
  return dims === 1 ? [0, given[0], 0, given[1]] : [given[0], given[1], given[2], given[3]];
}

/** Splits what has to be added so that one side, the end for SAME_UPPER, gets the odd one. */
export function splitPads(total: Pair, mode: AutoPad): Sides {
  const less = total.map((amount) => Math.floor(amount / 2)) as unknown as Pair;
  const more = total.map((amount, i) => amount - less[i]) as unknown as Pair;
  return mode === 'SAME_UPPER' ? [...less, ...more] : [...more, ...less];
}

/** Padding that makes ⌈size / stride⌉ windows. */
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

/** @param x shape of the input as [N, C, H, W] */
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

/** How many spatial dimensions; one or two are supported. */
export function spatialDims(call: Call, rank: number): 1 | 2 {
  if (rank === 3 || rank === 4) return (rank - 2) as 1 | 2;
  throw call.unsupported(`its input has ${rank} axes, ${Math.max(0, rank - 2)} of them spatial; supported are one and two spatial axes`);
}

/** [N, C, W] as [N, C, 1, W]; [N, C, H, W] as it is. */
export const toPlanes = (x: Tensor): Tensor => (x.rank === 3 ? reshape(x, [x.shape[0], x.shape[1], 1, x.shape[2]]) : x);

/** Back to one spatial axis where there was one. */
export const fromPlanes = (y: Tensor, dims: number): Tensor => (dims === 1 ? reshape(y, [y.shape[0], y.shape[1], y.shape[3]]) : y);

/**
 * The window for receptive fields. Where SAME padding depends on the input's size, it is that of sizes that the stride
 * divides.
 */
export function reachOf(attributes: Attributes, kernel: readonly number[] | undefined): Reach {
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
