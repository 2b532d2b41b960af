/** Resizing of feature maps as a layer. */
import { type InterpolateOptions, interpolate, type Shape, type Tensor } from '../../tensor/index.js';
import { checkInterpolation, interpolatedSize } from '../../tensor/ops/interpolate.js';
import { checkShape } from '../../tensor/shape.js';
import { Module, type ReceptiveWindow } from '../module.js';

/**
 * Resizes maps to a size or by a factor; see `interpolate`. PyTorch `Upsample`.
 *
 * @example const up = new Upsample({ scaleFactor: 2, mode: 'bilinear' });
 * @throws ValueError for options that do not fit together
 */
export class Upsample extends Module {
  constructor(
    /** Target size or factor, and the kind of interpolation, as `interpolate` takes them. */
    readonly options: InterpolateOptions,
  ) {
    super();
    checkInterpolation('Upsample', options);
  }

  /** @param x [N, C, H, W] */
  forward(x: Tensor): Tensor {
    return interpolate(x, this.options);
  }

  override outputShape(input: Shape): Shape {
    checkShape('interpolate', input);
    return [...input.slice(0, 2), ...interpolatedSize('interpolate', input, this.options)];
  }

  /** Distances between outputs are fractions of an input element, so the receptive field is counted as the whole input. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }
}
