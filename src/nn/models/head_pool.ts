/** Pooling in front of an auxiliary classifier. */
import { adaptiveAvgPool2d, avgPool2d, type Shape, type Tensor } from '../../tensor/index.js';
import { Module, type ReceptiveWindow } from '../module.js';

const WINDOW = { kernelSize: 5, stride: 3 } as const;

/**
 * Average pooling over windows of 5×5 at stride 3, as the papers of GoogLeNet and Inception v3 have it, if this gives maps of `side` ×
 * `side`; for inputs of other sizes, adaptive average pooling to that size, so that the classifier behind it fits.
 */
export class HeadPool extends Module {
  constructor(readonly side: number) {
    super();
  }

  forward(x: Tensor): Tensor {
    const fits = x.shape.slice(2).every((extent) => Math.floor((extent - 5) / 3) + 1 === this.side);
    return fits ? avgPool2d(x, WINDOW) : adaptiveAvgPool2d(x, this.side);
  }

  override outputShape(input: Shape): Shape {
    return [...input.slice(0, 2), this.side, this.side];
  }

  override receptiveWindow(): ReceptiveWindow {
    return 'global';
  }
}
