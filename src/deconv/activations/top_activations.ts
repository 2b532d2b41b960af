/** The images of a split that activate each feature map most strongly (paper, Fig. 2), found in one pass. */
import {
  arrayOf,
  checkArgument,
  checkFields,
  finite,
  func,
  integer,
  isPlainObject,
  objectWith,
  type RulesFor,
  rule,
} from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { split as splitRule } from '../../data/rules.js';
import type { LayeredModel } from '../../nn/index.js';
import { checkModel } from '../../nn/rules.js';
import { ValueError } from '../../tensor/index.js';
import type { MapMaximaOptions } from '../options.js';
import { checkLayer, mapMaximaRules } from '../rules.js';
import { mapMaxima } from './map_maxima.js';
import { type Patch, type PatchFinder, patchFinder } from './receptive_fields.js';

/** A map's strongest activation in one image. */
export interface StrongActivation {
  /** Index of the image in the split. */
  index: number;
  /** Activation of the layer's feature map at `position`, after the ReLU if one follows; not normalised. */
  value: number;
  /** [y, x] within the map; the first in row-major order if several activations are equal. */
  position: [number, number];
  /** Patch of the image in the receptive field of the activation. */
  patch: Patch;
}

/** The strongest activations of one map over a split. */
export interface MapActivations {
  /** Index of the map among the layer's output channels, from 0. */
  map: number;
  /** One activation per image, in descending order; equal ones in the order of the split. */
  strongest: StrongActivation[];
  /** Mean over all images of the map's strongest activation in each. */
  mean: number;
  /** Fraction of the images in which any activation of the map is above zero; 0 for a dead map. */
  active: number;
}

/** State of an unfinished pass over a split, from which it can resume. It can be stored as JSON. */
export interface TopActivationsState {
  /** Number of images that are done, in the order of the pass. */
  done: number;
  /** Best activations found so far, by layer name. Pass the whole state back unchanged to resume. */
  layers: Record<string, LayerState>;
}

interface LayerState {
  /** Shapes of the layer's output and of the network's input; the batch size is irrelevant. */
  shape: readonly number[];
  input: readonly number[];
  /** Number of images read. */
  images: number;
  /** Per map: sum of the strongest activations, number of images with an activation above zero, and the strongest activations so far. */
  maps: { map: number; sum: number; active: number; strongest: [index: number, value: number, y: number, x: number][] }[];
}

/** Options of `topActivations`. */
export interface TopActivationsOptions extends MapMaximaOptions {
  /** Maps to consider; maps that a layer does not have are ignored. Default: all maps. */
  maps?: readonly number[];
  /** Images kept for each map. Default 9, as in the paper. */
  count?: number;
  /** Called after each batch with the number of images that are done, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Resumes from a state that `onState` received for the same model, split and options. */
  from?: TopActivationsState;
  /** Called with a state for `from`: between batches, at the end, and when `signal` stops the pass. */
  onState?: (state: TopActivationsState) => void | Promise<void>;
  /** Seconds between calls of `onState`. Default 10. */
  stateSeconds?: number;
}

const stateRule = objectWith('a state { done, layers }, as onState receives it', {
  done: integer(),
  layers: rule('an object', isPlainObject),
});

/** Rule for the state of one layer. */
const layerState = objectWith('the state of a layer { shape, input, images, maps }', {
  shape: arrayOf(integer(), 2),
  input: arrayOf(integer(), 2),
  images: integer(),
  maps: arrayOf(
    objectWith('the state of a map', {
      map: integer(),
      sum: finite(),
      active: integer(),
      strongest: arrayOf(arrayOf(finite(), 4, 4)),
    }),
  ),
});

const OPTIONS: RulesFor<TopActivationsOptions> = {
  ...mapMaximaRules,
  maps: arrayOf(integer()),
  count: integer(1),
  onProgress: func,
  from: stateRule,
  onState: func,
  stateSeconds: finite(0),
};

/**
 * The strongest activations of every map of the named layers, by layer name. Each batch goes through the model once for all layers, and
 * only two values per map and image are read from the backend. Memory use does not depend on the size of the split.
 *
 * @example const { conv5 } = await topActivations(model, dataset.splits.val, { layers: ['conv5'], preprocess: prepare });
 * @throws ValueError for a layer that does not exist; the message lists the layers
 */
