/** The maps of a layer that respond most strongly to one image. */
import { checkArgument, integer } from '../../backend/validate.js';
import { evaluating } from '../../nn/evaluating.js';
import type { LayeredModel } from '../../nn/index.js';
import { checkImageTensor, checkModel } from '../../nn/rules.js';
import { noGrad, type Tensor } from '../../tensor/index.js';
import { checkLayer } from '../rules.js';

/**
 * The maps with the strongest activations in an image, in descending order. Maps without an activation above zero are left out.
 *
 * @example const [strongest] = await strongestMaps(model, image, 'conv5', 1);
 * @param image [1, C, H, W]
 * @param count largest number of maps to return
 */
export async function strongestMaps(model: LayeredModel, image: Tensor, layer: string, count: number): Promise<number[]> {
  checkModel('strongestMaps', model);
  checkImageTensor('strongestMaps', image);
  checkLayer('strongestMaps', model, layer);
  checkArgument('strongestMaps', 'count', count, integer(1));
  const feature = model.featureLayer(layer);
  const maxima = evaluating(model, () =>
    noGrad(() => {
      const output = model.activations(image, [feature])[feature];
      return output.reshape([output.shape[1], output.size / output.shape[1]]).max({ axes: 1 });
    }),
  );
  const values = await maxima.data();
  maxima.dispose();
  return Array.from(values.keys())
    .filter((map) => values[map] > 0)
    .sort((a, b) => values[b] - values[a] || a - b)
    .slice(0, count);
}
