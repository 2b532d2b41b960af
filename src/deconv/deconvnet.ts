/**
 * The deconvnet (Zeiler & Fergus 2013, section 2): projects one activation down to the pixels that caused it.
 *
 * The forward pass is recorded as in training, including the switches of max pooling. The projection is the backward pass of training
 * under other rules, `RULES.deconvnet`: unpool, rectify, filter with the transposed weights.
 */
import { arrayOf, checkArgument, checkFields, checkOptions, integer, objectWith, type RulesFor, show, text } from '../backend/validate.js';
import { evaluating } from '../nn/evaluating.js';
import type { LayeredModel } from '../nn/index.js';
import { aTensor, checkImageTensor, checkModel } from '../nn/rules.js';
import { type BackwardRules, backward, RULES, ShapeError, scope, type Tensor, tensor, ValueError } from '../tensor/index.js';

import type { ActivationPlace, ProjectionRules } from './options.js';
import { checkLayer, checkMap, placeRules, projectionRules } from './rules.js';

/** Options of a projection: the activation and the rules. */
export interface ProjectOptions extends ActivationPlace, ProjectionRules {
  /** Layer name, such as `conv5`. For a convolution or linear layer followed by a ReLU, the activations after the ReLU are used. */
  layer: string;
}

/** Projection of one activation of an image. */
export interface Projection {
  /** [C, H, W], in the units of the network's input, signed. */
  picture: Tensor;
  /** The activation that was projected. */
  value: number;
  /** [y, x] of the projected activation within its map, counted from the top left. */
  position: [number, number];
}

/** Result of `projectBatch`. */
export interface BatchProjection {
  /** The projection of one activation per image, [N, C, H, W]. */
  pictures: Tensor;
  /** The activations that were projected, one per image. */
  activations: { map: number; value: number; position: [number, number] }[];
}

/** The deconvnet of a model, as `deconvnet` returns. */
export interface Deconvnet {
  /** The projection of one activation of an image, [C, H, W]. `projectActivation` also returns its position and value. */
  project(image: Tensor, options: ProjectOptions): Promise<Tensor>;
  /** The projection of one activation of an image, with the position and the value of the activation. */
  projectActivation(image: Tensor, options: ProjectOptions): Promise<Projection>;
}

/**
 * Returns the deconvnet of a model. The model runs in evaluation mode during a projection. Biases have no effect on it; in mode
 * `deconvnet`, contrast normalisation passes the projected signal unchanged.
 *
 * @example const picture = await deconvnet(model).project(image, { layer: 'conv5', map: 3 });
 */
export function deconvnet(model: LayeredModel): Deconvnet {
  checkModel('deconvnet', model);
  const projectActivation = (image: Tensor, options: ProjectOptions) => projectOne(model, image, options);
  return { projectActivation, project: async (image, options) => (await projectActivation(image, options)).picture };
}

const PROJECT_OPTIONS: RulesFor<ProjectOptions> = { ...projectionRules, ...placeRules, layer: text };

/** Projects a batch of one image. */
async function projectOne(model: LayeredModel, image: Tensor, options: ProjectOptions): Promise<Projection> {
  checkImageTensor('project', image);
  checkFields('project', options, PROJECT_OPTIONS, ['layer', 'map']);
  const shape = image.shape.slice(-3);
  const batch = image.alias([1, ...shape], true);
  const { pictures, activations } = await projectBatch(model, batch, options.layer, [options], {
    mode: options.mode,
    overlap: options.overlap,
  });
  batch.dispose();
  const picture = pictures.reshape(shape);
  pictures.dispose();
  return { picture, value: activations[0].value, position: activations[0].position };
}

/**
 * Projects one activation of each image of a batch, in one forward and one backward pass. The images of a batch do not influence each
 * other, so one gradient with a single non-zero element per image yields the projection of every image.
 *
 * @example const { pictures } = await projectBatch(model, images, 'conv5', [{ map: 3 }, { map: 3 }]);
 * @param images [N, C, H, W]; not changed
 * @param layer as `ProjectOptions.layer`
 * @param places one activation per image
 * @throws ValueError for a map or a position that the layer does not have
 */
export async function projectBatch(
  model: LayeredModel,
  images: Tensor,
  layer: string,
  places: readonly ActivationPlace[],
  options: ProjectionRules = {},
): Promise<BatchProjection> {
  checkModel('projectBatch', model);
  checkArgument('projectBatch', 'images', images, aTensor);
  checkLayer('projectBatch', model, layer);
  checkPlaces('projectBatch', places);
  checkOptions('projectBatch', options, projectionRules);
  const rules = rulesFor(options);
  if (images.rank !== 4 || images.shape[0] !== places.length)
    throw new ShapeError(`project: images have shape [${images.shape}], expected [${places.length}, C, H, W] for ${places.length} places`);
  const feature = model.featureLayer(layer);
  const input = images.detach();
  input.requiresGrad = true;
  let activation: Tensor | undefined;
  try {
    activation = evaluating(model, () => model.activations(input, [feature])[feature]);
    const output = activation;
    const values = await output.data();
    const chosen = places.map((place, n) => chooseActivation(values, output.shape, n, place, layer));
    const pictures = scope(() => {
      // The gradient is zero except at the chosen activations, where it is their value.
      const only = values.fill(0);
      for (const { index, value } of chosen) only[index] = value;
      const gradient = tensor(only, output.shape, { backend: images.backend });
      return backward(output, { gradient, rules, wrt: [input] })[0];
    });
    return { pictures, activations: chosen.map(({ index: _, ...activation }) => activation) };
  } finally {
    activation?.dispose();
    input.dispose();
  }
}

/** @internal */
export function rulesFor({ mode = 'deconvnet', overlap = 'sum' }: ProjectionRules): BackwardRules {
  checkOptions('project', { mode, overlap }, projectionRules);
  return { ...RULES[mode], overlap };
}

/** @internal @throws ValueError unless every place is an object with a map */
export function checkPlaces(op: string, places: readonly ActivationPlace[]): void {
  checkArgument(op, 'places', places, arrayOf(objectWith('an object { map, position? }', { map: integer() })));
}

interface Chosen {
  /** Index in the flat values of the batch. */
  index: number;
  map: number;
  value: number;
  position: [number, number];
}

/**
 * @internal The activation of image `n` at a place, or the strongest one of the map if the place has no position.
 *
 * @param shape [N, maps, H, W] or [N, units]
 */
export function chooseActivation(
  values: ArrayLike<number>,
  shape: readonly number[],
  n: number,
  place: ActivationPlace,
  layer: string,
): Chosen {
  const [, maps, height = 1, width = 1] = shape;
  const { map, position } = place;
  checkMap('project', map, layer, maps);
  const plane = height * width;
  const start = (n * maps + map) * plane;
  let at = 0;
  if (position !== undefined) {
    const [y, x] = Array.isArray(position) && position.length === 2 ? position : [-1, -1];
    if (!(Number.isInteger(y) && Number.isInteger(x) && y >= 0 && x >= 0 && y < height && x < width)) {
      throw new ValueError(`project: position is ${show(position)}, the maps of layer ${layer} have ${height} rows and ${width} columns`);
    }
    at = y * width + x;
  } else {
    for (let i = 1; i < plane; i++) if (values[start + i] > values[start + at]) at = i;
  }
  return { index: start + at, map, value: values[start + at], position: [Math.floor(at / width), at % width] };
}
