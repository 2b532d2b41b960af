/** Elementwise functions of one tensor. */
import { type BinaryOp, IN_PLACE, type UnaryOp } from '../../backend/backend.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

type Derivative = (dy: Tensor, x: Tensor, y: Tensor) => Tensor;

/** Computes and records an operation; `saves` says which tensor its derivative needs. */
function unary(op: UnaryOp, x: Tensor, saves: 'x' | 'y' | 'none', derivative: Derivative): Tensor {
  checkFloat(op, x);
  const y = empty(op, x.shape, x.dtype, x.backend);
  x.backend.unary(y.storage, x.storage, op);
  const saved = saves === 'x' ? [x] : saves === 'y' ? [y] : [];
  return record(op, y, [x], saved, (dy, [kept]) => [derivative(dy, kept, kept)]);
}

/** Computes op(a, b) for equal shapes without recording it. */
function combine(op: BinaryOp, a: Tensor, b: Tensor, into?: Tensor): Tensor {
  const result = into ?? empty('backward', a.shape, a.dtype, a.backend, false);
  const operand = (t: Tensor) => (t === into ? IN_PLACE : t.storage);
  a.backend.binary(result.storage, operand(a), operand(b), op, { shape: [a.size], stridesA: [1], stridesB: [1] });
  return result;
}

/** Computes scale · op(x) + shift without recording it. */
function mapped(op: UnaryOp | null, x: Tensor, scale = 1, shift = 0): Tensor {
  const result = empty('backward', x.shape, x.dtype, x.backend, false);
  if (op) x.backend.unary(result.storage, x.storage, op);
  if (!op || scale !== 1 || shift !== 0) x.backend.affine(result.storage, op ? IN_PLACE : x.storage, scale, shift);
  return result;
}

/** Returns dy · factor, in the buffer of `factor`. */
const times = (dy: Tensor, factor: Tensor) => combine('mul', factor, dy, factor);

/**
 * Returns −x. ONNX `Neg`.
 *
 * @example neg(tensor([1, -2])) // -1, 2
 */
export const neg = (x: Tensor): Tensor => unary('neg', x, 'none', (dy) => mapped(null, dy, -1));
/**
 * Returns |x|; the gradient at 0 is 0. ONNX `Abs`.
 *
 * @example abs(tensor([-1, 2])) // 1, 2
 */
export const abs = (x: Tensor): Tensor => unary('abs', x, 'x', (dy, x) => times(dy, mapped('sign', x)));
/**
 * Returns −1, 0 or 1 by the sign of x, NaN for NaN. Its gradient is 0. ONNX `Sign`.
 *
 * @example sign(tensor([-3, 0, 2])) // -1, 0, 1
 */
export const sign = (x: Tensor): Tensor => unary('sign', x, 'none', (dy) => mapped(null, dy, 0));
/**
 * Returns eˣ. ONNX `Exp`.
 *
 * @example exp(tensor([0, 1])) // 1, 2.7183
 */
export const exp = (x: Tensor): Tensor => unary('exp', x, 'y', (dy, y) => combine('mul', dy, y));
/**
 * Returns the natural logarithm. ONNX `Log`.
 *
 * @example log(tensor([1, Math.E])) // 0, 1
 */
export const log = (x: Tensor): Tensor => unary('log', x, 'x', (dy, x) => combine('div', dy, x));
/**
 * Returns the square root. ONNX `Sqrt`. dx = dy / (2·y).
 *
 * @example sqrt(tensor([4, 9])) // 2, 3
 */
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x, 'y', (dy, y) => times(dy, mapped('reciprocal', y, 0.5)));
/**
 * Returns x². dx = 2·x·dy.
 *
 * @example square(tensor([2, 3])) // 4, 9
 */
export const square = (x: Tensor): Tensor => unary('square', x, 'x', (dy, x) => times(dy, mapped(null, x, 2)));
/**
 * Returns 1 / x. ONNX `Reciprocal`. dx = −dy·y².
 *
 * @example reciprocal(tensor([2, 4])) // 0.5, 0.25
 */
export const reciprocal = (x: Tensor): Tensor => unary('reciprocal', x, 'y', (dy, y) => times(dy, mapped('square', y, -1)));
/**
 * Returns the logistic function 1 / (1 + e⁻ˣ). ONNX `Sigmoid`. dx = dy·(y − y²).
 *
 * @example sigmoid(tensor([0])) // 0.5
 */
export const sigmoid = (x: Tensor): Tensor =>
  unary('sigmoid', x, 'y', (dy, y) => {
    const square = mapped('square', y);
    return times(dy, combine('sub', y, square, square));
  });
/**
 * Returns the error function, 2 / √π · ∫ e^(−t²) dt from 0 to x. ONNX `Erf`. dx = dy · 2 / √π · e^(−x²).
 *
 * @example erf(tensor([0, 1])) // 0, 0.8427
 */
export const erf = (x: Tensor): Tensor =>
  unary('erf', x, 'x', (dy, x) => {
    const exponent = combine('mul', x, x);
    const negative = mapped(null, exponent, -1);
    const density = mapped('exp', negative, 2 / Math.sqrt(Math.PI));
    for (const made of [exponent, negative]) made.release('backward()');
    return times(dy, density);
  });
/**
 * Returns the hyperbolic tangent. ONNX `Tanh`. dx = dy·(1 − y²).
 *
 * @example tanh(tensor([0, 1])) // 0, 0.7616
 */
export const tanh = (x: Tensor): Tensor => unary('tanh', x, 'y', (dy, y) => times(dy, mapped('square', y, -1, 1)));
