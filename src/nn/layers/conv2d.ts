/** Convolution as a layer, and its transpose. */
import {
  type ConvOptions,
  type ConvTranspose2dOptions,
  conv2d,
  convParams,
  convTranspose2d,
  convTransposeParams,
  type Pair,
  type Shape,
  type Tensor,
  zeros,
} from '../../tensor/index.js';
import { pytorchDefault } from '../init.js';
import { Module, parameter, type Reach, type WindowGeometry } from '../module.js';

const pair = (value: Pair): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

/** PyTorch `Conv2d`: weight [out, in / groups, KH, KW], bias [out]. Initialised as PyTorch does; see `initialize` for others. */
export class Conv2d extends Module {
  weight: Tensor;
  bias: Tensor | null;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    readonly options: ConvOptions & { bias?: boolean } = {},
  ) {
    super();
    const shape = [outChannels, inChannels / (options.groups ?? 1), ...pair(kernel)];
    this.weight = pytorchDefault(shape);
    this.bias = options.bias === false ? null : parameter(zeros([outChannels]));
  }

  /** @param x [N, inChannels, H, W] */
  forward(x: Tensor, options: { relu?: boolean } = {}): Tensor {
    return conv2d(x, this.weight, this.bias, { ...this.options, ...options });
  }

  override outputShape(input: Shape): Shape {
    const p = convParams('conv2d', input, this.weight.shape, this.options);
    return [p.n, p.o, p.oh, p.ow];
  }

  override reach(): WindowGeometry {
    const padding = this.options.padding ?? 0;
    return {
      kernel: [this.weight.shape[2], this.weight.shape[3]],
      stride: pair(this.options.stride ?? 1),
      padding: typeof padding === 'number' ? [padding, padding] : [padding[0], padding[1]],
      dilation: pair(this.options.dilation ?? 1),
    };
  }

  override multiplyAdds(input: Shape): number {
    const [n, , oh, ow] = this.outputShape(input);
    return n * oh * ow * this.weight.size;
  }
}

/** PyTorch `ConvTranspose2d`: weight [in, out / groups, KH, KW], bias [out]. */
export class ConvTranspose2d extends Module {
  weight: Tensor;
  bias: Tensor | null;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    readonly options: ConvTranspose2dOptions & { bias?: boolean } = {},
  ) {
    super();
    this.weight = pytorchDefault([inChannels, outChannels / (options.groups ?? 1), ...pair(kernel)]);
    this.bias = options.bias === false ? null : parameter(zeros([outChannels]));
  }

  /** @param x [N, inChannels, H, W] */
  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias, this.options);
  }

  override outputShape(input: Shape): Shape {
    const p = convTransposeParams('convTranspose2d', input, this.weight.shape, this.options);
    return [p.n, p.c, p.h, p.w];
  }

  /** An output sees a patch whose size changes from place to place; taken for everything. */
  override reach(): Reach {
    return 'global';
  }

  override multiplyAdds(input: Shape): number {
    return input[0] * input[2] * input[3] * this.weight.size;
  }
}
