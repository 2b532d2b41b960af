/** Dropout (Srivastava et al. 2014). */
import { ShapeError } from '../../backend/errors.js';
import { checkArgument, type Rule, rule } from '../../backend/validate.js';
import { record } from '../graph/autograd.js';
import { defineOp } from '../graph/define_op.js';
import { dropoutGenerator, type Generator, generatorRule } from '../random.js';
import { checkFloat, empty, ones, type Tensor } from '../tensor.js';
import { mul } from './arithmetic.js';

/** @internal */
export const probabilityRule: Rule = rule('a number from 0 to below 1', (value) => typeof value === 'number' && value >= 0 && value < 1);

/**
 * Dropout: sets each element to zero with the given probability and divides the others by 1 − probability. Always active; do not call it
 * in evaluation. PyTorch `dropout`.
 *
 * The mask comes from a counter-based generator, so that the backward step can compute it again instead of storing it.
 *
 * @example dropout(x, 0.5, new Generator(1))
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

const dropped = /* @__PURE__ */ defineOp<{ probability: number; generator: Generator }>({
  name: 'dropout2d',
  forward(ctx, [x], { probability, generator }) {
    const { backend, dtype } = x;
    const mask = dropout(ones([x.shape[0], x.shape[1], 1, 1], { backend, dtype }), probability, generator);
    ctx.save(mask);
    return mul(x, mask);
  },
  backward: ({ saved: [mask] }, dy) => [mul(dy, mask)],
});

/**
 * Dropout of whole maps: sets each map of each image to zero with the given probability and divides the others by 1 − probability. Always
 * active; do not call it in evaluation. PyTorch `dropout2d`.
 *
 * @example dropout2d(x, 0.2)
 * @param x [N, C, H, W]
 * @param probability from 0 to below 1. Default 0.5
 * @param generator default: the global generator for dropout, which `manualSeed` seeds
 * @throws ShapeError for an input that is not [N, C, H, W]
 */
export function dropout2d(x: Tensor, probability = 0.5, generator: Generator = dropoutGenerator()): Tensor {
  checkFloat('dropout2d', x);
  checkArgument('dropout2d', 'probability', probability, probabilityRule);
  checkArgument('dropout2d', 'generator', generator, generatorRule);
  if (x.rank !== 4) throw new ShapeError(`dropout2d: input has shape [${x.shape}], expected [N, C, H, W]`);
  return dropped(x, { probability, generator });
}
