/** Losses of predictions against targets of the same shape: squared, logistic and absolute errors. */
import { IN_PLACE } from '../../backend/backend.js';
import { ShapeError } from '../../backend/errors.js';
import { arrayOf, checkOptions, either, finite, oneOf, type Rule, type Rules, rule } from '../../backend/validate.js';
import { noGrad, record } from '../graph/autograd.js';
import { sameShape } from '../shape.js';
import { checkFloat, empty, isTensor, scope, type Tensor, tensor } from '../tensor.js';
import { add, maximum, minimum, mul, sub } from './arithmetic.js';
import { mean, sum } from './reduce.js';
import { abs, exp, log, neg, square } from './unary.js';

/** How the losses of single elements become the result: their mean, their sum, or one loss per element. */
export type Reduction = 'mean' | 'sum' | 'none';

/** @internal */
export const reductionRule: Rule = oneOf('mean', 'sum', 'none');

/** Options of every loss. */
export interface LossOptions {
  /** `mean` (default) and `sum` give a scalar, `none` one loss per element. */
  reduction?: Reduction;
}

/** Options of `smoothL1Loss`. */
export interface SmoothL1Options extends LossOptions {
  /** Error from which on the loss is linear. Default 1; with 0 the loss is the absolute error everywhere. */
  beta?: number;
}

/** Options of `bceWithLogits`. */
export interface BceOptions extends LossOptions {
  /** Factors of the losses, broadcast to their shape. Default 1. They do not change the divisor of the mean. */
  weight?: Tensor | readonly number[];
  /** Factors of the positive part of the loss, for example one per class, broadcast to the shape of the logits. Default 1. */
  posWeight?: Tensor | readonly number[];
}

/** @internal Rule for weights that are given as a tensor or as numbers. */
export const weightRule: Rule = either(rule('a tensor', isTensor), arrayOf(finite(0)));
const LOSS_RULES: Rules = { reduction: reductionRule };
const SMOOTH_RULES: Rules = { ...LOSS_RULES, beta: finite(0) };
const BCE_RULES: Rules = { ...LOSS_RULES, weight: weightRule, posWeight: weightRule };

/** @internal Reduces the losses of single elements. The losses are computed inside `scope`, so that no intermediate result stays. */
export function reduced(losses: Tensor, reduction: Reduction = 'mean'): Tensor {
  if (reduction === 'none') return losses;
  return reduction === 'sum' ? sum(losses) : mean(losses);
}

/** @internal Weights as a tensor on the backend of `like`, through which no gradient passes. */
export function weightTensor(op: string, weight: Tensor | readonly number[], like: Tensor): Tensor {
  if (!isTensor(weight)) return tensor(Array.from(weight), [weight.length], { backend: like.backend, dtype: like.dtype });
  checkFloat(op, like, weight);
  return weight.detach();
}

function checkPair(op: string, x: Tensor, target: Tensor, options: LossOptions, rules: Rules): void {
  checkFloat(op, x, target);
  checkOptions(op, options, rules);
  if (!sameShape(x.shape, target.shape))
    throw new ShapeError(`${op}: target has shape [${target.shape}], expected [${x.shape}], the shape of the predictions`);
}

/**
 * Mean squared error: (x − target)², averaged. PyTorch `mse_loss`.
 *
 * @example const loss = mseLoss(scores, zeros([2, 10]));
 * @param target a tensor of the shape of `x`
 * @returns a scalar, or a tensor of the shape of `x` with reduction `none`; the mean of no elements is NaN
 * @throws ShapeError or DTypeError for a target that does not match; ValueError for invalid options
 */
export function mseLoss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkPair('mseLoss', x, target, options, LOSS_RULES);
  return scope(() => reduced(square(sub(x, target)), options.reduction));
}

/**
 * Smooth absolute error (Girshick 2015): with the error d = |x − target|, d² / (2·beta) below beta and d − beta / 2 from there on,
 * averaged. PyTorch `smooth_l1_loss`.
 *
 * @example const loss = smoothL1Loss(tensor([1, 2]), tensor([1, 4]), { beta: 1 / 9 });
 * @param target a tensor of the shape of `x`
 * @returns a scalar, or a tensor of the shape of `x` with reduction `none`; the mean of no elements is NaN
 * @throws ShapeError or DTypeError for a target that does not match; ValueError for invalid options
 */
export function smoothL1Loss(x: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  checkPair('smoothL1Loss', x, target, options, SMOOTH_RULES);
  const { beta = 1, reduction } = options;
  return scope(() => {
    const error = abs(sub(x, target));
    if (beta === 0) return reduced(error, reduction);
    // m · (d − m / 2) / beta with m = min(d, beta) is both branches in one formula.
    const capped = minimum(error, beta);
    return reduced(mul(mul(capped, sub(error, mul(capped, 0.5))), 1 / beta), reduction);
  });
}

