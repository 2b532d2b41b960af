/** `Identity`, a layer that returns its input. */
import type { Tensor } from '../../tensor/index.js';
import { checkSameBackend } from '../../tensor/tensor.js';
import { Pointwise } from '../module.js';

/**
 * Returns its input. It stands in for a layer that was taken out. PyTorch and ONNX `Identity`.
 *
 * @example const nothing = new Identity();
 */
export class Identity extends Pointwise {
  forward(x: Tensor): Tensor {
    checkSameBackend('Identity', x);
    return x;
  }
}
