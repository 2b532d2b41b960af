/** Elementwise functions of one tensor. */
import type { BinaryOp, UnaryOp } from '../../backend/backend.js';
import { record } from '../graph/autograd.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

type Derivative = (dy: Tensor, x: Tensor, y: Tensor) => Tensor;

function unary(op: UnaryOp, x: Tensor, saves: 'x' | 'y' | 'none', derivative: Derivative): Tensor {
  checkFloat(op, x);
  const y = empty(op, x.shape, x.dtype, x.backend);
  x.backend.unary(y.storage, x.storage, op);
  const saved = saves === 'x' ? [x] : saves === 'y' ? [y] : [];
  return record(op, y, [x], saved, (dy, [kept]) => [derivative(dy, kept, kept)]);
}

/** a op b for equal shapes, not recorded. */
function combine(op: BinaryOp, a: Tensor, b: Tensor, into?: Tensor): Tensor {
  const result = into ?? empty('backward', a.shape, a.dtype, a.backend, false);
  a.backend.binary(result.storage, a.storage, b.storage, op, { shape: [a.size], stridesA: [1], stridesB: [1] });
  return result;
}

/** scale · f(x) + shift, not recorded. */
function mapped(op: UnaryOp | null, x: Tensor, scale = 1, shift = 0): Tensor {
  const result = empty('backward', x.shape, x.dtype, x.backend, false);
  if (op) x.backend.unary(result.storage, x.storage, op);
  if (!op || scale !== 1 || shift !== 0) x.backend.affine(result.storage, (op ? result : x).storage, scale, shift);
  return result;
}

const times = (dy: Tensor, factor: Tensor) => combine('mul', factor, dy, factor);

/** −x. ONNX `Neg`. */
export const neg = (x: Tensor): Tensor => unary('neg', x, 'none', (dy) => mapped(null, dy, -1));
/** |x|; the gradient at 0 is 0. ONNX `Abs`. */
export const abs = (x: Tensor): Tensor => unary('abs', x, 'x', (dy, x) => times(dy, mapped('sign', x)));
/** eˣ. ONNX `Exp`. */
export const exp = (x: Tensor): Tensor => unary('exp', x, 'y', (dy, y) => combine('mul', dy, y));
/** The natural logarithm. ONNX `Log`. */
export const log = (x: Tensor): Tensor => unary('log', x, 'x', (dy, x) => combine('div', dy, x));
/** The square root. ONNX `Sqrt`. dx = dy / (2·y). */
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x, 'y', (dy, y) => times(dy, mapped('reciprocal', y, 0.5)));
/** x². dx = 2·x·dy. */
export const square = (x: Tensor): Tensor => unary('square', x, 'x', (dy, x) => times(dy, mapped(null, x, 2)));
/** 1 / x. ONNX `Reciprocal`. dx = −dy·y². */
export const reciprocal = (x: Tensor): Tensor => unary('reciprocal', x, 'y', (dy, y) => times(dy, mapped('square', y, -1)));
/** 1 / (1 + e⁻ˣ). ONNX `Sigmoid`. dx = dy·(y − y²). */
export const sigmoid = (x: Tensor): Tensor =>
  unary('sigmoid', x, 'y', (dy, y) => {
    const square = mapped('square', y);
    return times(dy, combine('sub', y, square, square));
  });
/** The hyperbolic tangent. ONNX `Tanh`. dx = dy·(1 − y²). */
export const tanh = (x: Tensor): Tensor => unary('tanh', x, 'y', (dy, y) => times(dy, mapped('square', y, -1, 1)));
