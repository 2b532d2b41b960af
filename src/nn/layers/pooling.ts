/** Pooling layers. */
import {
  avgPool2d,
  type MaxPool2dOptions,
  maxPool2d,
  type Pair,
  type PoolOptions,
  poolParams,
  type Shape,
  type Tensor,
} from '../../tensor/index.js';
import { Module, type WindowGeometry } from '../module.js';

const pair = (value: Pair): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

function windowOf(options: PoolOptions): WindowGeometry {
  const padding = options.padding ?? 0;
  return {
    kernel: pair(options.kernel),
    stride: pair(options.stride ?? options.kernel),
    padding: typeof padding === 'number' ? [padding, padding] : [padding[0], padding[1]],
    dilation: pair(options.dilation ?? 1),
  };
}

function pooledShape(op: string, input: Shape, options: PoolOptions): Shape {
  const p = poolParams(op, input, options);
  return [input[0], input[1], p.oh, p.ow];
}

/** PyTorch `MaxPool2d`; the stride defaults to the kernel. */
export class MaxPool2d extends Module {
  readonly options: MaxPool2dOptions;

  constructor(kernel: Pair, options: Omit<MaxPool2dOptions, 'kernel'> = {}) {
    super();
    this.options = { kernel, ...options };
  }

  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.options);
  }

  override outputShape(input: Shape): Shape {
    return pooledShape('maxPool2d', input, this.options);
  }

  override reach(): WindowGeometry {
    return windowOf(this.options);
  }
}

/** PyTorch `AvgPool2d`; the stride defaults to the kernel. */
export class AvgPool2d extends Module {
  readonly options: PoolOptions;

  constructor(kernel: Pair, options: Omit<PoolOptions, 'kernel'> = {}) {
    super();
    this.options = { kernel, ...options };
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.options);
  }

  override outputShape(input: Shape): Shape {
    return pooledShape('avgPool2d', input, this.options);
  }

  override reach(): WindowGeometry {
    return windowOf(this.options);
  }
}
