/** Dropout (Srivastava et al. 2014). */
import { checkArgument, type Rule, rule } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { dropoutGenerator, type Generator, generatorRule } from '../random.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/** @internal */
export const probabilityRule: Rule = rule('a number from 0 to below 1', (value) => typeof value === 'number' && value >= 0 && value < 1);

/**
 * Dropout: sets each element to zero with the given probability and divides the others by 1 − probability. Always active; do not call it
 * in evaluation. PyTorch `dropout`.
 *
 * The mask comes from a counter-based generator, so that the backward step can compute it again instead of storing it.
 *
 * @param probability from 0 to below 1. Default 0.5
 * @param generator default: the global generator for dropout, which `manualSeed` seeds
 */
export function dropout(x: Tensor, probability = 0.5, generator: Generator = dropoutGenerator()): Tensor {
  checkFloat('dropout', x);
  checkArgument('dropout', 'probability', probability, probabilityRule);
  checkArgument('dropout', 'generator', generator, generatorRule);
  const p = { probability, seed: generator.seed, counter: generator.next(x.size) };
  const y = empty('dropout', x.shape, x.dtype, x.backend);
  x.backend.dropout(y.storage, x.storage, p);
  return record('dropout', y, [x], [], (dy) => {
    const dx = empty('dropout backward', dy.shape, dy.dtype, dy.backend, false);
    dy.backend.dropout(dx.storage, dy.storage, p);
    return [dx];
  });
}
