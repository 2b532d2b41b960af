/** Image patches in the receptive fields of activations. */
import { arrayOf, checkArgument, finite, func, integer, objectWith, text } from '../../backend/validate.js';
import { type LayeredModel, patchOf, receptiveField } from '../../nn/index.js';
import type { Shape } from '../../tensor/index.js';

/** [y0, x0, y1, x1] in pixels, end exclusive, clipped to the image. */
export type Patch = [number, number, number, number];

/** Returns the patch of the image in the receptive field of the activation at [y, x]. */
export type PatchFinder = (position: readonly [number, number]) => Patch;

function checkField(op: string, model: LayeredModel, layer: string, input: Shape): void {
  checkArgument(op, 'the model', model, objectWith('a network of named layers', { featureLayer: func }));
  checkArgument(op, 'layer', layer, text);
  checkArgument(op, 'input', input, arrayOf(integer(), 2));
}

/**
 * Returns the patch finder of a layer. Patches follow from the receptive field; they are the whole image if the model does not report
 * receptive fields or the layer's units have no position in the image.
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

/** [height, width] of a layer's receptive field in pixels, at most the size of the image. Parameters as `patchFinder`. */
export function fieldSize(model: LayeredModel, layer: string, input: Shape): [number, number] {
  checkField('fieldSize', model, layer, input);
  const [height, width] = input.slice(-2);
  const field = receptiveField(model, model.featureLayer(layer));
  return field && field !== 'unknown' ? [Math.min(field[0].size, height), Math.min(field[1].size, width)] : [height, width];
}
