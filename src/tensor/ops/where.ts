/** Choice between two tensors, element by element. */
import { DTypeError, ValueError } from '../../backend/errors.js';
import { show } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { broadcastShape, type Shape, sameShape } from '../shape.js';
import { checkSameBackend, checkScalar, empty, full, isFloat, isTensor, type Tensor } from '../tensor.js';
import type { Operand } from './arithmetic.js';
import { cast } from './cast.js';
import { expand } from './movement.js';
import { unbroadcast } from './reduce.js';

/**
 * Returns a where the condition is not 0, and b elsewhere, with broadcasting. PyTorch `where`, ONNX `Where`. Each element's gradient goes
 * to the operand that it came from; the condition has none. What the other operand holds there, such as NaN, has no effect.
 *
 * @example where(greater(x, 0), x, 0)
 * @param condition of any type; NaN counts as not 0
 * @param a result where the condition holds: a float32 or int32 tensor, or a number
 * @param b result elsewhere, of the type of `a`
 * @throws DTypeError unless `a` and `b` have one type, float32 or int32; ShapeError if the shapes cannot be broadcast
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  checkSameBackend('where', condition);
  const known = [a, b].find(isTensor);
  for (const each of [a, b])
    if (typeof each !== 'number' && !isTensor(each))
      throw new ValueError(`where: an operand is ${show(each)}, expected a tensor or a number`);
  const dtype = known?.dtype ?? (isFloat(condition.dtype) ? condition.dtype : 'float32');
  const lift = (value: Operand): Tensor => {
    if (typeof value !== 'number') return value;
    checkScalar('where', value, dtype);
    return full([], value, { dtype, backend: condition.backend });
  };
  const [x, y] = [lift(a), lift(b)];
  checkSameBackend('where', condition, x, y);
  if (x.dtype !== y.dtype || (!isFloat(dtype) && dtype !== 'int32'))
    throw new DTypeError(`where: got ${x.dtype} and ${y.dtype} tensors, expected one type, float32 or int32; use cast()`);
  const shape = broadcastShape('where', broadcastShape('where', x.shape, y.shape), condition.shape);
  const chosen = choice(condition, shape);
  const result = chooseBetween(chosen, filled(x, shape), filled(y, shape), x, y);
  for (const made of [chosen, ...(x === a ? [] : [x]), ...(y === b ? [] : [y])]) made.release('where');
  return result;
}

/** The condition as int32 or float, of the full shape. */
function choice(condition: Tensor, shape: Shape): Tensor {
  const plain = condition.dtype === 'uint8' ? cast(condition, 'int32') : condition.detach();
  if (sameShape(plain.shape, shape)) return plain;
  const full = expand(plain, shape);
  plain.release('where');
  return full;
}

/** A copy of x that is repeated to the shape, or an alias if it has the shape. Its gradient is computed by `where` itself. */
const filled = (x: Tensor, shape: Shape): Tensor => {
  const plain = x.detach();
  if (sameShape(x.shape, shape)) return plain;
  const result = expand(plain, shape);
  plain.release('where');
  return result;
};

function chooseBetween(condition: Tensor, whole: Tensor, other: Tensor, x: Tensor, y: Tensor): Tensor {
  const { shape, dtype, backend } = whole;
  const result = empty('where', shape, dtype, backend);
  if (result.size > 0) backend.select(result.storage, condition.storage, whole.storage, other.storage);
  for (const made of [whole, other]) made.release('where');
  if (!isFloat(dtype)) return result;
  return record('where', result, [x, y], [condition], (dy, [condition], needs) => {
    const zero = empty('where backward', shape, dtype, backend, false);
    backend.fill(zero.storage, 0);
    const part = (yes: Tensor, no: Tensor, like: Tensor) => {
      const d = empty('where backward', shape, dtype, backend, false);
      if (d.size > 0) backend.select(d.storage, condition.storage, yes.storage, no.storage);
      return unbroadcast(d, like.shape);
    };
    const gradients = [needs[0] ? part(dy, zero, x) : null, needs[1] ? part(zero, dy, y) : null];
    zero.release('backward()');
    return gradients;
  });
}
