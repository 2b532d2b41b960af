/** Elementwise arithmetic and comparisons of two operands, with broadcasting by NumPy's rule. */
import { type BinaryOp, IN_PLACE } from '../../backend/backend.js';
import { BackendError, DTypeError, ValueError } from '../../backend/errors.js';
import { show } from '../../backend/validate.js';
import { type BackwardFn, record } from '../graph/autograd.js';
import { broadcastParams, broadcastShape } from '../shape.js';
import { checkSameBackend, checkScalar, empty, full, isFloat, isTensor, type Tensor } from '../tensor.js';
import { unbroadcast } from './reduce.js';

/** A tensor, or a number that is broadcast. */
export type Operand = Tensor | number;

/** Operations that also support int32. */
const INT32_OPS: readonly BinaryOp[] = ['add', 'sub', 'mul', 'max', 'min', 'greater', 'equal'];

/** Checks the operands and converts a number to a tensor with the element type of the other operand. */
function operands(name: string, op: BinaryOp, a: Operand, b: Operand): [Tensor, Tensor] {
  for (const each of [a, b])
    if (typeof each !== 'number' && !isTensor(each))
      throw new ValueError(`${name}: an operand is ${show(each)}, expected a tensor or a number; make one with tensor(data, shape)`);
  const known = isTensor(a) ? a : isTensor(b) ? b : null;
  if (!known) throw new BackendError(`${name}: got two plain numbers, expected at least one tensor; make one with tensor(data, shape)`);
  const { dtype, backend } = known;
  if (!isFloat(dtype) && !(dtype === 'int32' && INT32_OPS.includes(op)))
    throw new DTypeError(
      `${name}: got a ${dtype} tensor, expected float32${INT32_OPS.includes(op) ? ' or int32' : ''}; use cast('float32')`,
    );
  known.checkAlive();
  const lift = (value: Operand) => {
    if (typeof value !== 'number') return value;
    checkScalar(name, value, dtype);
    return full([], value, { dtype, backend });
  };
  const [x, y] = [lift(a), lift(b)];
  checkSameBackend(name, x, y);
  if (x.dtype !== y.dtype) throw new DTypeError(`${name}: got ${x.dtype} and ${y.dtype} tensors, expected one type; use cast()`);
  return [x, y];
}

/** Computes op(a, b) without recording it. */
function compute(name: string, op: BinaryOp, a: Tensor, b: Tensor, scoped: boolean): Tensor {
  const shape = broadcastShape(name, a.shape, b.shape);
  const y = empty(name, shape, a.dtype, a.backend, scoped);
  a.backend.binary(y.storage, a.storage, b.storage, op, broadcastParams(shape, a.shape, b.shape));
  return y;
}

/** Computes op(a, b) inside a backward step. */
const step = (op: BinaryOp, a: Tensor, b: Tensor) => compute(`${op} backward`, op, a, b, false);

/** Computes op(first, second) inside a backward step and frees `first`. */
function through(first: Tensor, op: BinaryOp, second: Tensor): Tensor {
  const result = step(op, first, second);
  first.release('backward()');
  return result;
}

function binary(name: string, op: BinaryOp, a: Operand, b: Operand, saves: boolean, backward: BackwardFn): Tensor {
  const [x, y] = operands(name, op, a, b);
  const out = compute(name, op, x, y, true);
  const result = record(name, out, [x, y], saves ? [x, y] : [], (dy, saved, needs, rules, results) => {
    const gradients = backward(dy, saved, needs, rules, results);
    return [gradients[0] && unbroadcast(gradients[0], x.shape), gradients[1] && unbroadcast(gradients[1], y.shape)];
  });
  if (typeof a === 'number') x.release(name);
  if (typeof b === 'number') y.release(name);
  return result;
}

/**
 * Returns a + b, with broadcasting. ONNX `Add`.
 *
 * @example add(tensor([1, 2]), 3) // 4, 5
 */
export const add = (a: Operand, b: Operand): Tensor =>
  binary('add', 'add', a, b, false, (dy, _saved, needs) => [needs[0] ? share(dy) : null, needs[1] ? share(dy) : null]);

/**
 * Returns a − b, with broadcasting. ONNX `Sub`.
 *
 * @example sub(tensor([1, 2]), 1) // 0, 1
 */
export const sub = (a: Operand, b: Operand): Tensor =>
  binary('sub', 'sub', a, b, false, (dy, _saved, needs) => [needs[0] ? share(dy) : null, needs[1] ? negative(dy) : null]);

/**
 * Returns a · b, element by element, with broadcasting. ONNX `Mul`.
 *
 * @example mul(tensor([[1], [2]]), tensor([[3, 4]])) // [[3, 4], [6, 8]]
 */
export const mul = (a: Operand, b: Operand): Tensor =>
  binary('mul', 'mul', a, b, true, (dy, [a, b], needs) => [needs[0] ? step('mul', dy, b) : null, needs[1] ? step('mul', dy, a) : null]);

/**
 * Returns a / b, with broadcasting. ONNX `Div`. da = dy / b, db = −dy · a / b².
 *
 * @example div(tensor([1, 2]), 2) // 0.5, 1
 */
