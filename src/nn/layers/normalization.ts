/** Local response normalisation and batch normalisation as layers. */
import { checkArgument, checkOptions, finite, integer } from '../../backend/validate.js';
import {
  add,
  batchNorm2d,
  type LrnOptions,
  localResponseNorm,
  mean,
  mul,
  noGrad,
  ones,
  type Shape,
  ShapeError,
  scope,
  square,
  sub,
  type Tensor,
  zeros,
} from '../../tensor/index.js';
import { LRN_RULES, lrnBefore } from '../../tensor/ops/local_response_norm.js';
import { checkShape } from '../../tensor/shape.js';
import { checkFloat } from '../../tensor/tensor.js';
import { Module, parameter, type ReceptiveWindow } from '../module.js';

/**
 * Local response (contrast) normalisation, see `localResponseNorm`. alpha is divided by the window size. PyTorch `LocalResponseNorm`
 * centres a window of even size differently; the option `window: 'pytorch'` reproduces that.
 */
export class LocalResponseNorm extends Module {
  constructor(readonly options: LrnOptions = {}) {
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
 * @throws ShapeError in `forward`, for another number of channels, or for one value per channel in training
 */
export class BatchNorm2d extends Module {
  weight: Tensor;
  bias: Tensor;
  running_mean: Tensor;
  running_var: Tensor;

  constructor(
    readonly channels: number,
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

  get epsilon(): number {
    return this.options.epsilon ?? 1e-5;
  }

  /** @param x [N, channels, H, W] */
  forward(x: Tensor): Tensor {
    checkFloat('batchNorm2d', x);
    this.outputShape(x.shape);
    const count = x.size / Math.max(this.channels, 1);
    if (this.training && count < 2)
      throw new ShapeError(
        `batchNorm2d: input has shape [${x.shape}], expected more than one value per channel in training; use a larger batch, or eval()`,
      );
    if (!this.training) return batchNorm2d(x, this.weight, this.bias, this.running_mean, this.running_var, this.epsilon);
    const average = mean(x, { axes: [0, 2, 3] });
    const variance = mean(square(sub(x, mean(x, { axes: [0, 2, 3], keepDims: true }))), { axes: [0, 2, 3] });
    this.follow(this.running_mean, average, 1);
    // The running variance is unbiased (n − 1), as in PyTorch.
    this.follow(this.running_var, variance, count / Math.max(1, count - 1));
    return batchNorm2d(x, this.weight, this.bias, average, variance, this.epsilon);
  }

  override outputShape(input: Shape): Shape {
    checkShape('batchNorm2d', input);
    if (input.length !== 4 || input[1] !== this.channels)
      throw new ShapeError(`batchNorm2d: input has shape [${input}], expected [N, ${this.channels}, H, W]`);
    return input;
  }

  /** Updates a running statistic in place: running = (1 − momentum) · running + momentum · scale · now. */
  private follow(running: Tensor, now: Tensor, scale: number): void {
    const momentum = this.options.momentum ?? 0.1;
    const next = noGrad(() => add(mul(running, 1 - momentum), mul(now, momentum * scale)));
    running.backend.affine(running.writable, next.storage, 1, 0);
    next.dispose();
  }
}
