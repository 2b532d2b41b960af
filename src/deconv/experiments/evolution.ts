/** Evolution of features during training (paper, Fig. 4): the strongest image of each map after every epoch, and when layers settle. */

import { median } from '../../analysis/standing_out.js';
import { arrayOf, checkArgument, checkFields, func, integer, objectWith, type RulesFor, recordOf, text } from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { split as splitRule } from '../../data/rules.js';
import type { LayeredModel } from '../../nn/index.js';
import { checkModel } from '../../nn/rules.js';
import { ValueError } from '../../tensor/index.js';
import { mapMaxima } from '../activations/map_maxima.js';
import { type PatchFinder, patchFinder } from '../activations/receptive_fields.js';
import type { StrongActivation } from '../activations/top_activations.js';
import type { MapMaximaOptions } from '../options.js';
import { type ProjectedMap, projectTop } from '../projection/project_top.js';
import { checkLayer, checkMap, mapMaximaRules, strongActivation } from '../rules.js';

/** The network after an epoch. It is opened when needed and disposed of afterwards. */
export interface EpochModel {
  /** Number of the epoch after which the checkpoint was written, from 1. */
  epoch: number;
  /** Loads the network in evaluation mode. The caller disposes of it before it opens the next one. */
  open(): Promise<LayeredModel & { dispose(): void }>;
}

/** The strongest activations of one map over the epochs. */
export interface EvolvedMap {
  /** Index of the map among the layer's output channels, from 0. */
  map: number;
  /** The strongest activation after each epoch, in rising order of epochs. */
  strongest: (StrongActivation & { epoch: number })[];
}

/** Evolution of one layer. */
export interface LayerEvolution {
  /** Name of the layer, as `Evolution.layers` was asked for it. */
  layer: string;
  /** One entry per map of the layer, in the order of its output channels. */
  maps: EvolvedMap[];
  /**
   * Per epoch, the similarity of the maps' responses to those after the last epoch: the correlation, over the images, of a map's strongest
   * activation in each image after both epochs; the median over the maps that respond. 1 after the last epoch.
   */
  likeness: number[];
  /** Per epoch, the fraction of the maps whose strongest image is the same as after the last epoch. */
  sameImage: number[];
  /** The first epoch from which on the likeness stays at 0.9 or above. */
  settled: number;
}

/** Result of `evolution`. */
export interface Evolution {
  /** Epochs of the checkpoints that were compared, in rising order. */
  epochs: number[];
  /** Number of images used. */
  images: number;
  /** One entry per requested layer, in the order of the options. */
  layers: LayerEvolution[];
}

/** Options of `evolution`. */
export interface EvolutionOptions extends MapMaximaOptions {
  /** Called with the current epoch, the number of images that are done in it, and their total per epoch. */
  onProgress?: (epoch: number, done: number, total: number) => void;
}

/** Likeness from which on a layer counts as settled. */
export const SETTLED = 0.9;

const OPTIONS: RulesFor<EvolutionOptions> = { ...mapMaximaRules, onProgress: func };

const epochModels = arrayOf(objectWith('an epoch { epoch, open }', { epoch: integer(), open: func }));

const evolutionRule = objectWith('a result of evolution()', {
  layers: arrayOf(
    objectWith('a layer of it', {
      layer: text,
      maps: arrayOf(objectWith('a map of it', { strongest: arrayOf(strongActivation) })),
    }),
  ),
});

/**
 * Compares the responses of the network after every epoch with those after the last epoch. The last epoch runs first, and its strongest
 * activations are kept in memory: four bytes per map and image.
 *
 * @example const { layers } = await evolution(checkpoints, dataset.splits.val, { layers: ['conv1'], preprocess: prepare });
 * @param checkpoints at least two, in rising order of epochs
 * @throws ValueError for fewer than two checkpoints
 */