export async function topActivations(
  model: LayeredModel,
  split: Split,
  options: TopActivationsOptions,
): Promise<Record<string, MapActivations[]>> {
  checkModel('topActivations', model);
  checkArgument('topActivations', 'split', split, splitRule);
  checkFields('topActivations', options, OPTIONS, ['layers', 'preprocess']);
  for (const layer of options.layers) checkLayer('topActivations', model, layer);
  checkArgument('topActivations', 'indices', options.indices ?? [], arrayOf(integer(0, split.length - 1)));
  const { layers, count = 9, onProgress, from, onState, stateSeconds = 10 } = options;
  const order = Int32Array.from(options.indices ?? { length: split.length }, (value, i) => (options.indices ? (value as number) : i));
  const boards = from ? layers.map((layer) => resumedBoard(model, layer, from, count)) : [];
  const state = (done: number): TopActivationsState => ({
    done,
    layers: Object.fromEntries(layers.map((layer, i) => [layer, boards[i].state()])),
  });
  let done = from?.done ?? 0;
  let kept = performance.now();
  try {
    for await (const batch of mapMaxima(model, split, { ...options, indices: order.subarray(done) })) {
      for (const [i, { values, places, shape }] of batch.layers.entries()) {
        boards[i] ??= new LayerBoard(shape, batch.input, patchFinder(model, layers[i], batch.input), count, options.maps);
        boards[i].add(batch.indices, values, places);
      }
      done = order.indexOf(batch.indices[batch.indices.length - 1], done) + 1;
      onProgress?.(done, order.length);
      if (onState && performance.now() - kept >= 1000 * stateSeconds) {
        await onState(state(done));
        kept = performance.now();
      }
    }
  } catch (error) {
    // A pass that the signal stopped can resume after the last complete batch.
    if (options.signal?.aborted && boards.length === layers.length) await onState?.(state(done));
    throw error;
  }
  if (boards.length === layers.length && from?.done !== order.length) await onState?.(state(order.length));
  return Object.fromEntries(layers.map((layer, i) => [layer, boards[i]?.results() ?? []]));
}

/** Restores the board of a layer from the state of an interrupted pass. */
function resumedBoard(model: LayeredModel, layer: string, from: TopActivationsState, count: number): LayerBoard {
  const state = Object.hasOwn(from.layers, layer) ? from.layers[layer] : undefined;
  if (!state)
    throw new ValueError(`topActivations: the state to resume from has layers ${Object.keys(from.layers).join(', ')}, not ${layer}`);
  checkArgument('topActivations', `from.layers.${layer}`, state, layerState);
  const { shape, input } = state;
  const board = new LayerBoard(shape, input, patchFinder(model, layer, input), count, undefined);
  board.restore(state);
  return board;
}

/** The strongest activations so far of every map of one layer. */
class LayerBoard {
  private maps: readonly number[];
  private strongest: StrongActivation[][];
  private sums: Float64Array;
  private active: Float64Array;
  private images = 0;

  constructor(
    private readonly shape: readonly number[],
    private readonly input: readonly number[],
    private readonly patch: PatchFinder,
    private readonly count: number,
    wanted: readonly number[] | undefined,
  ) {
    this.maps = wanted?.filter((map) => map < shape[1]) ?? Array.from({ length: shape[1] }, (_, map) => map);
    this.strongest = this.maps.map(() => []);
    this.sums = new Float64Array(this.maps.length);
    this.active = new Float64Array(this.maps.length);
  }

  /** Adds a batch. `values` and `places` are [N · maps], as in `LayerMaxima`. */
  add(indices: readonly number[], values: ArrayLike<number>, places: ArrayLike<number>): void {
    const width = this.shape[3] ?? 1;
    for (const [n, index] of indices.entries()) {
      for (const [i, map] of this.maps.entries()) {
        const at = n * this.shape[1] + map;
        const value = values[at];
        this.sums[i] += value;
        if (value > 0) this.active[i]++;
        const best = this.strongest[i];
        // Images come in rising order, so an activation equal to the weakest one kept ranks after it and is ignored.
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

  state(): LayerState {
    const { shape, input, images } = this;
    const maps = this.maps.map((map, i) => ({
      map,
      sum: this.sums[i],
      active: this.active[i],
      strongest: this.strongest[i].map(({ index, value, position: [y, x] }): [number, number, number, number] => [index, value, y, x]),
    }));
    return { shape, input, images, maps };
  }

  restore({ maps, images }: LayerState): void {
    this.maps = maps.map(({ map }) => map);
    this.sums = Float64Array.from(maps, ({ sum }) => sum);
    this.active = Float64Array.from(maps, ({ active }) => active);
    this.strongest = maps.map(({ strongest }) =>
      strongest.map(([index, value, y, x]) => ({ index, value, position: [y, x], patch: this.patch([y, x]) })),
    );
    this.images = images;
  }
}
