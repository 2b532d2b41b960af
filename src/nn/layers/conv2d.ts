/** Convolution and transposed convolution as layers. */

import { CONV_RULES, pair, pairOf } from '../../backend/params.js';
import { boolean, checkArgument, checkOptions, integer } from '../../backend/validate.js';
import {
  type ConvOptions,
  type ConvTranspose2dOptions,
  conv2d,
  convParams,
  convTranspose2d,
  convTransposeParams,
  type Pair,
  type Shape,
  ShapeError,
  type Tensor,
} from '../../tensor/index.js';
import { weightAndBias } from '../init.js';
import { Module, type ReceptiveWindow, type WindowGeometry } from '../module.js';

const CONV2D_RULES = { ...CONV_RULES, bias: boolean };
const CONV_TRANSPOSE2D_RULES = { ...CONV2D_RULES, outputPadding: pairOf(0) };

/** @throws ValueError, ShapeError for channel counts that are not whole numbers or not divisible by the groups */
function checkChannels(op: string, inChannels: number, outChannels: number, groups = 1): void {
  checkArgument(op, 'inChannels', inChannels, integer(0, 2 ** 31 - 1));
  checkArgument(op, 'outChannels', outChannels, integer(0, 2 ** 31 - 1));
  if (inChannels % groups !== 0 || outChannels % groups !== 0)
    throw new ShapeError(`${op}: ${inChannels} and ${outChannels} channels cannot be split into ${groups} groups`);
}

/** The options of the operation, without those that only the layer has. */
const forOperation = <T extends { bias?: boolean }>({ bias: _, ...rest }: T): Omit<T, 'bias'> => rest;

/**
 * Convolution with weight [out, in / groups, KH, KW] and bias [out]. PyTorch `Conv2d`. Initial weights are uniform within
 * ±1 / √(in / groups · KH · KW), as in PyTorch; initial biases are 0, whereas PyTorch samples them from the same range. See `initialize`
 * for other schemes.
 *
 * @example const conv = new Conv2d(3, 16, 5, { stride: 2, padding: 2 }); // [N, 3, 64, 64] to [N, 16, 32, 32]
 * @throws ValueError, ShapeError for arguments or options that are not a valid geometry
 */
export class Conv2d extends Module {
  /** Filters, [outChannels, inChannels / groups, KH, KW]. May be replaced by a tensor of the same shape. */
  weight: Tensor;
  /** [outChannels], added to every position; null with `bias: false`. */
  bias: Tensor | null;

  constructor(
    /** Number of channels of the input, C of [N, C, H, W]. */
    readonly inChannels: number,
    /** Number of filters, and so of the maps of the output. */
    readonly outChannels: number,
    kernel: Pair,
    /** Stride (default 1), padding (0), dilation (1) and groups (1), as `conv2d` takes them, and `bias` (true). */
    readonly options: ConvOptions & { bias?: boolean } = {},
  ) {
    super();
    checkOptions('Conv2d', options, CONV2D_RULES);
    checkChannels('Conv2d', inChannels, outChannels, options.groups);
    const shape = [outChannels, inChannels / (options.groups ?? 1), ...pair('Conv2d', 'kernel', kernel, 1)];
    ({ weight: this.weight, bias: this.bias } = weightAndBias(shape, outChannels, options.bias));
  }

  /** @param x [N, inChannels, H, W] */
  forward(x: Tensor, options: { relu?: boolean } = {}): Tensor {
    return conv2d(x, this.weight, this.bias, { ...forOperation(this.options), ...options });
  }

  override outputShape(input: Shape): Shape {
    const p = convParams('conv2d', input, this.weight.shape, this.options);
    return [p.n, p.o, p.oh, p.ow];
  }

  override receptiveWindow(): WindowGeometry {
    const padding = this.options.padding ?? 0;
    return {
      kernel: [this.weight.shape[2], this.weight.shape[3]],
      stride: pair('Conv2d', 'stride', this.options.stride, 1, 1),
      padding: typeof padding === 'number' ? [padding, padding] : [padding[0], padding[1]],
      dilation: pair('Conv2d', 'dilation', this.options.dilation, 1, 1),
    };
  }

  override multiplyAdds(input: Shape): number {
    const [n, , oh, ow] = this.outputShape(input);
    return n * oh * ow * this.weight.size;
  }
}

/**
 * Transposed convolution with weight [in, out / groups, KH, KW] and bias [out]. PyTorch `ConvTranspose2d`. Initial values as for
 * `Conv2d`.
 *
 * @example const up = new ConvTranspose2d(16, 8, 2, { stride: 2 }); // [N, 16, 32, 32] to [N, 8, 64, 64]
 * @throws ValueError, ShapeError for arguments or options that are not a valid geometry
 */
export class ConvTranspose2d extends Module {
  /** Filters, [inChannels, outChannels / groups, KH, KW]: the first two axes are the reverse of `Conv2d`'s. */
  weight: Tensor;
  /** [outChannels], added to every position; null with `bias: false`. */
  bias: Tensor | null;

  constructor(
    /** Number of channels of the input, C of [N, C, H, W]. */
    readonly inChannels: number,
    /** Number of maps of the output. */
    readonly outChannels: number,
    kernel: Pair,
    /** Options as `convTranspose2d` takes them, `outputPadding` included, and `bias` (default true). */
    readonly options: ConvTranspose2dOptions & { bias?: boolean } = {},
  ) {
    super();
    checkOptions('ConvTranspose2d', options, CONV_TRANSPOSE2D_RULES);
    checkChannels('ConvTranspose2d', inChannels, outChannels, options.groups);
    const shape = [inChannels, outChannels / (options.groups ?? 1), ...pair('ConvTranspose2d', 'kernel', kernel, 1)];
    ({ weight: this.weight, bias: this.bias } = weightAndBias(shape, outChannels, options.bias));
  }

  /** @param x [N, inChannels, H, W] */
  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias, forOperation(this.options));
  }

  override outputShape(input: Shape): Shape {
    const p = convTransposeParams('convTranspose2d', input, this.weight.shape, this.options);
    return [p.n, p.c, p.h, p.w];
  }

  /** The receptive field of an output depends on its position, so it is counted as the whole input. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }

  override multiplyAdds(input: Shape): number {
    this.outputShape(input);
    return input[0] * input[2] * input[3] * this.weight.size;
  }
}
