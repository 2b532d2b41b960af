/**
 * The optimizer operators of `ai.onnx.preview.training`, opset 1: Momentum, Adagrad, Adam. The inputs are the learning rate R, the number
 * of previous updates T, then all tensors, all gradients and all states. The outputs are the new tensors and the new states.
 */
import { add, div, mul, sqrt, square, sub, type Tensor } from '../../../tensor/index.js';
import type { Call, Operator } from '../operator.js';

interface Step {
  rate: number;
  updates: number;
  x: Tensor;
  /** The gradient, including the L2 penalty of `norm_coefficient`. */
  gradient: Tensor;
  states: readonly Tensor[];
}

/** Creates an operator that applies `update` to each tensor; `update` returns the new tensor and its new states. */
const optimiser = (states: number, update: (step: Step, call: Call) => readonly Tensor[]): Operator => ({
  run: (call) => {
    const rate = call.number(0) ?? 0;
    const updates = call.number(1) ?? 0;
    const count = (call.inputs.length - 2) / (2 + states);
    if (!Number.isInteger(count)) throw call.error(`it has ${call.inputs.length} inputs, expected 2 and ${2 + states} for each tensor`);
    const norm = call.attributes.float('norm_coefficient', 0);
    const results = Array.from({ length: count }, (_, i) => {
      const at = (group: number) => call.tensor(2 + group * count + i);
      const [x, gradient] = [at(0), at(1)];
      const penalised = norm === 0 ? gradient : add(gradient, mul(x, norm));
      return update({ rate, updates, x, gradient: penalised, states: Array.from({ length: states }, (_, s) => at(2 + s)) }, call);
    });
    return Array.from({ length: 1 + states }, (_, output) => results.map((result) => result[output])).flat();
  },
  host: [0, 1],
});

/** Momentum: V' = alpha · V + beta · G (beta is 1 in the first update); X' = X − R · V', or X − R · (G + alpha · V') in mode nesterov. */
const momentum = optimiser(1, ({ rate, updates, x, gradient, states: [velocity] }, { attributes }) => {
  const alpha = attributes.float('alpha', 0);
  const beta = updates > 0 ? attributes.float('beta', 1) : 1;
  const moved = add(mul(velocity, alpha), mul(gradient, beta));
  const nesterov = attributes.word('mode', ['standard', 'nesterov'], 'standard') === 'nesterov';
  return [sub(x, mul(nesterov ? add(gradient, mul(moved, alpha)) : moved, rate)), moved];
});

/** Adagrad: H' = H + G²; X' = X − R / (1 + T · decay_factor) · G / (√H' + epsilon). */
const adagrad = optimiser(1, ({ rate, updates, x, gradient, states: [squares] }, { attributes }) => {
  const decayed = rate / (1 + updates * attributes.float('decay_factor', 0));
  const sums = add(squares, square(gradient));
  return [sub(x, mul(div(gradient, add(sqrt(sums), attributes.float('epsilon', 1e-6))), decayed)), sums];
});

/**
 * Adam: V' = alpha · V + (1 − alpha) · G; H' = beta · H + (1 − beta) · G²; X' = X − R' · V' / (√H' + epsilon), where R' is R with the bias
 * correction for T updates.
 */
const adam = optimiser(2, ({ rate, updates, x, gradient, states: [velocity, squares] }, { attributes }) => {
  const [alpha, beta] = [attributes.float('alpha', 0.9), attributes.float('beta', 0.999)];
  const corrected = updates > 0 ? (rate * Math.sqrt(1 - beta ** updates)) / (1 - alpha ** updates) : rate;
  const first = add(mul(velocity, alpha), mul(gradient, 1 - alpha));
  const second = add(mul(squares, beta), mul(square(gradient), 1 - beta));
  const next = sub(x, mul(div(first, add(sqrt(second), attributes.float('epsilon', 1e-6))), corrected));
  const after = attributes.float('norm_coefficient_post', 0);
  return [after === 0 ? next : mul(next, 1 - after), first, second];
});

export const training = { Momentum: momentum, Adagrad: adagrad, Adam: adam } satisfies Record<string, Operator>;
