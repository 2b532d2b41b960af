/** Layers of LeNet-5 (LeCun et al. 1998) that later networks do not have. */
import { philox } from '../../backend/philox.js';
import { arrayOf, checkArgument, finite, integer } from '../../backend/validate.js';
import {
  add,
  avgPool2d,
  concat,
  conv2d,
  convParams,
  indexSelect,
  mul,
  neg,
  reshape,
  type Shape,
  ShapeError,
  scope,
  square,
  sub,
  sum,
  type Tensor,
  tanh,
  tensor,
  uniform,
  zeros,
} from '../../tensor/index.js';
import { Module, Pointwise, parameter, type ReceptiveWindow } from '../module.js';

/** The two constants of `ScaledTanh`: amplitude · tanh(slope · x). */
export const SCALED_TANH = { amplitude: 1.7159, slope: 2 / 3 } as const;

/**
 * 1.7159 · tanh(2/3 · x), the activation function of LeNet-5: f(1) is 1, and its second derivative is largest there.
 *
 * @example new ScaledTanh().forward(tensor([1, -1]));   // about [1, −1]
 */
export class ScaledTanh extends Pointwise {
  forward(x: Tensor): Tensor {
    return scope(() => mul(tanh(mul(x, SCALED_TANH.slope)), SCALED_TANH.amplitude));
  }
}

/**
 * Convolution whose output maps each see only some of the input maps, as layer C3 of LeNet-5. It has one kernel per connection:
 * `weight` is [connections, 1, KH, KW] in the order of the table, `bias` is [outputs].
 *
 * @example new PartialConv2d(3, [[0, 1], [1, 2], [0, 1, 2]], 5);   // three output maps, seven kernels of 5×5
 */
export class PartialConv2d extends Module {
  /** Kernels of the connections, [connections, 1, kernelSize, kernelSize]. */
  weight: Tensor;
  /** Biases, [outputs]. */
  bias: Tensor;
  /** For each place of the full weight [outputs, inputs], the index of its kernel; `connections` where there is none. */
  private readonly places: readonly number[];

  /**
   * @param table the input maps of each output map
   * @param kernelSize height and width of the kernels
   */
  constructor(
    /** Number of input maps. */
    readonly inChannels: number,
    /** The input maps of each output map. */
    readonly table: readonly (readonly number[])[],
    /** Height and width of the kernels. */
    readonly kernelSize: number,
  ) {
    super();
    checkArgument('PartialConv2d', 'inChannels', inChannels, integer(1));
    checkArgument('PartialConv2d', 'table', table, arrayOf(arrayOf(integer(0, inChannels - 1), 1), 1));
    checkArgument('PartialConv2d', 'kernelSize', kernelSize, integer(1));
    const connections = table.reduce((count, inputs) => count + inputs.length, 0);
    let next = 0;
    this.places = table.flatMap((inputs) => {
      const row = new Array<number>(inChannels).fill(connections);
      for (const input of inputs) row[input] = next++;
      return row;
    });
    const bound = 1 / Math.sqrt(this.fanIn);
    const made = scope(() => ({
      weight: uniform([connections, 1, kernelSize, kernelSize], { low: -bound, high: bound }),
      bias: zeros([table.length]),
    }));
    this.weight = parameter(made.weight);
    this.bias = parameter(made.bias);
  }

  /** Mean number of inputs of an output: input maps times pixels of the kernel. */
  get fanIn(): number {
    return (this.table.reduce((count, inputs) => count + inputs.length, 0) / this.table.length) * this.kernelSize ** 2;
  }

  /** Index of the kernel for each pair of an output map and an input map, row by row; the number of kernels where there is none. */
  get kernelIndices(): readonly number[] {
    return this.places;
  }

  /** @param x [N, inChannels, H, W] */
  forward(x: Tensor): Tensor {
    return scope(() => conv2d(x, this.fullWeight(), this.bias));
  }

  /** The weight [outputs, inputs, KH, KW], with zeros where there is no connection. */
  private fullWeight(): Tensor {
    const { kernelSize: k, weight } = this;
    const none = zeros([1, 1, k, k], { backend: weight.backend, dtype: weight.dtype as 'float32' });
    const kernels = indexSelect(concat([weight, none], 0), this.places, { axis: 0 });
    return reshape(kernels, [this.table.length, this.inChannels, k, k]);
  }

  override outputShape(input: Shape): Shape {
    const p = convParams('conv2d', input, [this.table.length, this.inChannels, this.kernelSize, this.kernelSize], {});
    return [p.n, p.o, p.oh, p.ow];
  }

