/** Normalisations as layers: contrast, and batch statistics. */
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
  square,
  sub,
  type Tensor,
  zeros,
} from '../../tensor/index.js';
import { Module, parameter, type Reach } from '../module.js';

/** See `localResponseNorm` for the convention: alpha is divided by the window's size. */
export class LocalResponseNorm extends Module {
  constructor(readonly options: LrnOptions = {}) {
    super();
  }

  forward(x: Tensor): Tensor {
    return localResponseNorm(x, this.options);
  }

  override reach(): Reach {
    if (this.options.region !== 'within') return 'point';
    const size = this.options.size ?? 5;
    const before = Math.floor((size - 1) / 2);
    return { kernel: [size, size], stride: [1, 1], padding: [before, before], dilation: [1, 1] };
  }
}

/**
 * PyTorch `BatchNorm2d`: weight, bias, running_mean and running_var, a number a channel. Evaluation takes the running statistics: an
 * affine map, whose gradient carries signals down under every rule. Training takes the batch's own and moves the running
 * ones along by `momentum`.
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
    this.weight = parameter(ones([channels]));
    this.bias = parameter(zeros([channels]));
    this.running_mean = zeros([channels]).keep();
    this.running_var = ones([channels]).keep();
  }

  get epsilon(): number {
    return this.options.epsilon ?? 1e-5;
  }

  /** @param x [N, channels, H, W] */
  forward(x: Tensor): Tensor {
    this.outputShape(x.shape);
    if (!this.training) return batchNorm2d(x, this.weight, this.bias, this.running_mean, this.running_var, this.epsilon);
    const average = mean(x, { axes: [0, 2, 3] });
    const variance = mean(square(sub(x, mean(x, { axes: [0, 2, 3], keepDims: true }))), { axes: [0, 2, 3] });
    const count = x.size / this.channels;
    this.follow(this.running_mean, average, 1);
    // The running variance is the unbiased one, as in PyTorch.
    this.follow(this.running_var, variance, count / Math.max(1, count - 1));
    return batchNorm2d(x, this.weight, this.bias, average, variance, this.epsilon);
  }

  override outputShape(input: Shape): Shape {
    if (input.length !== 4 || input[1] !== this.channels)
      throw new ShapeError(`batchNorm2d: input has shape [${input}], expected [N, ${this.channels}, H, W]`);
    return input;
  }

  /** running = (1 − momentum) · running + momentum · scale · now, in place. */
  private follow(running: Tensor, now: Tensor, scale: number): void {
    const momentum = this.options.momentum ?? 0.1;
    const next = noGrad(() => add(mul(running, 1 - momentum), mul(now, momentum * scale)));
    running.backend.affine(running.writable, next.storage, 1, 0);
    next.dispose();
  }
}
