/** Which patch of the image an activation sees, for the models that the deconvnet takes. */
import { arrayOf, checkArgument, finite, func, integer, objectWith, text } from '../../backend/validate.js';
import { type LayeredModel, patchOf, receptiveField } from '../../nn/index.js';
import type { Shape } from '../../tensor/index.js';

/** [y0, x0, y1, x1] in pixels, end exclusive, clipped to the image. */
export type Patch = [number, number, number, number];

/** From a place in a map to the patch of the image behind it. */
export type PatchFinder = (position: readonly [number, number]) => Patch;

function checkField(op: string, model: LayeredModel, layer: string, input: Shape): void {
  checkArgument(op, 'the model', model, objectWith('a network of named layers', { featureLayer: func }));
  checkArgument(op, 'layer', layer, text);
  checkArgument(op, 'input', input, arrayOf(integer(), 2));
}

/**
 * The patch finder of a layer, by receptive field arithmetic. A model that is not a plain row of layers, and a layer whose
 * units have no place in the image, are taken to see all of it.
 *
 * @param input shape of the images: [N, C, H, W]
 */
export function patchFinder(model: LayeredModel, layer: string, input: Shape): PatchFinder {
  checkField('patchFinder', model, layer, input);
  const [height, width] = input.slice(-2);
  const field = receptiveField(model, model.featureLayer(layer));
  return (position) => {
    checkArgument('patchFinder', 'position', position, arrayOf(finite(), 2, 2));
    return patchOf(field, position[0], position[1], height, width);
  };
}

/** [height, width] of what one activation of a layer sees, no larger than the image. Parameters as `patchFinder`. */
export function fieldSize(model: LayeredModel, layer: string, input: Shape): [number, number] {
  checkField('fieldSize', model, layer, input);
  const [height, width] = input.slice(-2);
  const field = receptiveField(model, model.featureLayer(layer));
  return field ? [Math.min(field[0].size, height), Math.min(field[1].size, width)] : [height, width];
}
