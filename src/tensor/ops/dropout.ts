/** Dropout (Srivastava et al. 2014). */
import { ValueError } from '../../backend/errors.js';
import { record } from '../autograd.js';
import { dropoutGenerator, type Generator } from '../random.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/**
 * Zeroes each element with the given probability and divides the others by 1 − probability. For training: in evaluation
 * leave it out. PyTorch `dropout`. The mask is drawn from a counter-based generator, so it is drawn again rather than kept.
 *
 * @param generator default: the one that `manualSeed` seeds
 */
export function dropout(x: Tensor, probability = 0.5, generator: Generator = dropoutGenerator()): Tensor {
  checkFloat('dropout', x);
  if (!(probability >= 0 && probability < 1))
    throw new ValueError(`dropout: probability is ${probability}, expected at least 0 and below 1`);
  const p = { probability, seed: generator.seed, counter: generator.take(x.size) };
  const y = empty('dropout', x.shape, x.dtype, x.backend);
  x.backend.dropout(y.storage, x.storage, p);
  return record('dropout', y, [x], [], (dy) => {
    const dx = empty('dropout backward', dy.shape, dy.dtype, dy.backend, false);
    dy.backend.dropout(dx.storage, dy.storage, p);
    return [dx];
  });
}
