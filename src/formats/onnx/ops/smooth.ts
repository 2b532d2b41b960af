/** Smooth activation operators and their piecewise linear forms: Erf, Gelu, HardSwish, Mish, Celu, ThresholdedRelu. */
import {
  abs,
  add,
  cast,
  clamp,
  div,
  exp,
  gelu,
  greater,
  hardSwish,
  log,
  maximum,
  minimum,
  mul,
  neg,
  square,
  sub,
  type Tensor,
  tanh,
} from '../../../tensor/index.js';
import type { Call, Operator } from '../operator.js';

/** Beyond this bound, the error function differs from ±1 by less than 2 · 10⁻⁸. */
const ERF_BOUND = 4;

/**
 * Coefficients of the quotient of polynomials in x² that approximates erf(x) / x for |x| ≤ 4, lowest power first. They were fitted by
 * reweighted least squares; the relative error of erf is at most 3 · 10⁻⁸, less than the rounding of float32.
 */
const ERF_NUMERATOR = [1.12837914, 0.193540916, 0.0531011807, 0.00388316026, 0.000284560798, 1.98680244e-6];
const ERF_DENOMINATOR = [1, 0.504853728, 0.11534827, 0.0152068859, 0.00118552466, 3.74201141e-5];

/** Evaluates a polynomial by Horner's rule. */
function polynomial(x: Tensor, coefficients: readonly number[]): Tensor {
  const [highest, ...lower] = [...coefficients].reverse();
  const [next, ...rest] = lower;
  return rest.reduce((sum, coefficient) => add(mul(sum, x), coefficient), add(mul(x, highest), next));
}

/** Erf, the error function 2 / √π · ∫ from 0 to x of e^(−t²). */
function erf(x: Tensor): Tensor {
  const bounded = clamp(x, -ERF_BOUND, ERF_BOUND);
  const squares = square(bounded);
  return div(mul(bounded, polynomial(squares, ERF_NUMERATOR)), polynomial(squares, ERF_DENOMINATOR));
}

/** Mish: x · tanh(ln(1 + eˣ)), without overflow. */
const mish = (x: Tensor): Tensor => mul(x, tanh(add(maximum(x, 0), log(add(exp(neg(abs(x))), 1)))));

/** Celu: max(0, x) + min(0, alpha · (e^(x / alpha) − 1)). */
function celu(x: Tensor, { attributes }: Call): Tensor {
  const alpha = attributes.float('alpha', 1);
  return add(maximum(x, 0), mul(sub(exp(div(minimum(x, 0), alpha)), 1), alpha));
}

/** ThresholdedRelu: x where x > alpha, otherwise 0. */
const thresholdedRelu = (x: Tensor, { attributes }: Call): Tensor => mul(x, cast(greater(x, attributes.float('alpha', 1)), x.dtype));

const smoothOperator = (since: number, attributes: readonly string[], fn: (x: Tensor, call: Call) => Tensor): Operator => ({
  run: (call) => [fn(call.tensor(0), call)],
  receptiveWindow: 'point',
  since,
  attributes,
});

export const smooth = {
  Erf: smoothOperator(9, [], erf),
  Gelu: smoothOperator(20, ['approximate'], (x, { attributes }) =>
    gelu(x, { approximate: attributes.word<'none' | 'tanh'>('approximate', ['none', 'tanh'], 'none') }),
  ),
  HardSwish: smoothOperator(14, [], hardSwish),
  Mish: smoothOperator(18, [], mish),
  Celu: smoothOperator(12, ['alpha'], celu),
  ThresholdedRelu: smoothOperator(10, ['alpha'], thresholdedRelu),
} satisfies Record<string, Operator>;
