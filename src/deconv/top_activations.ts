/** What a feature map looks for: the images of a split that it answers most strongly (paper, Fig. 2), found in one pass. */
import type { Example, Split } from '../data/dataset.js';
import type { DataError } from '../data/errors.js';
import { batches } from '../data/loader.js';
import type { LayeredModel } from '../nn/index.js';
import { noGrad, RangeOfValueError, type Tensor } from '../tensor/index.js';
import { evaluating } from './deconvnet.js';
import { type Patch, type PatchFinder, patchFinder } from './receptive_fields.js';

/** A map's strongest activation in one image. */
export interface StrongActivation {
  /** Place of the image in the split. */
  index: number;
  value: number;
  /** [y, x] within the map; of equal activations the first in row-major order. */
  position: [number, number];
  /** What of the image that activation sees. */
  patch: Patch;
}

export interface MapActivations {
  map: number;
  /** Falling by value, one an image; images that tie come in the order of the split. */
  strongest: StrongActivation[];
  /** Mean over all images of the map's strongest activation in each. */
  mean: number;
  /** Share of the images in which the map is above zero anywhere; 0 for a dead map. */
  active: number;
}

export interface TopActivationsOptions {
  /** Layer names, as `ProjectOptions.layer`. */
  layers: readonly string[];
  /** Which maps; those that a layer does not have are left out of it. Default all. */
  maps?: readonly number[];
  /** Images kept for each map. Default 9, as in the paper. */
  count?: number;
  /** Images a forward pass. Default 64. */
  batchSize?: number;
  /** Makes the network's input [N, C, H, W] of the images of a batch, as in training. */
  preprocess: (examples: Example[]) => Tensor;
  /** Called after each batch with the number of images seen, and of all. */
  onProgress?: (done: number, total: number) => void;
  /** Called with images that cannot be read, which are left out; without it the error is thrown. */
  onBroken?: (error: DataError) => void;
}

/**
 * The strongest activations of every map of the named layers, by layer name. Each batch goes through the model once for all
 * layers, and only two numbers a map and image come back from the backend; what is kept does not grow with the split.
 *
 * @throws RangeOfValueError for a layer that is not there, naming those that are
 */
export async function topActivations(
  model: LayeredModel,
  split: Split,
  options: TopActivationsOptions,
): Promise<Record<string, MapActivations[]>> {
  const { layers, count = 9, batchSize = 64, preprocess, onProgress, onBroken } = options;
  if (!Number.isInteger(count) || count < 1) throw new RangeOfValueError(`topActivations: count is ${count}, expected at least 1`);
  const features = layers.map((layer) => model.featureLayer(layer));
  const boards: LayerBoard[] = [];
  let seen = 0;
  for await (const examples of batches(split, { batchSize, onBroken })) {
    const { input, maxima } = evaluating(model, () => noGrad(() => batchMaxima(model, preprocess(examples), features)));
    for (const [i, { value, place, shape }] of maxima.entries()) {
      boards[i] ??= new LayerBoard(shape, patchFinder(model, layers[i], input), count, options.maps);
      boards[i].add(
        examples.map((example) => example.index),
        await value.data(),
        await place.data(),
      );
      value.dispose();
      place.dispose();
    }
    seen += examples.length;
    onProgress?.(seen, split.length);
  }
  return Object.fromEntries(layers.map((layer, i) => [layer, boards[i]?.results() ?? []]));
}

interface LayerMaxima {
  /** [N · maps] */
  value: Tensor;
  /** [N · maps], y · W + x within the map, int32 */
  place: Tensor;
  /** Of the layer's output: [N, maps, H, W] or [N, units]. */
  shape: readonly number[];
}

function batchMaxima(model: LayeredModel, x: Tensor, features: readonly string[]) {
  const outputs = model.activations(x, features);
  const maxima = features.map((feature): LayerMaxima => {
    const { shape } = outputs[feature];
    const [n, maps, height = 1, width = 1] = shape;
    const planes = outputs[feature].reshape([n * maps, height * width]);
    return { value: planes.max({ axes: 1 }), place: planes.argmax({ axis: 1 }), shape };
  });
  return { input: x.shape, maxima };
}

/** The best images so far of every map of one layer. */
class LayerBoard {
  private readonly maps: readonly number[];
  private readonly strongest: StrongActivation[][];
  private readonly sums: Float64Array;
  private readonly active: Float64Array;
  private images = 0;

  constructor(
    private readonly shape: readonly number[],
    private readonly patch: PatchFinder,
    private readonly count: number,
    wanted: readonly number[] | undefined,
  ) {
    this.maps = wanted?.filter((map) => map < shape[1]) ?? Array.from({ length: shape[1] }, (_, map) => map);
    this.strongest = this.maps.map(() => []);
    this.sums = new Float64Array(this.maps.length);
    this.active = new Float64Array(this.maps.length);
  }

  /** @param values strongest activation of each map, image after image; `places` likewise */
  add(indices: readonly number[], values: ArrayLike<number>, places: ArrayLike<number>): void {
    const width = this.shape[3] ?? 1;
    for (const [n, index] of indices.entries()) {
      for (const [i, map] of this.maps.entries()) {
        const at = n * this.shape[1] + map;
        const value = values[at];
        this.sums[i] += value;
        if (value > 0) this.active[i]++;
        const best = this.strongest[i];
        // Images come in rising order, so one that only equals the weakest kept stays out.
        if (best.length === this.count && !(value > best[best.length - 1].value)) continue;
        const position: [number, number] = [Math.floor(places[at] / width), places[at] % width];
        const rank = best.findIndex((kept) => value > kept.value);
        best.splice(rank < 0 ? best.length : rank, 0, { index, value, position, patch: this.patch(position) });
        if (best.length > this.count) best.pop();
      }
    }
    this.images += indices.length;
  }

  results(): MapActivations[] {
    return this.maps.map((map, i) => ({
      map,
      strongest: this.strongest[i],
      mean: this.sums[i] / this.images,
      active: this.active[i] / this.images,
    }));
  }
}
