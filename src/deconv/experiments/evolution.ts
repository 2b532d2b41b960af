/** How what maps look for forms during training (paper, Fig. 4): their strongest images epoch after epoch, and when they settle. */

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

/** The network as it was after an epoch. It is opened when it is needed, and disposed of afterwards. */
export interface EpochModel {
  epoch: number;
  open(): Promise<LayeredModel & { dispose(): void }>;
}

export interface EvolvedMap {
  map: number;
  /** An epoch each, rising. */
  strongest: (StrongActivation & { epoch: number })[];
}

export interface LayerEvolution {
  layer: string;
  maps: EvolvedMap[];
  /**
   * By epoch, how much the maps answer as they will at the end: the correlation, over the images, of a map's strongest activation
   * in each with that after the last epoch; the median of the maps that respond. 1 at the end.
   */
  likeness: number[];
  /** By epoch, the share of the maps whose strongest image is already the one that it will be at the end. */
  sameImage: number[];
  /** The first epoch from which on the likeness stays above 0.9. */
  settled: number;
}

export interface Evolution {
  epochs: number[];
  /** Images looked at. */
  images: number;
  layers: LayerEvolution[];
}

export interface EvolutionOptions extends MapMaximaOptions {
  onProgress?: (epoch: number, done: number, total: number) => void;
}

/** A layer counts as settled from this likeness on. */
export const SETTLED = 0.9;

const OPTIONS: RulesFor<EvolutionOptions> = { ...mapMaximaRules, onProgress: func };

const epochModels = arrayOf(objectWith('an epoch { epoch, open }', { epoch: integer(), open: func }));

const evolutionRule = objectWith('what evolution() gave', {
  layers: arrayOf(
    objectWith('a layer of it', {
      layer: text,
      maps: arrayOf(objectWith('a map of it', { strongest: arrayOf(strongActivation) })),
    }),
  ),
});

/**
 * Runs the images through the network of every epoch, the last one first, as the others are compared with it. The answers to all
 * images are held for one epoch: four bytes a map and image.
 *
 * @param checkpoints rising by epoch, at least two
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

/** One layer in the pass of one epoch: each map's best image, and the sums for its correlation with the last epoch. */
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

  /** @param final the last epoch's answers, image after image; `first` puts them there. `seen` images came before. */
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

  /** The median correlation of the maps that respond at the end; one that is silent now correlates by 0. */
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

export interface EvolutionPictures {
  layer: string;
  map: number;
  /** By epoch. */
  strongest: ProjectedMap['strongest'];
}

/**
 * Projects the strongest activations of some maps to pixels, each through the network of its own epoch.
 *
 * @param chosen maps by layer
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
      throw new ValueError(`projectEvolution: found is not of these ${checkpoints.length} checkpoints`);
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
