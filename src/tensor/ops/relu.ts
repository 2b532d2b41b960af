/** Rectifiers. What happens to a signal on its way down through a ReLU is what tells gradient, guided and deconvnet apart. */
import { checkArgument, finite, numeric } from '../../backend/validate.js';
import { type BackwardRules, overSignal, record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/** max(x, 0). ONNX `Relu`, PyTorch `relu`. */
export function relu(x: Tensor): Tensor {
  checkFloat('relu', x);
  const y = empty('relu', x.shape, x.dtype, x.backend);
  x.backend.relu(y.storage, x.storage);
  // The output is saved rather than the input, so that the convolution's result can go at once.
  return record('relu', y, [x], [y], (dy, [y], _needs, rules) => [reluSignal(dy, y, rules)]);
}

/** A backward step behind a fused ReLU: takes the signal down through the ReLU first. */
export function behindRelu<T>(dy: Tensor, y: Tensor, rules: BackwardRules, step: (signal: Tensor) => T): T {
  const signal = reluSignal(dy, y, rules);
  const result = step(signal);
  if (signal !== dy) signal.free('backward()');
  return result;
}

/** The signal taken down through a ReLU with output y; in place, where nobody else holds it. */
export function reluSignal(dy: Tensor, y: Tensor, rules: BackwardRules): Tensor {
  const signal = overSignal('relu backward', dy);
  dy.backend.reluGrad(signal.storage, dy.storage, y.storage, rules.relu);
  return signal;
}

/**
 * x where x > 0, else slope · x; the derivative at 0 is `slope`. ONNX `LeakyRelu`, PyTorch `leaky_relu`. Signals go down by the gradient under
 * every rule: a leaky unit has no dead side to rectify.
 *
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
 * min(max(x, low), high). ONNX `Clip`, PyTorch `clamp`.
 *
 * @param low, high numbers, infinite ones included
 * @throws ValueError for a bound that is missing or NaN
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