export const div = (a: Operand, b: Operand): Tensor =>
  binary('div', 'div', a, b, true, (dy, [a, b], needs) => [
    needs[0] ? step('div', dy, b) : null,
    needs[1] ? through(through(through(negative(dy), 'mul', a), 'div', b), 'div', b) : null,
  ]);

/**
 * Returns a to the power b, for positive a or integer b. ONNX `Pow`, PyTorch `pow`. da = dy · b · a^(b − 1), which is 0 where b = 0;
 * db = dy · a^b · ln a, which is 0 where a = 0 and b ≥ 0.
 *
 * @example pow(tensor([1, 2, 3]), 2) // 1, 4, 9
 */
export const pow = (a: Operand, b: Operand): Tensor =>
  binary('pow', 'pow', a, b, true, (dy, [a, b], needs) => [
    needs[0] ? powBaseGrad(dy, a, b) : null,
    needs[1] ? powExponentGrad(dy, a, b) : null,
  ]);

/** dy · b · a^(b − 1). The exponent is replaced by 0 where b = 0, since 0 · ∞ at a = 0 would be NaN. */
function powBaseGrad(dy: Tensor, a: Tensor, b: Tensor): Tensor {
  const none = constant(b, 0);
  const exponent = through(step('equal', b, none), 'add', b);
  none.release('backward()');
  b.backend.affine(exponent.storage, IN_PLACE, 1, -1);
  const da = through(through(step('pow', a, exponent), 'mul', b), 'mul', dy);
  exponent.release('backward()');
  return da;
}

/** dy · a^b · ln a. The base is replaced by 1 where a = 0 and b ≥ 0: its logarithm 0 is the gradient there. */
function powExponentGrad(dy: Tensor, a: Tensor, b: Tensor): Tensor {
  const none = constant(b, 0);
  const isZero = step('equal', b, none);
  const notNegative = through(step('greater', b, none), 'add', isZero);
  const base = through(through(step('equal', a, none), 'mul', notNegative), 'add', a);
  const log = empty('pow backward', base.shape, base.dtype, base.backend, false);
  log.backend.unary(log.storage, base.storage, 'log');
  const db = through(through(step('pow', base, b), 'mul', log), 'mul', dy);
  for (const made of [none, isZero, notNegative, base, log]) made.release('backward()');
  return db;
}

const constant = (like: Tensor, value: number): Tensor => {
  const result = empty('pow backward', [], like.dtype, like.backend, false);
  result.backend.fill(result.storage, value);
  return result;
};

/**
 * Returns the larger of a and b; where they are equal, each receives half the gradient. ONNX `Max`, PyTorch `maximum`.
 *
 * @example maximum(tensor([1, 5]), 2) // 2, 5
 */
export const maximum = (a: Operand, b: Operand): Tensor =>
  binary('maximum', 'max', a, b, true, (dy, [a, b], needs) => pickSides(dy, needs, a, b));

/**
 * Returns the smaller of a and b; where they are equal, each receives half the gradient. ONNX `Min`, PyTorch `minimum`.
 *
 * @example minimum(tensor([1, 5]), 2) // 1, 2
 */
export const minimum = (a: Operand, b: Operand): Tensor =>
  binary('minimum', 'min', a, b, true, (dy, [a, b], needs) => pickSides(dy, needs, b, a));

/** Returns dy · ((a > b) + (a = b) / 2) for the first operand and dy · ((b > a) + (a = b) / 2) for the second. */
function pickSides(dy: Tensor, needs: readonly boolean[], a: Tensor, b: Tensor): (Tensor | null)[] {
  const share = (winner: Tensor, loser: Tensor) => {
    const tie = step('equal', winner, loser);
    tie.backend.affine(tie.storage, IN_PLACE, 0.5, 0);
    const weight = through(step('greater', winner, loser), 'add', tie);
    tie.release('backward()');
    return through(weight, 'mul', dy);
  };
  return [needs[0] ? share(a, b) : null, needs[1] ? share(b, a) : null];
}

/**
 * Returns 1 where a > b and 0 elsewhere. Has no gradient. ONNX `Greater`.
 *
 * @example greater(tensor([1, 2]), 1) // 0, 1
 */
export function greater(a: Operand, b: Operand): Tensor {
  return compare('greater', a, b);
}

/**
 * Returns 1 where a = b and 0 elsewhere. Has no gradient. ONNX `Equal`.
 *
 * @example equal(tensor([1, 2]), 2) // 0, 1
 */
export function equal(a: Operand, b: Operand): Tensor {
  return compare('equal', a, b);
}

function compare(op: 'greater' | 'equal', a: Operand, b: Operand): Tensor {
  const [x, y] = operands(op, op, a, b);
  const result = compute(op, op, x, y, true);
  if (typeof a === 'number') x.release(op);
  if (typeof b === 'number') y.release(op);
  return result;
}

const share = (dy: Tensor): Tensor => dy.alias(dy.shape, false);

function negative(dy: Tensor): Tensor {
  const result = empty('backward', dy.shape, dy.dtype, dy.backend, false);
  dy.backend.affine(result.storage, dy.storage, -1, 0);
  return result;
}
