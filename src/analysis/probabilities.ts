/** Class probabilities from the output of a network's last layer. */
import type { LayeredModel } from '../nn/index.js';
import { softmax, type Tensor } from '../tensor/index.js';

/** Name of the last layer, whose outputs are the class scores. */
export const answerLayer = (model: LayeredModel): string => model.layerNames().at(-1)!;

/**
 * Probabilities [N, classes]: by the model's own `probabilities` if it has that method, the output itself if the last layer is a softmax,
 * otherwise the softmax of the output.
 *
 * @param output output of the last layer, [N, classes] or [N, classes, 1, 1]
 */
export function probabilitiesOf(model: LayeredModel, output: Tensor): Tensor {
  if (model.probabilities) return model.probabilities(output);
  const rows = output.reshape([output.shape[0], -1]);
  return model.layer(answerLayer(model)).kind === 'Softmax' ? rows : softmax(rows);
}
