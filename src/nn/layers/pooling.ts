/** Pooling layers. */
import { AVG_POOL_RULES, currentPoolOptions, MAX_POOL_RULES, pair, pairOf } from '../../backend/params.js';
import { checkArgument, checkOptions, type Rules } from '../../backend/validate.js';
import {
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
import { checkShape } from '../../tensor/shape.js';
import { checkFloat } from '../../tensor/tensor.js';
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

/** Max pooling. The stride defaults to the kernel size. PyTorch `MaxPool2d`. */
export class MaxPool2d extends Module {
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

/** Average pooling. The stride defaults to the kernel size. PyTorch `AvgPool2d`. */
export class AvgPool2d extends Module {
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

/**
 * Average pooling to a given output size, so that a classifier of fixed size accepts images of several sizes. PyTorch
 * `AdaptiveAvgPool2d`, restricted to input sizes that are multiples of the output size. `[1, 1]` computes the mean of each map.
 *
 * @throws ShapeError in `forward` and `outputShape`, for other input sizes
 */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: Pair) {
    super();
    checkArgument('AdaptiveAvgPool2d', 'outputSize', outputSize, pairOf(1));
  }

  forward(x: Tensor): Tensor {
    checkFloat('adaptiveAvgPool2d', x);
    return avgPool2d(x, this.windowFor(x.shape));
  }

  override outputShape(input: Shape): Shape {
    return pooledShape('adaptiveAvgPool2d', input, this.windowFor(input));
  }

  /** The window depends on the input size, so the receptive field is counted as the whole input. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }

  /** Pooling options for an input [N, C, H, W]. */
  windowFor(input: Shape): PoolOptions {
    checkShape('adaptiveAvgPool2d', input);
    const size = pair('adaptiveAvgPool2d', 'outputSize', this.outputSize, 1);
    const [height, width] = input.slice(-2);
    if (input.length !== 4 || height % size[0] !== 0 || width % size[1] !== 0 || height * width === 0)
      throw new ShapeError(
        `adaptiveAvgPool2d: input has shape [${input}], expected [N, C, H, W] with H and W multiples of ${size[0]} and ${size[1]}; use another input size`,
      );
    return { kernelSize: [height / size[0], width / size[1]] };
  }
}
