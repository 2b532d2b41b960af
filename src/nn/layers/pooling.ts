/** Pooling layers. */
import { AVG_POOL_RULES, currentPoolOptions, MAX_POOL_RULES, pair, pairOf } from '../../backend/params.js';
import { checkArgument, checkOptions, type Rules } from '../../backend/validate.js';
import {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  avgPool2d,
  type MaxPool2dOptions,
  maxPool2d,
  type Pair,
  type PoolOptions,
  poolParams,
  type Shape,
  ShapeError,
  type Tensor,
} from '../../tensor/index.js';
import { adaptiveSize } from '../../tensor/ops/adaptive_pool2d.js';
import { checkShape } from '../../tensor/shape.js';
import { Module, type ReceptiveWindow, type WindowGeometry } from '../module.js';

function windowOf(options: PoolOptions): WindowGeometry {
  const padding = options.padding ?? 0;
  return {
    kernel: pair('pooling', 'kernelSize', options.kernelSize, 1),
    stride: pair('pooling', 'stride', options.stride, 1, options.kernelSize),
    padding: typeof padding === 'number' ? [padding, padding] : [padding[0], padding[1]],
    dilation: pair('pooling', 'dilation', options.dilation, 1, 1),
  };
}

function pooledShape(op: string, input: Shape, options: PoolOptions): Shape {
  const p = poolParams(op, input, options);
  return [input[0], input[1], p.oh, p.ow];
}

function poolOptions(op: string, kernelSize: Pair, options: Omit<PoolOptions, 'kernelSize'>, rules: Rules): PoolOptions {
  checkOptions(op, options, rules);
  checkArgument(op, 'kernelSize', kernelSize, pairOf(1));
  return currentPoolOptions(op, { ...options, kernelSize });
}

/**
 * Max pooling. The stride defaults to the kernel size. PyTorch `MaxPool2d`.
 *
 * @example const pool = new MaxPool2d(3, { stride: 2 });
 */
export class MaxPool2d extends Module {
  /** Kernel size, stride, padding, dilation and rounding, as `maxPool2d` takes them. */
  readonly options: MaxPool2dOptions;

  constructor(kernelSize: Pair, options: Omit<MaxPool2dOptions, 'kernelSize'> = {}) {
    super();
    this.options = poolOptions('MaxPool2d', kernelSize, options, MAX_POOL_RULES);
  }

  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.options);
  }

  override outputShape(input: Shape): Shape {
    return pooledShape('maxPool2d', input, this.options);
  }

  override receptiveWindow(): WindowGeometry {
    return windowOf(this.options);
  }
}

/**
 * Average pooling. The stride defaults to the kernel size. PyTorch `AvgPool2d`.
 *
 * @example const pool = new AvgPool2d(2); // halves height and width
 */
export class AvgPool2d extends Module {
  /** Kernel size, stride, padding and rounding, with the defaults filled in as `avgPool2d` takes them. */
  readonly options: PoolOptions;

  constructor(kernelSize: Pair, options: Omit<PoolOptions, 'kernelSize'> = {}) {
    super();
    this.options = poolOptions('AvgPool2d', kernelSize, options, AVG_POOL_RULES);
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.options);
  }

  override outputShape(input: Shape): Shape {
    return pooledShape('avgPool2d', input, this.options);
  }

  override receptiveWindow(): WindowGeometry {
    return windowOf(this.options);
  }
}

/** What the two adaptive poolings share: an output size, whatever the input size. */
abstract class AdaptivePool2d extends Module {
  /** @param outputSize one number or [height, width] */
  constructor(readonly outputSize: Pair) {
    super();
    checkArgument(this.kind, 'outputSize', outputSize, pairOf(1));
  }

  override outputShape(input: Shape): Shape {
    const op = this.kind[0].toLowerCase() + this.kind.slice(1);
    checkShape(op, input);
    return [...input.slice(0, 2), ...adaptiveSize(op, input, this.outputSize)];
  }

  /** The windows depend on the input size, so the receptive field is counted as the whole input. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }

  /**
   * Options of the plain pooling that computes the same for an input [N, C, H, W].
   *
   * @throws ShapeError for an input size that is not a multiple of the output size, for which there is none
   */
  windowFor(input: Shape): PoolOptions {
    checkShape('windowFor', input);
    const size = pair('windowFor', 'outputSize', this.outputSize, 1);
    const [height, width] = input.slice(-2);
    if (input.length !== 4 || height % size[0] !== 0 || width % size[1] !== 0 || height * width === 0)
      throw new ShapeError(
        `${this.kind}: input has shape [${input}], expected [N, C, H, W] with H and W multiples of ${size[0]} and ${size[1]} for equal windows`,
      );
    return { kernelSize: [height / size[0], width / size[1]] };
  }
}

/**
 * Average pooling to a given output size, so that a classifier of fixed size accepts images of all sizes; see `adaptiveAvgPool2d`. PyTorch
 * `AdaptiveAvgPool2d`. `[1, 1]` computes the mean of each map.
 *
 * @example const pool = new AdaptiveAvgPool2d(1); // [N, C, H, W] to [N, C, 1, 1]
 */
export class AdaptiveAvgPool2d extends AdaptivePool2d {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}

/**
 * Max pooling to a given output size; see `adaptiveMaxPool2d`. PyTorch `AdaptiveMaxPool2d`.
 *
 * @example const pool = new AdaptiveMaxPool2d([2, 2]);
 */
export class AdaptiveMaxPool2d extends AdaptivePool2d {
  forward(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, this.outputSize);
  }
}
