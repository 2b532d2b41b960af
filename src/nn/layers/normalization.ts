/** Local response, batch, group and layer normalisation as layers. */
import { arrayOf, boolean, checkArgument, checkOptions, either, finite, integer } from '../../backend/validate.js';
import {
  batchNorm2d,
  groupNorm,
  type LrnOptions,
  layerNorm,
  localResponseNorm,
  ones,
  type Shape,
  ShapeError,
  scope,
  type Tensor,
  ValueError,
  zeros,
} from '../../tensor/index.js';
import { LRN_RULES, lrnBefore } from '../../tensor/ops/local_response_norm.js';
import { checkShape, sameShape } from '../../tensor/shape.js';
import { checkFloat } from '../../tensor/tensor.js';
import { Module, Pointwise, parameter, type ReceptiveWindow } from '../module.js';

/**
 * Local response (contrast) normalisation, see `localResponseNorm`. alpha is divided by the window size. PyTorch `LocalResponseNorm`
 * centres a window of even size differently; the option `window: 'pytorch'` reproduces that.
 *
 * @example const contrast = new LocalResponseNorm({ size: 5, alpha: 1e-4, beta: 0.75, k: 2 });
 */
export class LocalResponseNorm extends Pointwise {
  constructor(
    /** Size of the window over channels, alpha, beta and k, with the defaults of `localResponseNorm`. */
    readonly options: LrnOptions = {},
  ) {
    super();
    checkOptions('LocalResponseNorm', options, LRN_RULES);
  }

  forward(x: Tensor): Tensor {
    return localResponseNorm(x, this.options);
  }

  override receptiveWindow(): ReceptiveWindow {
    if (this.options.region !== 'within') return 'point';
    const size = this.options.size ?? 5;
    const before = lrnBefore(this.options);
    return { kernel: [size, size], stride: [1, 1], padding: [before, before], dilation: [1, 1] };
  }
}

/**
 * Batch normalisation with weight, bias, running_mean and running_var, one value per channel. PyTorch `BatchNorm2d`. Training
 * normalises by the statistics of the batch and updates the running statistics with `momentum` (default 0.1); it needs more than one
 * value per channel, as in PyTorch. Evaluation uses the running statistics, which makes the layer an affine map: its gradient is used
 * under all projection rules. `epsilon` defaults to 1e-5.
 *
 * @example const norm = new BatchNorm2d(16, { momentum: 0.05 });
 * @throws ShapeError in `forward`, for another number of channels, or for one value per channel in training
 */
export class BatchNorm2d extends Pointwise {
  /** Scale per channel, [channels]; initially 1. */
  weight: Tensor;
  /** Shift per channel, [channels]; initially 0. */
  bias: Tensor;
  /** Mean per channel, [channels], that evaluation subtracts; initially 0. It is a buffer: no optimiser changes it. */
  running_mean: Tensor;
  /** Unbiased variance per channel, [channels], that evaluation divides by; initially 1. It is a buffer, as `running_mean`. */
  running_var: Tensor;

  constructor(
    /** Number of channels of the input, C of [N, C, H, W]. */
    readonly channels: number,
    /** `epsilon` (default 1e-5) and `momentum` (default 0.1), the weight of the newest batch in the running statistics. */
    readonly options: { epsilon?: number; momentum?: number } = {},
  ) {
    super();
    checkArgument('BatchNorm2d', 'channels', channels, integer(0, 2 ** 31 - 1));
    checkOptions('BatchNorm2d', options, { epsilon: finite(0), momentum: finite(0, 1) });
    // If memory runs out, the scope frees the tensors that were made so far.
    const [weight, bias, average, variance] = scope(() => [ones, zeros, zeros, ones].map((make) => make([channels])));
    this.weight = parameter(weight);
    this.bias = parameter(bias);
    this.running_mean = average.keep();
    this.running_var = variance.keep();
  }

  /** @internal The `forward` that runs a following ReLU in its own kernel: see `Sequential`. */
  get fusedForward(): unknown {
    return BatchNorm2d.prototype.forward;
  }

  /** Value added to the variance before the square root. */
  get epsilon(): number {
    return this.options.epsilon ?? 1e-5;
  }

  /** @param x [N, channels, H, W] @param options.relu applies ReLU in the same kernel. Default false */
  forward(x: Tensor, options: { relu?: boolean } = {}): Tensor {
    checkFloat('batchNorm2d', x);
    this.outputShape(x.shape);
    const { training, epsilon } = this;
    const { momentum } = this.options;
    const settings = { epsilon, momentum, training, ...options };
    return batchNorm2d(x, this.weight, this.bias, this.running_mean, this.running_var, settings);
  }

  override outputShape(input: Shape): Shape {
    checkShape('batchNorm2d', input);
    if (input.length !== 4 || input[1] !== this.channels)
      throw new ShapeError(`batchNorm2d: input has shape [${input}], expected [N, ${this.channels}, H, W]`);
    return input;
  }
}

