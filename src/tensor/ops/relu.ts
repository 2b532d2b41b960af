/** ReLU and its variants. The backward step of ReLU is where the rules `gradient`, `guided` and `deconvnet` differ most. */
import { IN_PLACE } from '../../backend/backend.js';
import { checkArgument, finite, numeric } from '../../backend/validate.js';
import { type BackwardRules, overwritable, record } from '../graph/autograd.js';
import { isMasked, markReluOutput } from '../graph/relu_marks.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/**
 * Returns max(x, 0), element by element. ONNX `Relu`, PyTorch `relu`.
 *
 * @example relu(tensor([-1, 2])) // 0, 2
 */
export function relu(x: Tensor): Tensor {
  checkFloat('relu', x);
  const y = empty('relu', x.shape, x.dtype, x.backend);
  x.backend.relu(y.storage, x.storage);
  markReluOutput(y);
  // Saves the output instead of the input, so that the input (mostly a convolution's result) can be freed at once.
  return record('relu', y, [x], [y], (dy, [y], _needs, rules) => [reluBackward(dy, y, rules)]);
}

/** Backward step of an operation with a fused ReLU: the backward step of the ReLU, then `step` of the operation itself. */
export function withReluBackward<T>(dy: Tensor, y: Tensor, rules: BackwardRules, step: (gradient: Tensor) => T): T {
  const gradient = reluBackward(dy, y, rules);
  const result = step(gradient);
  if (gradient !== dy) gradient.release('backward()');
  return result;
}

/** Backward step of a ReLU with output `y`; overwrites `dy` if its buffer is not shared, and returns it if it is masked already. */
function reluBackward(dy: Tensor, y: Tensor, rules: BackwardRules): Tensor {
  if (rules.relu === 'mask' && isMasked(dy)) return dy;
  const dx = overwritable('relu backward', dy);
  dy.backend.reluGrad(dx.storage, dx === dy ? IN_PLACE : dy.storage, y.storage, rules.relu);
  return dx;
}

/**
 * Returns x where x > 0 and slope · x elsewhere. The derivative at 0 is `slope`. ONNX `LeakyRelu`, PyTorch `leaky_relu`. The backward
 * pass uses the gradient under all rules.
 *
 * @example leakyRelu(tensor([-1, 2]), 0.1) // -0.1, 2
 * @param slope default 0.01
 */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  checkFloat('leakyRelu', x);
  checkArgument('leakyRelu', 'slope', slope, finite());
  const y = empty('leakyRelu', x.shape, x.dtype, x.backend);
  x.backend.leakyRelu(y.storage, x.storage, slope);
  return record('leakyRelu', y, [x], [x], (dy, [x]) => {
    const dx = empty('leakyRelu backward', x.shape, dy.dtype, dy.backend, false);
    dy.backend.leakyReluGrad(dx.storage, dy.storage, x.storage, slope);
    return [dx];
  });
}

/**
 * Returns min(max(x, low), high), element by element. ONNX `Clip`, PyTorch `clamp`.
 *
 * @example clamp(tensor([-2, 0.5, 2]), -1, 1) // -1, 0.5, 1
 * @param low lower bound; may be −∞
 * @param high upper bound, not below `low`; may be ∞
 * @throws ValueError if a bound is missing or NaN
 */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  checkFloat('clamp', x);
  checkArgument('clamp', 'low', low, numeric);
  checkArgument('clamp', 'high', high, numeric);
  const y = empty('clamp', x.shape, x.dtype, x.backend);
  x.backend.clamp(y.storage, x.storage, low, high);
  return record('clamp', y, [x], [x], (dy, [x]) => {
    const dx = empty('clamp backward', x.shape, dy.dtype, dy.backend, false);
    dy.backend.clampGrad(dx.storage, dy.storage, x.storage, low, high);
    return [dx];
  });
}
