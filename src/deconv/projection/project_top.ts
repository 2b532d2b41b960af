/** The pictures of Fig. 2 of the paper: projects the strongest activations of each map to the pixels of their images. */
import { arrayOf, checkArgument, checkFields, func, integer, type RulesFor, text } from '../../backend/validate.js';
import type { Example, Split } from '../../data/dataset.js';
import { split as splitRule } from '../../data/rules.js';
import type { LayeredModel } from '../../nn/index.js';
import { aTensor, checkModel } from '../../nn/rules.js';
import type { Tensor } from '../../tensor/index.js';
import type { MapActivations, StrongActivation } from '../activations/top_activations.js';
import { projectBatch } from '../deconvnet.js';
import type { ProjectionRules } from '../options.js';
import { prepare } from '../prepare.js';
import { checkLayer, mapActivations, projectionRules } from '../rules.js';

/** A strong activation with its projection and its image. */
export interface ProjectedActivation extends StrongActivation {
  /** [C, H, W], with the size and in the units of the network's input, signed. */
  projection: Float32Array;
  /** The image with the activation. */
  example: Example;
}

/** A map with the projections of its strongest activations. */
export interface ProjectedMap extends Omit<MapActivations, 'strongest'> {
  /** The activations in descending order, each with its projection to pixels. */
  strongest: ProjectedActivation[];
}

/** Options of `projectTop`. */
export interface ProjectTopOptions extends ProjectionRules {
  /** The layer that `maps` are from. */
  layer: string;
  /** Prepares images as in `topActivations`. */
  preprocess: (examples: Example[]) => Tensor;
  /** Activations per backward pass. Default 32. */
  batchSize?: number;
  /** Called after each batch with the number of activations that are projected, and their total. */
  onProgress?: (done: number, total: number) => void;
}

const OPTIONS: RulesFor<ProjectTopOptions> = {
  ...projectionRules,
  layer: text,
  preprocess: func,
  batchSize: integer(1),
  onProgress: func,
};

/**
 * Projections of the strongest activations of some maps of one layer, in batches.
 *
 * @example
 * const { conv5 } = await topActivations(model, dataset.splits.val, { layers: ['conv5'], preprocess: prepare });
 * const [{ strongest }] = await projectTop(model, dataset.splits.val, conv5.slice(0, 1), { layer: 'conv5', preprocess: prepare });
 * @param maps as returned by `topActivations` for the layer
 */
export async function projectTop(
  model: LayeredModel,
  split: Split,
  maps: readonly MapActivations[],
  options: ProjectTopOptions,
): Promise<ProjectedMap[]> {
  checkModel('projectTop', model);
  checkArgument('projectTop', 'split', split, splitRule);
  checkArgument('projectTop', 'maps', maps, arrayOf(mapActivations));
  checkFields('projectTop', options, OPTIONS, ['layer', 'preprocess']);
  const { layer, preprocess, batchSize = 32, onProgress, mode, overlap } = options;
  checkLayer('projectTop', model, layer);
  const wanted = maps.flatMap(({ map, strongest }) => strongest.map((activation) => ({ map, activation })));
  const projected: ProjectedActivation[] = [];
  for (let start = 0; start < wanted.length; start += batchSize) {
    const part = wanted.slice(start, start + batchSize);
    const examples = await Promise.all(part.map(({ activation }) => split.get(activation.index)));
    const images = prepare(model, preprocess, examples);
    checkArgument('projectTop', 'the result of preprocess', images, aTensor);
    const places = part.map(({ map, activation }) => ({ map, position: activation.position }));
    const { pictures } = await projectBatch(model, images, layer, places, { mode, overlap });
    const pixels = Float32Array.from(await pictures.data());
    images.dispose();
    pictures.dispose();
    const size = pixels.length / part.length;
    for (const [i, { activation }] of part.entries()) {
      projected.push({ ...activation, projection: pixels.slice(i * size, (i + 1) * size), example: examples[i] });
    }
    onProgress?.(projected.length, wanted.length);
  }
  let taken = 0;
  return maps.map((map) => ({ ...map, strongest: map.strongest.map(() => projected[taken++]) }));
}
