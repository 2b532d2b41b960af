/** Running a network in evaluation mode for a while. */
import { checkArgument, func } from '../backend/validate.js';
import type { LayeredModel } from './layered_model.js';
import { checkModel } from './rules.js';

/**
 * Returns the result of `fn`, run while the model is in evaluation mode (no dropout). The earlier mode is restored afterwards, also when
 * `fn` throws. `fn` must be synchronous.
 *
 * @example const logits = evaluating(model, () => noGrad(() => model.forward(images)));
 */
export function evaluating<T>(model: LayeredModel, fn: () => T): T {
  checkModel('evaluating', model);
  checkArgument('evaluating', 'fn', fn, func);
  const { training } = model;
  model.train(false);
  try {
    return fn();
  } finally {
    model.train(training);
  }
}
