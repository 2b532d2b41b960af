/** Spread and length of the elements along axes: variance, standard deviation and norms. */
import { boolean, checkOptions, positive, rule } from '../../backend/validate.js';
import { defineOp } from '../graph/define_op.js';
import { reducedAxes, type Shape, sizeOf } from '../shape.js';
import { checkFloat, type Tensor } from '../tensor.js';
import { add, div, equal, mul, pow, sub } from './arithmetic.js';
import { reshape } from './movement.js';
import { max, mean, type ReduceOptions, reduceRules, sum } from './reduce.js';
import { abs, sign, sqrt, square } from './unary.js';

/** Options of `variance` and `std`. */
export interface VarianceOptions extends ReduceOptions {
  /** Divides by the number of elements − 1 (Bessel's correction) instead of the number. Default true, as in PyTorch. */
  unbiased?: boolean;
}

const VARIANCE_RULES = { ...reduceRules, unbiased: boolean };

/** The axes that a reduction removes, the shape with these axes of extent 1, and the number of elements per result. */
function layout(op: string, shape: Shape, axes: ReduceOptions['axes']) {
  const reduced = reducedAxes(op, shape, axes);
  const kept = shape.map((extent, i) => (reduced.includes(i) ? 1 : extent));
  return { axes: reduced, kept, count: sizeOf(reduced.map((i) => shape[i])) };
}

/** The divisor of a variance; 0 for one element, which makes an unbiased variance NaN as in PyTorch. */
const divisor = (count: number, { unbiased = true }: VarianceOptions) => Math.max(0, count - (unbiased ? 1 : 0));

/** Computes the variance of x, kept axes included, in two passes: the mean first. */
function spread(op: string, x: Tensor, options: VarianceOptions): Tensor {
  const { axes, count } = layout(op, x.shape, options.axes);
  const centred = sub(x, mean(x, { axes, keepDims: true }));
  return div(sum(square(centred), { axes, keepDims: options.keepDims }), divisor(count, options));
}

/** dx = dy · 2 · (x − mean) / divisor, with dy of the shape of x with reduced axes of extent 1. */
function spreadGradient(x: Tensor, dy: Tensor, axes: readonly number[], by: number): Tensor {
  return mul(sub(x, mean(x, { axes, keepDims: true })), mul(dy, 2 / by));
}

const varianceOp = /* @__PURE__ */ defineOp<VarianceOptions>({
  name: 'variance',
  forward(ctx, [x], options) {
    ctx.save(x);
    return spread('variance', x, options);
  },
  backward({ saved: [x], options }, dy) {
    const { axes, kept, count } = layout('variance', x.shape, options.axes);
    return [spreadGradient(x, reshape(dy, kept), axes, divisor(count, options))];
  },
});

const stdOp = /* @__PURE__ */ defineOp<VarianceOptions>({
  name: 'std',
  forward(ctx, [x], options) {
    const y = sqrt(spread('std', x, options));
    ctx.save(x, y);
    return y;
  },
  backward({ saved: [x, y], options }, dy) {
    const { axes, kept, count } = layout('std', x.shape, options.axes);
    // The derivative 1 / (2 · y) is taken as 0 where y = 0, as in PyTorch: there, x − mean is 0 as well.
    const slope = div(dy, mul(add(y, equal(y, 0)), 2));
    return [spreadGradient(x, reshape(slope, kept), axes, divisor(count, options))];
  },
});

/**
 * Returns the variance over axes. PyTorch `var`. NaN for one element unless `unbiased` is false.
 *
 * @example variance(x, { axes: [0, 2, 3], unbiased: false })
 */
export function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  checkFloat('variance', x);
  checkOptions('variance', options, VARIANCE_RULES);
  return varianceOp(x, options);
}

/**
 * Returns the standard deviation over axes, the square root of `variance`. PyTorch `std`. Its gradient where it is 0 is 0.
 *
 * @example std(x, { axes: [0, 2, 3] })
 */
export function std(x: Tensor, options: VarianceOptions = {}): Tensor {
  checkFloat('std', x);
  checkOptions('std', options, VARIANCE_RULES);
  return stdOp(x, options);
}

/** Options of `norm`. */
export interface NormOptions extends ReduceOptions {
  /** Order of the norm: a number above 0, or Infinity for the largest absolute value. Default 2. */
  p?: number;
}

const NORM_RULES = {
  ...reduceRules,
  p: rule('a number above 0, or Infinity', (value) => value === Infinity || positive.test(value)),
};

const normOp = /* @__PURE__ */ defineOp<NormOptions>({
  name: 'norm',
  forward(ctx, [x], { p = 2, axes, keepDims }) {
    const powers = p === 2 ? square(x) : p === 1 ? abs(x) : pow(abs(x), p);
    const total = sum(powers, { axes, keepDims });
    const y = p === 2 ? sqrt(total) : p === 1 ? total : pow(total, 1 / p);
    ctx.save(x, y);
    return y;
  },
  backward({ saved: [x, y], options: { p = 2, axes } }, dy) {
    const { kept } = layout('norm', x.shape, axes);
    if (p === 1) return [mul(sign(x), reshape(dy, kept))];
    // dx = dy · sign(x) · (|x| / y)^(p − 1), which is taken as 0 where the norm is 0, as in PyTorch.
    const length = reshape(add(y, equal(y, 0)), kept);
    if (p === 2) return [mul(x, div(reshape(dy, kept), length))];
    const size = abs(x);
    const isZero = equal(size, 0);
    const ratio = div(add(size, isZero), length);
    return [mul(mul(sign(x), pow(ratio, p - 1)), reshape(dy, kept))];
  },
});

/**
 * Returns the p-norm over axes: (Σ |x|^p)^(1 / p). PyTorch `norm` (`linalg.vector_norm`), ONNX `ReduceL1` and `ReduceL2`. Where the norm
 * is 0, its gradient is 0.
 *
 * @example norm(tensor([3, 4])) // 5
 */
export function norm(x: Tensor, options: NormOptions = {}): Tensor {
  checkFloat('norm', x);
  checkOptions('norm', options, NORM_RULES);
  const { p, ...reduction } = options;
  return p === Infinity ? max(abs(x), reduction) : normOp(x, options);
}
