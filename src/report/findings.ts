/** Looks for what there is to show: every convolution layer's maps, their best images, and the projections of the chosen ones. */
import type { Example } from '../data/dataset.js';
import { type MapActivations, projectTop, topActivations } from '../deconv/index.js';
import { isConvolution, summarize } from '../nn/index.js';
import { tensor } from '../tensor/index.js';
import type { Preprocess } from '../zfnet/index.js';
import type { LayerFindings, ReportContext, ReportInput } from './input.js';

/** The network's input for the centre crops of some examples: [N, C, H, W]. */
export function inputOf(preprocess: Preprocess, examples: readonly Pick<Example, 'image'>[]) {
  const { channels, inputSize } = preprocess.options;
  const pixels = preprocess.evaluation(examples.map(({ image }) => image));
  return tensor(pixels, [examples.length, channels, inputSize, inputSize]);
}

/** Of nine images, more than this many in common make two maps one finding. */
const MOST_SHARED = 3;
const COUNT = 9;

/**
 * The maps to show: those whose ninth-best image still moves them far more than an average image does, which is how
 * selective maps look. Maps that share most of their images, or their favourite class, make room for others first.
 */
export function chooseMaps(maps: readonly MapActivations[], count: number, labelOf: (index: number) => number): MapActivations[] {
  const alive = maps.filter(({ strongest }) => strongest.length > 0 && strongest[strongest.length - 1].value > 0);
  const selectivity = ({ strongest, mean }: MapActivations) => strongest[strongest.length - 1].value / mean;
  const ranked = [...alive].sort((a, b) => selectivity(b) - selectivity(a) || a.map - b.map);
  const chosen: MapActivations[] = [];
  const favourites = new Set<number>();
  const favourite = (map: MapActivations) => {
    const [label, times] = mostFrequent(map.strongest.map(({ index }) => labelOf(index)));
    return 2 * times > map.strongest.length ? label : null;
  };
  const shared = (a: MapActivations, b: MapActivations) =>
    a.strongest.filter(({ index }) => b.strongest.some((other) => other.index === index)).length;
  const take = (acceptable: (map: MapActivations) => boolean) => {
    for (const map of ranked) {
      if (chosen.length === count) return;
      if (chosen.includes(map) || !acceptable(map)) continue;
      chosen.push(map);
      const label = favourite(map);
      if (label !== null) favourites.add(label);
    }
  };
  const isNew = (map: MapActivations) => chosen.every((other) => shared(map, other) <= MOST_SHARED);
  take((map) => isNew(map) && !favourites.has(favourite(map) ?? -1));
  take(isNew);
  take(() => true);
  return chosen;
}

/** The value met most often, the first of several, and how often. */
export function mostFrequent<T>(values: readonly T[]): [value: T, times: number] {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

export async function gatherFindings(input: ReportInput): Promise<ReportContext> {
  const { model, preprocess, dataset, onProgress, mapsPerLayer = 8 } = input;
  const { inputSize, channels } = preprocess.options;
  const summaries = summarize(model, [1, channels, inputSize, inputSize]);
  const convolutions = summaries.filter(isConvolution);
  const name = Object.keys(input.predictions)[0];
  const split = dataset.splits[name];
  const toInput = (examples: Example[]) => inputOf(preprocess, examples);
  const found = await topActivations(model, split, {
    layers: convolutions.map((layer) => layer.name),
    count: COUNT,
    preprocess: toInput,
    onProgress: (done, total) => onProgress?.('looking for the strongest activations', done, total),
  });
  const layers: LayerFindings[] = [];
  for (const summary of convolutions) {
    const maps = found[summary.name];
    const chosen = chooseMaps(maps, mapsPerLayer, (index) => split.labels[index]);
    const size = (axis: 0 | 1) => Math.min(summary.receptiveField?.[axis].size ?? inputSize, inputSize);
    layers.push({
      ...summary,
      field: [size(0), size(1)],
      maps: maps.length,
      dead: maps.filter(({ active }) => active === 0).map(({ map }) => map),
      chosen: await projectTop(model, split, chosen, { layer: summary.name, preprocess: toInput }),
    });
    onProgress?.('projecting them to pixels', layers.length, convolutions.length);
  }
  return { ...input, summaries, layers, featureSplit: { name, length: split.length } };
}