  override receptiveWindow(): ReceptiveWindow {
    const kernel = [this.kernelSize, this.kernelSize] as const;
    return { kernel, stride: [1, 1], padding: [0, 0], dilation: [1, 1] };
  }

  /** Multiply-adds of the connections that exist. */
  override multiplyAdds(input: Shape): number {
    const [n, , oh, ow] = this.outputShape(input);
    return n * oh * ow * this.weight.size;
  }
}

/**
 * Trainable subsampling, as layers S2 and S4 of LeNet-5: the sum of each 2×2 window, times a coefficient, plus a bias, both one value per
 * channel. The coefficients begin at ¼, which makes it average pooling; `initialize` keeps them.
 *
 * @example new Subsampling2d(6).forward(randn([1, 6, 28, 28]));   // [1, 6, 14, 14]
 */
export class Subsampling2d extends Module {
  /** Coefficients, [channels]. */
  weight: Tensor;
  /** Biases, [channels]. */
  bias: Tensor;

  /** @param channels channels of input and output */
  constructor(
    /** Channels of input and output. */
    readonly channels: number,
  ) {
    super();
    checkArgument('Subsampling2d', 'channels', channels, integer(1));
    const made = scope(() => ({ weight: add(zeros([channels]), 0.25), bias: zeros([channels]) }));
    this.weight = parameter(made.weight.detach());
    this.bias = parameter(made.bias);
  }

  /** @param x [N, channels, H, W] */
  forward(x: Tensor): Tensor {
    this.outputShape(x.shape);
    const [weight, bias] = [this.weight, this.bias].map((values) => reshape(values, [this.channels, 1, 1]));
    return scope(() => add(mul(mul(avgPool2d(x, { kernelSize: 2 }), 4), weight), bias));
  }

  override outputShape(input: Shape): Shape {
    if (input.length !== 4 || input[1] !== this.channels || input[2] < 2 || input[3] < 2)
      throw new ShapeError(`Subsampling2d: input has shape [${input}], expected [N, ${this.channels}, H, W] of at least 2×2`);
    return [input[0], input[1], input[2] >> 1, input[3] >> 1];
  }

  override receptiveWindow(): ReceptiveWindow {
    return { kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1] };
  }
}

/**
 * Output layer of LeNet-5: one radial basis function per class, −Σ (x − code)², for fixed codes [classes, features] of ±1. The best class
 * has the largest value, so the outputs serve as logits; the paper has the opposite sign. The codes are not trained: `weight` is a buffer.
 *
 * @example new RadialBasis([[1, -1], [-1, 1]]).forward(tensor([1, -1], [1, 2]));   // [[−0, −8]]
 */
export class RadialBasis extends Module {
  /** The codes, [classes, features]. */
  weight: Tensor;

  /** @param codes the code of each class, of equal lengths */
  constructor(codes: readonly (readonly number[])[]) {
    super();
    checkArgument('RadialBasis', 'codes', codes, arrayOf(arrayOf(finite(), 1), 1));
    const { length } = codes[0];
    checkArgument('RadialBasis', 'codes', codes, arrayOf(arrayOf(finite(), length, length), 1));
    this.weight = tensor(Float32Array.from(codes.flat()), [codes.length, length]).keep();
  }

  /** @param x [N, features] */
  forward(x: Tensor): Tensor {
    const [batch] = this.outputShape(x.shape);
    return scope(() => neg(sum(square(sub(reshape(x, [batch, 1, this.weight.shape[1]]), this.weight)), { axes: [2] })));
  }

  override outputShape(input: Shape): Shape {
    const [classes, features] = this.weight.shape;
    if (input.length !== 2 || input[1] !== features)
      throw new ShapeError(`RadialBasis: input has shape [${input}], expected [N, ${features}]`);
    return [input[0], classes];
  }

  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }
}

/** Codes of ±1 for classes without a drawn character; the same for every call. */
export function randomCodes(classes: number, length: number): number[][] {
  checkArgument('randomCodes', 'classes', classes, integer(1));
  checkArgument('randomCodes', 'length', length, integer(1));
  const words = new Uint32Array(4);
  const codeOf = (index: number) => {
    philox(CODE_SEED, index, words);
    return words[0] & 1 ? 1 : -1;
  };
  return Array.from({ length: classes }, (_, i) => Array.from({ length }, (_, j) => codeOf(i * length + j)));
}

const CODE_SEED = 1998;