export async function evolution(checkpoints: readonly EpochModel[], split: Split, options: EvolutionOptions): Promise<Evolution> {
  checkArgument('evolution', 'checkpoints', checkpoints, epochModels);
  checkArgument('evolution', 'split', split, splitRule);
  checkFields('evolution', options, OPTIONS, ['layers', 'preprocess']);
  checkArgument('evolution', 'indices', options.indices ?? [], arrayOf(integer(0, split.length - 1)));
  if (checkpoints.length < 2)
    throw new ValueError(`evolution: got ${checkpoints.length} checkpoint${checkpoints.length === 1 ? '' : 's'}, expected at least 2`);
  const { layers } = options;
  const final: Float32Array[][] = layers.map(() => []);
  const passes: LayerPass[][] = [];
  let images = 0;
  for (const { epoch, open } of [...checkpoints].reverse()) {
    const model = await open();
    checkModel('evolution', model);
    try {
      for (const layer of layers) checkLayer('evolution', model, layer);
      const pass: LayerPass[] = [];
      let n = 0;
      for await (const batch of mapMaxima(model, split, options)) {
        for (const [i, { values, places, shape }] of batch.layers.entries()) {
          pass[i] ??= new LayerPass(shape, patchFinder(model, layers[i], batch.input));
          pass[i].add(batch.indices, values, places, final[i], n, passes.length === 0);
        }
        n += batch.indices.length;
        options.onProgress?.(epoch, n, options.indices?.length ?? split.length);
      }
      passes.push(pass);
      images = n;
    } finally {
      model.dispose();
    }
  }
  passes.reverse();
  const epochs = checkpoints.map(({ epoch }) => epoch);
  return {
    epochs,
    images,
    layers: layers.map((layer, i) =>
      layerEvolution(
        layer,
        epochs,
        passes.map((pass) => pass[i]),
      ),
    ),
  };
}

/** One layer after one epoch: the strongest activation of each map, and the sums for its correlation with the last epoch. */
class LayerPass {
  readonly strongest: (StrongActivation | undefined)[];
  private readonly sums: { a: number; b: number; aa: number; bb: number; ab: number }[];
  private images = 0;

  constructor(
    private readonly shape: readonly number[],
    private readonly patch: PatchFinder,
  ) {
    this.strongest = Array.from({ length: shape[1] });
    this.sums = this.strongest.map(() => ({ a: 0, b: 0, aa: 0, bb: 0, ab: 0 }));
  }

  /**
   * Adds a batch.
   *
   * @param final the strongest activations after the last epoch, one array per image; filled if `first`
   * @param seen number of images in earlier batches
   */
  add(
    indices: readonly number[],
    values: ArrayLike<number>,
    places: ArrayLike<number>,
    final: Float32Array[],
    seen: number,
    first: boolean,
  ): void {
    const maps = this.shape[1];
    const width = this.shape[3] ?? 1;
    for (const [n, index] of indices.entries()) {
      if (first) final.push(Float32Array.from({ length: maps }, (_, map) => values[n * maps + map]));
      for (let map = 0; map < maps; map++) {
        const value = values[n * maps + map];
        const best = this.strongest[map];
        if (!best || value > best.value) {
          const place = places[n * maps + map];
          const position: [number, number] = [Math.floor(place / width), place % width];
          this.strongest[map] = { index, value, position, patch: this.patch(position) };
        }
        const sums = this.sums[map];
        const last = final[seen + n][map];
        sums.a += value;
        sums.b += last;
        sums.aa += value * value;
        sums.bb += last * last;
        sums.ab += value * last;
      }
    }
    this.images += indices.length;
  }

  /** Median correlation over the maps that respond after the last epoch. A map that does not respond in this epoch has correlation 0. */
  likeness(): number {
    const correlations = this.sums.flatMap(({ a, b, aa, bb, ab }) => {
      const n = this.images;
      const [varianceA, varianceB] = [aa - (a * a) / n, bb - (b * b) / n];
      if (!(varianceB > 0)) return [];
      return [varianceA > 0 ? (ab - (a * b) / n) / Math.sqrt(varianceA * varianceB) : 0];
    });
    return median(correlations);
  }
}

