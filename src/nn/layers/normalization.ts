/** Contrast normalisation as a layer. */
import { type LrnOptions, localResponseNorm, type Tensor } from '../../tensor/index.js';
import { Module, type Reach } from '../module.js';

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
