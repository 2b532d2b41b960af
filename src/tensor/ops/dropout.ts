/** Dropout (Srivastava et al. 2014). */
import { checkArgument, type Rule, rule } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { dropoutGenerator, type Generator, generatorRule } from '../random.js';
import { checkFloat, empty, type Tensor } from '../tensor.js';

/** @internal */
export const probabilityRule: Rule = rule('a number from 0 to below 1', (value) => typeof value === 'number' && value >= 0 && value < 1);

/**
 * Zeroes each element with the given probability and divides the others by 1 − probability. For training: in evaluation
 * leave it out. PyTorch `dropout`. The mask is drawn from a counter-based generator, so it is drawn again rather than kept.
 *
 * @param generator default: the one that `manualSeed` seeds
 */
export function dropout(x: Tensor, probability = 0.5, generator: Generator = dropoutGenerator()): Tensor {
  checkFloat('dropout', x);
  checkArgument('dropout', 'probability', probability, probabilityRule);
  checkArgument('dropout', 'generator', generator, generatorRule);
  const p = { probability, seed: generator.seed, counter: generator.take(x.size) };
  const y = empty('dropout', x.shape, x.dtype, x.backend);
  x.backend.dropout(y.storage, x.storage, p);
  return record('dropout', y, [x], [], (dy) => {
    const dx = empty('dropout backward', dy.shape, dy.dtype, dy.backend, false);
    dy.backend.dropout(dx.storage, dy.storage, p);
    return [dx];
  });
}
