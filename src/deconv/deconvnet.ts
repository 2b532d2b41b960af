/**
 * The deconvnet (Zeiler & Fergus 2013, section 2): from one activation back down to the pixels that caused it.
 *
 * There are no kernels here. The forward pass is recorded as for training, with the pools' switches; the way down is the
 * same walk that computes gradients, under the rules of `RULES.deconvnet`: unpool, rectify, filter transposed.
 */
import { arrayOf, checkArgument, checkFields, checkOptions, integer, objectWith, type RulesFor, show, text } from '../backend/validate.js';
import { evaluating } from '../nn/evaluating.js';
import type { LayeredModel } from '../nn/index.js';
import { aTensor, checkImageTensor, checkModel } from '../nn/rules.js';
import { type BackwardRules, backward, RULES, ShapeError, scope, type Tensor, tensor, ValueError } from '../tensor/index.js';

import type { ActivationPlace, ProjectionRules } from './options.js';
import { checkLayer, checkMap, placeRules, projectionRules } from './rules.js';

export interface ProjectOptions extends ActivationPlace, ProjectionRules {
  /** Layer name: `conv5`. A convolution or linear layer followed by a ReLU is looked at behind that ReLU. */
  layer: string;
}

export interface Projection {
  /** [C, H, W], in the input's own units, signed. */
  picture: Tensor;
  /** The activation that was projected. */
  value: number;
  position: [number, number];
}

export interface BatchProjection {
  /** [N, C, H, W]: what each image's activation projects to. */
  pictures: Tensor;
  /** The activations that were projected, one an image. */
  activations: { map: number; value: number; position: [number, number] }[];
}

export interface Deconvnet {
  /** The picture alone: [C, H, W]. See `projectActivation` for where it was and how strong. */
  project(image: Tensor, options: ProjectOptions): Promise<Tensor>;
  projectActivation(image: Tensor, options: ProjectOptions): Promise<Projection>;
}

/**
 * Makes the deconvnet of any layered model of convolutions, ReLUs, poolings and normalisations. The model runs in
 * evaluation mode meanwhile. Biases play no part; contrast normalisation is passed through in mode `deconvnet`.
 */
export function deconvnet(model: LayeredModel): Deconvnet {
  checkModel('deconvnet', model);
  const projectActivation = (image: Tensor, options: ProjectOptions) => projectOne(model, image, options);
  return { projectActivation, project: async (image, options) => (await projectActivation(image, options)).picture };
}

const PROJECT_OPTIONS: RulesFor<ProjectOptions> = { ...projectionRules, ...placeRules, layer: text };

/** A batch of one. */
async function projectOne(model: LayeredModel, image: Tensor, options: ProjectOptions): Promise<Projection> {
  checkImageTensor('project', image);
  checkFields('project', options, PROJECT_OPTIONS, ['layer', 'map']);
  const shape = image.shape.slice(-3);
  const batch = tensor(await image.data(), [1, ...shape], { backend: image.backend });
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
 * Projects one activation of each image of a batch, all in one forward pass and one walk down: the images of a batch do not
 * know each other, so a seed with one number an image gives every image its own picture.
 *
 * @param images [N, C, H, W]; left as they are
 * @param layer as `ProjectOptions.layer`
 * @param places which activation of which image, N of them
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
  const input = tensor(await images.data(), images.shape, { backend: images.backend, requiresGrad: true });
  let activation: Tensor | undefined;
  try {
    activation = evaluating(model, () => model.activations(input, [feature])[feature]);
    const output = activation;
    const values = await output.data();
    const chosen = places.map((place, n) => chooseActivation(values, output.shape, n, place, layer));
    const pictures = scope(() => {
      // All of the layer is zero but the chosen activations, which keep their values.
      const only = values.fill(0);
      for (const { index, value } of chosen) only[index] = value;
      const seed = tensor(only, output.shape, { backend: images.backend });
      return backward(output, { seed, rules, wrt: [input] })[0];
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

/** @internal Throws unless every place is an object with a map. */
export function checkPlaces(op: string, places: readonly ActivationPlace[]): void {
  checkArgument(op, 'places', places, arrayOf(objectWith('an object { map, position? }', { map: integer() })));
}

interface Chosen {
  /** Place among all values of the batch. */
  index: number;
  map: number;
  value: number;
  position: [number, number];
}

/** @internal The activation of image `n` that a place means. @param shape [N, maps, H, W] or [N, units] */
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