function layerEvolution(layer: string, epochs: readonly number[], passes: readonly LayerPass[]): LayerEvolution {
  const last = passes[passes.length - 1];
  const likeness = passes.map((pass) => pass.likeness());
  const alive = last.strongest.flatMap((best, map) => (best && best.value > 0 ? [map] : []));
  const sameImage = passes.map(
    ({ strongest }) => alive.filter((map) => strongest[map]?.index === last.strongest[map]?.index).length / Math.max(1, alive.length),
  );
  const unsettled = likeness.findLastIndex((value) => value < SETTLED);
  return {
    layer,
    maps: last.strongest.map((_, map) => ({
      map,
      strongest: passes.flatMap(({ strongest }, i) => (strongest[map] ? [{ epoch: epochs[i], ...strongest[map] }] : [])),
    })),
    likeness,
    sameImage,
    settled: epochs[Math.min(unsettled + 1, epochs.length - 1)],
  };
}

/** Projections of one map over the epochs, as `projectEvolution` returns. */
export interface EvolutionPictures {
  /** Name of the layer that the map belongs to. */
  layer: string;
  /** Index of the map among the layer's output channels, from 0. */
  map: number;
  /** Projections of the strongest activation, one per epoch. */
  strongest: ProjectedMap['strongest'];
}

/**
 * Projections of the strongest activations of some maps, each through the network of its epoch.
 *
 * @param found result of `evolution` for the same checkpoints
 * @param chosen maps to project, by layer
 * @throws ValueError if `found` is from another number of checkpoints
 */
export async function projectEvolution(
  checkpoints: readonly EpochModel[],
  split: Split,
  found: Evolution,
  chosen: Readonly<Record<string, readonly number[]>>,
  options: Pick<EvolutionOptions, 'preprocess' | 'onProgress' | 'signal'>,
): Promise<EvolutionPictures[]> {
  checkArgument('projectEvolution', 'checkpoints', checkpoints, epochModels);
  checkArgument('projectEvolution', 'split', split, splitRule);
  checkArgument('projectEvolution', 'found', found, evolutionRule);
  checkArgument('projectEvolution', 'chosen', chosen, recordOf(arrayOf(integer())));
  checkFields('projectEvolution', options, OPTIONS, ['preprocess']);
  for (const { layer, maps } of found.layers) {
    for (const map of chosen[layer] ?? []) checkMap('projectEvolution', map, layer, maps.length);
    if (maps.some(({ strongest }) => strongest.length !== checkpoints.length))
      throw new ValueError(
        `projectEvolution: found has another number of epochs than the ${checkpoints.length} checkpoints; pass the checkpoints of evolution()`,
      );
  }
  const rows = found.layers.flatMap(({ layer, maps }) =>
    (chosen[layer] ?? []).map((map): EvolutionPictures & { evolved: EvolvedMap } => ({ layer, map, evolved: maps[map], strongest: [] })),
  );
  for (const [i, { epoch, open }] of checkpoints.entries()) {
    options.signal?.throwIfAborted();
    const model = await open();
    checkModel('projectEvolution', model);
    try {
      for (const { layer } of found.layers) {
        const own = rows.filter((row) => row.layer === layer);
        const activations = own.map(({ map, evolved }) => ({ map, mean: 0, active: 0, strongest: [evolved.strongest[i]] }));
        const projected = await projectTop(model, split, activations, { layer, preprocess: options.preprocess });
        for (const [r, { strongest }] of projected.entries()) own[r].strongest.push(...strongest);
      }
    } finally {
      model.dispose();
    }
    options.onProgress?.(epoch, i + 1, checkpoints.length);
  }
  return rows.map(({ layer, map, strongest }) => ({ layer, map, strongest }));
}
