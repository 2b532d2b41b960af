/** Fully connected layer, and the layer that flattens feature maps for it. */
import { boolean, checkArgument, checkOptions, integer } from '../../backend/validate.js';
import { flatten, linear, type Shape, ShapeError, sizeOf, type Tensor } from '../../tensor/index.js';
import { checkShape } from '../../tensor/shape.js';
import { weightAndBias } from '../init.js';
import { Module, type ReceptiveWindow } from '../module.js';

/**
 * Fully connected layer: x · weightᵀ + bias, with weight [out, in] and bias [out]. PyTorch `Linear`. Initial weights are uniform within
 * ±1 / √in, as in PyTorch; initial biases are 0, whereas PyTorch samples them from the same range. See `initialize` for other schemes.
 *
 * @example const layer = new Linear(128, 10); // [N, 128] to [N, 10]
 * @throws ValueError for feature counts that are not whole numbers, and for unknown options
 */
export class Linear extends Module {
  /** Matrix of [outFeatures, inFeatures], one row per output. May be replaced by a tensor of the same shape. */
  weight: Tensor;
  /** [outFeatures]; null with `bias: false`. */
  bias: Tensor | null;

  constructor(
    /** Size of the last axis of the input. */
    readonly inFeatures: number,
    /** Size of the last axis of the output. */
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
  ) {
    super();
    checkArgument('Linear', 'inFeatures', inFeatures, integer());
    checkArgument('Linear', 'outFeatures', outFeatures, integer());
    checkOptions('Linear', options, { bias: boolean });
    ({ weight: this.weight, bias: this.bias } = weightAndBias([outFeatures, inFeatures], outFeatures, options.bias));
  }

  /** @param x [N, inFeatures] */
  forward(x: Tensor, options: { relu?: boolean } = {}): Tensor {
    return linear(x, this.weight, this.bias, options);
  }

  override outputShape(input: Shape): Shape {
    checkShape('linear', input);
    if (input.length !== 2 || input[1] !== this.inFeatures)
      throw new ShapeError(`linear: input has shape [${input}], expected [N, ${this.inFeatures}]`);
    return [input[0], this.outFeatures];
  }

  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }

  override multiplyAdds(input: Shape): number {
    return this.outputShape(input)[0] * this.weight.size;
  }
}

/**
 * Flattens all axes except the batch: [N, …] becomes [N, features].
 *
 * @example const flat = new Flatten(); // [N, C, H, W] to [N, C · H · W]
 */
export class Flatten extends Module {
  forward(x: Tensor): Tensor {
    return flatten(x, 1);
  }

  override outputShape(input: Shape): Shape {
    checkShape('flatten', input);
    if (input.length < 1) throw new ShapeError('flatten: input has shape [], expected at least one axis');
    return [input[0], sizeOf(input.slice(1))];
  }

  /** A unit has no position in the image any more, so its receptive field is counted as the whole input. */
  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }
}
