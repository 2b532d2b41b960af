/** From what a network's last layer gives to the probabilities of its classes. */
import type { LayeredModel } from '../nn/index.js';
import { softmax, type Tensor } from '../tensor/index.js';

/** Name of the layer that gives the answers. */
export const answerLayer = (model: LayeredModel): string => model.layerNames().at(-1)!;

/**
 * Probabilities [N, classes], by the network's own reading of its scores if it has one, else by softmax unless the network ends in one.
 *
 * @param output what the last layer gives, [N, classes] or [N, classes, 1, 1]
 */
export function probabilitiesOf(model: LayeredModel, output: Tensor): Tensor {
  if (model.probabilities) return model.probabilities(output);
  const rows = output.reshape([output.shape[0], -1]);
  return model.layer(answerLayer(model)).kind === 'Softmax' ? rows : softmax(rows);
}