/**
 * Binary cross-entropy of logits: −target · log σ(x) − (1 − target) · log(1 − σ(x)) with the logistic function σ, averaged over all
 * elements. It is computed without overflow for logits of any size. PyTorch `binary_cross_entropy_with_logits`.
 *
 * @example const loss = bceWithLogits(scores, zeros([2, 10])); // targets [N, classes] of 0 and 1
 * @param x logits of any shape
 * @param target a tensor of the shape of `x`, with values from 0 to 1
 * @returns a scalar, or a tensor of the shape of `x` with reduction `none`; the mean of no elements is NaN
 * @throws ShapeError or DTypeError for targets or weights that do not match; ValueError for invalid options
 */
export function bceWithLogits(x: Tensor, target: Tensor, options: BceOptions = {}): Tensor {
  checkPair('bceWithLogits', x, target, options, BCE_RULES);
  const { weight, posWeight, reduction } = options;
  return scope(() => {
    const losses = posWeight ? positivelyWeighted(x, target, weightTensor('bceWithLogits', posWeight, x)) : logisticLosses(x, target);
    if (!weight) return reduced(losses, reduction);
    const weighted = mul(losses, weightTensor('bceWithLogits', weight, x));
    if (!sameShape(weighted.shape, x.shape)) throw weightShapeError('weight', weight, x);
    return reduced(weighted, reduction);
  });
}

function weightShapeError(name: string, weight: Tensor | readonly number[], x: Tensor): ShapeError {
  const shape = isTensor(weight) ? weight.shape : [weight.length];
  return new ShapeError(`bceWithLogits: ${name} has shape [${shape}], expected one that broadcasts to [${x.shape}]`);
}

/** log(1 + exp(−|x|)), between 0 and log 2. */
const remainder = (x: Tensor) => log(add(exp(neg(abs(x))), 1));

/**
 * (1 − t) · x + max(−x, 0) + log(1 + exp(−|x|)). Recorded as one operation, because the derivative σ(x) − t would be lost at x = 0 if it
 * were composed of the derivatives of |x| and max(−x, 0).
 */
function logisticLosses(x: Tensor, target: Tensor): Tensor {
  const losses = noGrad(() => add(add(mul(sub(1, target), x), maximum(neg(x), 0)), remainder(x)));
  return record('bceWithLogits', losses, [x, target], [x, target], (dy, [x, target], needs) => {
    const p = { shape: [dy.size], stridesA: [1], stridesB: [1] };
    const gradient = () => empty('bceWithLogits backward', x.shape, dy.dtype, dy.backend, false);
    let [dx, dt]: (Tensor | null)[] = [null, null];
    if (needs[0]) {
      dx = gradient();
      dy.backend.unary(dx.storage, x.storage, 'sigmoid');
      dy.backend.binary(dx.storage, IN_PLACE, target.storage, 'sub', p);
      dy.backend.binary(dx.storage, IN_PLACE, dy.storage, 'mul', p);
    }
    if (needs[1]) {
      dt = gradient();
      dy.backend.affine(dt.storage, x.storage, -1, 0);
      dy.backend.binary(dt.storage, IN_PLACE, dy.storage, 'mul', p);
    }
    return [dx, dt];
  });
}

/** (1 − t) · x + (1 + (w − 1) · t) · (−log σ(x)). */
function positivelyWeighted(x: Tensor, target: Tensor, weight: Tensor): Tensor {
  const factor = add(mul(sub(weight, 1), target), 1);
  if (!sameShape(factor.shape, x.shape)) throw weightShapeError('posWeight', weight, x);
  return add(mul(sub(1, target), x), mul(factor, negativeLogSigmoid(x)));
}

/** −log σ(x) = max(−x, 0) + log(1 + exp(−|x|)), with the derivative σ(x) − 1. */
function negativeLogSigmoid(x: Tensor): Tensor {
  const y = noGrad(() => add(maximum(neg(x), 0), remainder(x)));
  return record('negativeLogSigmoid', y, [x], [x], (dy, [x]) => {
    const dx = empty('bceWithLogits backward', x.shape, dy.dtype, dy.backend, false);
    dy.backend.unary(dx.storage, x.storage, 'sigmoid');
    dy.backend.affine(dx.storage, IN_PLACE, 1, -1);
    dy.backend.binary(dx.storage, IN_PLACE, dy.storage, 'mul', { shape: [dy.size], stridesA: [1], stridesB: [1] });
    return [dx];
  });
}
