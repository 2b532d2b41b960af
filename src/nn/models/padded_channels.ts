/** Additional channels of zeros, for shortcuts without parameters. */
import { pad, type Shape, ShapeError, type Tensor } from '../../tensor/index.js';
import { Module, type ReceptiveWindow } from '../module.js';

/** Appends channels of zeros to [N, inChannels, H, W], so that it has `outChannels` channels (He et al. 2015, option A). ONNX `Pad`. */
export class PaddedChannels extends Module {
  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
  ) {
    super();
  }

  forward(x: Tensor): Tensor {
    this.outputShape(x.shape);
    return pad(x, [
      [0, 0],
      [0, this.outChannels - this.inChannels],
      [0, 0],
      [0, 0],
    ]);
  }

  override outputShape(input: Shape): Shape {
    if (input.length !== 4 || input[1] !== this.inChannels)
      throw new ShapeError(`PaddedChannels: input has shape [${input}], expected [N, ${this.inChannels}, H, W]`);
    return input.with(1, this.outChannels);
  }

  override receptiveWindow(): ReceptiveWindow {
    return 'point';
  }
}
