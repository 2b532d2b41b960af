/** Finds what the report shows: the strongest activations of every convolution layer, and projections of selected maps. */
import { arrayOf, checkArgument, func, integer, isPlainObject, numeric, objectWith, rule, unknownName } from '../backend/validate.js';
import type { Example } from '../data/dataset.js';
import { image as imageRule } from '../data/rules.js';
import { type DeconvMode, fieldSize, type MapActivations, type ProjectedMap, projectTop, topActivations } from '../deconv/index.js';
import { isConvolution, summarize } from '../nn/index.js';
import { RULES, ValueError } from '../tensor/index.js';
import { imagesToTensor, type Preprocess } from '../zfnet/index.js';
import type { LayerFindings, ReportContext, ReportInput } from './input.js';
import { mostFrequent } from './page/words.js';

/** Returns the input of the network for the centre crops of some examples: [N, C, H, W]. */
export function inputOf(preprocess: Preprocess, examples: readonly Pick<Example, 'image'>[]) {
  checkArgument(
    'inputOf',
    'preprocess',
    preprocess,
    objectWith('a Preprocess', { options: rule('an object', isPlainObject), evaluation: func }),
  );
  checkArgument('inputOf', 'examples', examples, arrayOf(objectWith('an example { image }', { image: imageRule })));
  return imagesToTensor(
    preprocess,
    examples.map(({ image }) => image),
  );
}

/** Two maps that share more than this number of their nine images count as similar. */
const MOST_SHARED = 3;
const COUNT = 9;

/**
 * Selects the maps to show: the most selective ones, by the ratio of the ninth-strongest activation to the mean over all images. A map that
 * shares most of its images or its most frequent class with a selected map is taken only if there are too few others.
 */
export function chooseMaps(maps: readonly MapActivations[], count: number, labelOf: (index: number) => number): MapActivations[] {
  const strongest = arrayOf(objectWith('an activation', { index: integer(), value: numeric }));
  const expected = arrayOf(objectWith('an entry of the result of topActivations()', { map: integer(), strongest, mean: numeric }));
  checkArgument('chooseMaps', 'maps', maps, expected);
  checkArgument('chooseMaps', 'count', count, integer());
  checkArgument('chooseMaps', 'labelOf', labelOf, func);
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

/** Largest number of layers shown: the first, the last, and evenly spaced ones between. */
const MOST_LAYERS = 8;

function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]);
}

/** Searches the strongest activations of the split `featureSplit` and projects those of the selected maps by all rules. */
export async function gatherFindings(input: ReportInput): Promise<ReportContext> {
  const { model, preprocess, dataset, onProgress, mapsPerLayer = 11 } = input;
  const { inputSize, channels } = preprocess.options;
  const shape = [1, channels, inputSize, inputSize];
  const summaries = summarize(model, shape);
  const convolutions = spread(summaries.filter(isConvolution), MOST_LAYERS);
  const featureSplit = input.featureSplit ?? Object.keys(input.predictions)[0] ?? Object.keys(dataset.splits)[0];
  if (!Object.hasOwn(dataset.splits, featureSplit))
    throw new ValueError(unknownName('buildReport', 'split', featureSplit, Object.keys(dataset.splits)));
  const split = dataset.splits[featureSplit];
  const toInput = (examples: Example[]) => inputOf(preprocess, examples);
  const found = await topActivations(model, split, {
    layers: convolutions.map((layer) => layer.name),
    count: COUNT,
    preprocess: toInput,
    onProgress: (done, total) => onProgress?.('searching the strongest activations', done, total),
  });
  const layers: LayerFindings[] = [];
  const modes = Object.keys(RULES) as DeconvMode[];
  for (const summary of convolutions) {
    const layer = summary.name;
    const maps = found[layer];
    const chosen = chooseMaps(maps, mapsPerLayer, (index) => split.labels[index]);
    const projected = {} as Record<DeconvMode, ProjectedMap[]>;
    for (const [i, mode] of modes.entries()) {
      projected[mode] = await projectTop(model, split, chosen, { layer, mode, preprocess: toInput });
      onProgress?.('projecting the activations to pixels', layers.length * modes.length + i + 1, convolutions.length * modes.length);
    }
    layers.push({
      ...summary,
      field: fieldSize(model, layer, shape),
      maps: maps.length,
      dead: maps.filter(({ active }) => active === 0).map(({ map }) => map),
      chosen: chosen.map((_, i) => ({ deconvnet: projected.deconvnet[i], gradient: projected.gradient[i], guided: projected.guided[i] })),
    });
  }
  const { ownData = input.metrics.length > 0 } = input;
  return { ...input, summaries, layers, featureSplit, ownData };
}
