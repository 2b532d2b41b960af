/** Calls the user's function `preprocess` on the backend of the model. */
import type { Example } from '../data/dataset.js';
import { backendOfLayers } from '../nn/backend_of.js';
import type { LayeredModel } from '../nn/index.js';
import { type Tensor, withBackend } from '../tensor/index.js';

/**
 * Returns the input that `preprocess` makes of examples. The tensors that it creates without naming a backend are created on that of
 * the model, whatever the default backend is.
 */
export function prepare(model: LayeredModel, preprocess: (examples: Example[]) => Tensor, examples: readonly Example[]): Tensor {
  const backend = backendOfLayers(model);
  if (!backend) return preprocess([...examples]);
  let input: Tensor | null = null;
  // The result is not returned from the inner function: if it is a promise, the caller refuses it in the name of its own option.
  withBackend(backend, () => {
    input = preprocess([...examples]);
  });
  return input as unknown as Tensor;
}