/** Parameters of a normalisation, as PyTorch starts them: weights of 1 and biases of 0, or null where there are none. */
function affineParameters(shape: Shape, affine: boolean): [weight: Tensor | null, bias: Tensor | null] {
  if (!affine) return [null, null];
  const [weight, bias] = scope(() => [ones(shape), zeros(shape)]);
  return [parameter(weight), parameter(bias)];
}

/**
 * Group normalisation with weight and bias, one value per channel; see `groupNorm`. PyTorch `GroupNorm`. It computes the same in training
 * and in evaluation, for each image independently of the others.
 *
 * @example const norm = new GroupNorm(4, 16);
 * @throws ValueError unless the channels divide into the groups; ShapeError in `forward`, for another number of channels
 */
export class GroupNorm extends Module {
  /** Scale per channel, [channels], initially 1; null with `affine: false`. */
  weight: Tensor | null;
  /** Shift per channel, [channels], initially 0; null with `affine: false`. */
  bias: Tensor | null;

  /** @param options.affine whether there are weight and bias. Default true. `epsilon` defaults to 1e-5 */
  constructor(
    /** Number of groups that the channels are divided into; it divides `channels`. */
    readonly groups: number,
    /** Number of channels of the input, C of [N, C, H, W]. */
    readonly channels: number,
    /** `epsilon` (default 1e-5) and `affine` (default true), which gives the layer a weight and a bias. */
    readonly options: { epsilon?: number; affine?: boolean } = {},
  ) {
    super();
    checkArgument('GroupNorm', 'groups', groups, integer(1));
    checkArgument('GroupNorm', 'channels', channels, integer(1, 2 ** 31 - 1));
    checkOptions('GroupNorm', options, { epsilon: finite(0), affine: boolean });
    if (channels % groups !== 0)
      throw new ValueError(`GroupNorm: channels is ${channels}, expected a multiple of ${groups}, the number of groups`);
    [this.weight, this.bias] = affineParameters([channels], options.affine ?? true);
  }

  /** @param x [N, channels, …] */
  forward(x: Tensor): Tensor {
    checkFloat('groupNorm', x);
    this.outputShape(x.shape);
    return groupNorm(x, this.groups, this.weight, this.bias, { epsilon: this.options.epsilon });
  }

  override outputShape(input: Shape): Shape {
    checkShape('groupNorm', input);
    if (input.length < 2 || input[1] !== this.channels)
      throw new ShapeError(`groupNorm: input has shape [${input}], expected [N, ${this.channels}, …]`);
    return input;
  }

  /** The statistics depend on all positions. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }
}

/**
 * Layer normalisation with weight and bias of the normalised shape; see `layerNorm`. PyTorch `LayerNorm`.
 *
 * @example const norm = new LayerNorm(64);
 * @throws ShapeError in `forward`, for an input that does not end in the normalised shape
 */
export class LayerNorm extends Module {
  /** Sizes of the last axes, over which mean and variance are computed. */
  readonly normalizedShape: readonly number[];
  /** Scale of the shape `normalizedShape`, initially 1; null with `elementwiseAffine: false`. */
  weight: Tensor | null;
  /** Shift of the shape `normalizedShape`, initially 0; null with `elementwiseAffine: false`. */
  bias: Tensor | null;

  /**
   * @param normalizedShape the last extents of the input, as one number or an array
   * @param options.elementwiseAffine whether there are weight and bias. Default true. `epsilon` defaults to 1e-5
   */
  constructor(
    normalizedShape: number | readonly number[],
    /** `epsilon` (default 1e-5) and `elementwiseAffine` (default true), which gives the layer a weight and a bias. */
    readonly options: { epsilon?: number; elementwiseAffine?: boolean } = {},
  ) {
    super();
    checkArgument('LayerNorm', 'normalizedShape', normalizedShape, either(integer(1), arrayOf(integer(1), 1)));
    checkOptions('LayerNorm', options, { epsilon: finite(0), elementwiseAffine: boolean });
    this.normalizedShape = typeof normalizedShape === 'number' ? [normalizedShape] : Array.from(normalizedShape);
    [this.weight, this.bias] = affineParameters(this.normalizedShape, options.elementwiseAffine ?? true);
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.normalizedShape, this.weight, this.bias, { epsilon: this.options.epsilon });
  }

  override outputShape(input: Shape): Shape {
    checkShape('layerNorm', input);
    const { normalizedShape: shape } = this;
    if (input.length < shape.length || !sameShape(input.slice(-shape.length), shape))
      throw new ShapeError(`layerNorm: input has shape [${input}], expected it to end in [${shape}]`);
    return input;
  }

  /** The statistics depend on all normalised positions. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }
}
