/** Projects activations of many feature maps in one image. */
import { checkOptions, func, integer, type RulesFor } from '../../backend/validate.js';
import type { LayeredModel } from '../../nn/index.js';
import { checkImageTensor, checkModel } from '../../nn/rules.js';
import type { Tensor } from '../../tensor/index.js';
import { checkPlaces, chooseActivation, projectBatch, rulesFor } from '../deconvnet.js';
import type { ActivationPlace, ProjectionRules } from '../options.js';
import { checkLayer, projectionRules } from '../rules.js';
import { LocalWalk } from './local_walk.js';

/** Projection of one activation, as `projectMaps` returns. */
export interface MapProjection {
  /** Index of the projected map among the layer's output channels, from 0. */
  map: number;
  /** The activation that was projected. */
  value: number;
  /** [y, x] of the projected activation within its map, counted from the top left. */
  position: [number, number];
  /** [C, H, W], with the size and in the units of the image, signed. */
  projection: Float32Array;
}

/** Options of `projectMaps`. */
export interface ProjectMapsOptions extends ProjectionRules {
  /** Number of activations projected at once, which bounds the memory. Default 16. */
  chunk?: number;
  /** Called after each chunk with the number of activations that are projected, and their total. */
  onProgress?: (done: number, total: number) => void;
}

const OPTIONS: RulesFor<ProjectMapsOptions> = { ...projectionRules, chunk: integer(1), onProgress: func };

/**
 * Projections of many activations of one layer in one image. In a `Sequential` of convolutions, ReLUs, max poolings and normalisations,
 * the image runs forward once and each activation is projected in its receptive window; other models use `projectBatch`.
 *
 * @example const projections = await projectMaps(model, image, 'conv5', [{ map: 3 }, { map: 4 }]);
 * @param image [1, C, H, W] or [C, H, W]
 * @param layer as `ProjectOptions.layer`
 * @throws ValueError for a layer, a map or a position that does not exist
 */
export async function projectMaps(
  model: LayeredModel,
  image: Tensor,
  layer: string,
  places: readonly ActivationPlace[],
  options: ProjectMapsOptions = {},
): Promise<MapProjection[]> {
  checkModel('projectMaps', model);
  checkImageTensor('projectMaps', image);
  checkLayer('projectMaps', model, layer);
  checkPlaces('projectMaps', places);
  checkOptions('projectMaps', options, OPTIONS);
  const { chunk = 16, onProgress } = options;
  const shape = image.shape.slice(-3);
  const input = image.alias([1, ...shape], true);
  const walk = await LocalWalk.record(model, model.featureLayer(layer), input, rulesFor(options));
  try {
    const values = walk && (await walk.feature.data());
    const found: MapProjection[] = [];
    for (let start = 0; start < places.length; start += chunk) {
      const part = places.slice(start, start + chunk);
      if (walk && values) {
        const chosen = part.map((place) => chooseActivation(values, walk.feature.shape, 0, place, layer));
        const projections = await walk.project(chosen);
        found.push(...chosen.map(({ map, value, position }, k) => ({ map, value, position, projection: projections[k] })));
      } else {
        const images = input.expand([part.length, ...shape]);
        const { pictures, activations } = await projectBatch(model, images, layer, part, { mode: options.mode, overlap: options.overlap });
        const all = Float32Array.from(await pictures.data());
        found.push(...activations.map((activation, k) => ({ ...activation, projection: all.slice(k * image.size, (k + 1) * image.size) })));
        images.dispose();
        pictures.dispose();
      }
      onProgress?.(found.length, places.length);
    }
    return found;
  } finally {
    walk?.dispose();
    input.dispose();
  }
}
