/** Limits the norm of gradients, so that single large ones do not destabilise training (Pascanu et al. 2013). */
import { IN_PLACE } from '../../backend/backend.js';
import { arrayOf, checkArgument, numeric, rule } from '../../backend/validate.js';
import { Tensor, zeros } from '../../tensor/index.js';
import { checkFloat, empty } from '../../tensor/tensor.js';

const tensorsRule = arrayOf(rule('a tensor', (value) => value instanceof Tensor));
const maxRule = rule('a number of at least 0', (value) => numeric.test(value) && (value as number) >= 0);

/** Keeps the factor finite for gradients of 0. PyTorch's value. */
const EPSILON = 1e-6;

/**
 * Scales all gradients together so that their joint Euclidean norm is at most `max`. Returns the norm before scaling, a scalar that does
 * not need to be read: everything is computed on the backend. Call it between `backward()` and `step()`. PyTorch `clip_grad_norm_`.
 *
 * @example const norm = await clipGradNorm(model.parameters(), 1).item();
 * @param params tensors whose `grad` is scaled; those without one count as 0
 * @param max limit of the norm; `Infinity` computes the norm only
 * @throws ValueError for invalid arguments; DTypeError or BackendError for gradients of different types or on different backends
 */
export function clipGradNorm(params: readonly Tensor[], max: number): Tensor {
  checkArgument('clipGradNorm', 'the parameters', params, tensorsRule);
  checkArgument('clipGradNorm', 'max', max, maxRule);
  const gradients = [...new Set(params)].flatMap(({ grad }) => grad ?? []);
  if (gradients.length === 0) return zeros([], params[0] && { backend: params[0].backend, dtype: params[0].dtype });
  checkFloat('clipGradNorm', ...gradients);
  const [{ backend, dtype }] = gradients;
  const scalar = { shape: [1], stridesA: [0], stridesB: [0] };
  const norm = empty('clipGradNorm', [], dtype, backend);
  const part = empty('clipGradNorm', [], dtype, backend, false);
  backend.fill(norm.storage, 0);
  for (const gradient of gradients) {
    backend.sumSquares(part.storage, gradient.storage);
    backend.binary(norm.storage, IN_PLACE, part.storage, 'add', scalar);
  }
  backend.unary(norm.storage, IN_PLACE, 'sqrt');
  if (max !== Number.POSITIVE_INFINITY) {
    // factor = min(max / (norm + ε), 1), in the buffer of `part`
    backend.affine(part.storage, norm.storage, 1, EPSILON);
    backend.unary(part.storage, IN_PLACE, 'reciprocal');
    backend.affine(part.storage, IN_PLACE, max, 0);
    const one = empty('clipGradNorm', [], dtype, backend, false);
    backend.fill(one.storage, 1);
    backend.binary(part.storage, IN_PLACE, one.storage, 'min', scalar);
    one.dispose();
    for (const { writable, size } of gradients)
      backend.binary(writable, IN_PLACE, part.storage, 'mul', { shape: [size], stridesA: [1], stridesB: [0] });
  }
  part.dispose();
  return norm;
}
