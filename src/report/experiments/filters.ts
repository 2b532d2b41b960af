/** Fig. 6: the filters of the first layer, the features of the second, and measures of their faults; two networks side by side. */
import * as Plot from '@observablehq/plot';
import { explained, firstNames } from '../../backend/validate.js';
import type { Dataset, Example, Image } from '../../data/dataset.js';
import {
  BAND_LIMITS,
  type Bands,
  bandOf,
  DOMINATES,
  type FilterMeasures,
  fieldSize,
  filterMeasures,
  type MapActivations,
  projectTop,
  standingOut,
} from '../../deconv/index.js';
import { type Network, receptiveField } from '../../nn/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { inputOf } from '../findings.js';
import { filtersOrigin, type Origin } from '../origin.js';
import { sheet, table } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { count, list, percent, plural } from '../page/words.js';
import { columnsFor, filterPictures } from '../pictures/filter_pictures.js';
import { label } from '../pictures/label.js';
import { projectionCrop } from '../pictures/map_figure.js';
import { below, contactSheet, inColour, toSide } from '../pictures/pictures.js';

/** A network whose first layers are analysed. */
export interface FiltersInput {
  /** Name of the network: the folder of its run. */
  name: string;
  /** The network whose first layer is measured. */
  model: Network;
  /** Preprocessing that belongs to the network. */
  preprocess: Preprocess;
  /** Origin of its weights. Without it the page does not state it. */
  origin?: Origin;
  /** Opened at the side that `preprocess` expects. */
  dataset: Dataset;
  /** Name of the split whose images show dead filters. */
  split: string;
  /** Number of images of the split that were used. */
  images: number;
  /** The first layer and, if there is one, the second, with their strongest activations. */
  layers: readonly { layer: string; maps: readonly MapActivations[] }[];
}

/** Content of `filters.json` for a filter. */
interface FilterNumbers extends FilterMeasures {
  /** Share of the images that activate it at any position. */
  active: number;
  /** Mean over the images of its strongest activation. */
  answer: number;
}

/** Content of `filters.json`. */
export interface FiltersNumbers {
  /** Name of the network: the folder of its run. */
  run: string;
  /** Name of the split whose images show dead filters. */
  split: string;
  /** Number of images of the split that were used. */
  images: number;
  /** Name of the first convolution layer. */
  layer: string;
  /** Height and width of the filters in pixels. */
  kernel: [number, number];
  /** Vertical and horizontal stride, on which the aliasing depends. */
  stride: [number, number];
  /** One entry per filter, in the order of the output channels. */
  maps: FilterNumbers[];
  /** Indices of filters that no image activates. */
  dead: number[];
  /** Indices of filters whose root mean square stands out; see `dominatingFilters`. */
  dominating: number[];
  /** Share of the filters, without dead ones, whose mean frequency lies in each band. */
  coverage: Bands;
  /** Mean over the filters, without dead ones. */
  aliasing: number;
  /** The same numbers of the second network. */
  compare?: FiltersNumbers;
}

interface Analysed {
  origin?: Origin;
  numbers: FiltersNumbers;
  first: Image[] | undefined;
  second: { layer: string; pictures: Image[]; maps: readonly number[] } | null;
}

/** A filter whose RMS is below this fraction of the median of the layer counts as dead. */
const BLANK = 0.01;
const SIDE = 56;
const GAP = 6;
/** Largest number of maps of the second layer on the page. */
const SHOWN = 64;

/**
 * Measures and renders the filters of the first layer.
 *
 * @param compare a second network, shown next to the first
 */
export function filtersExperiment(subject: FiltersInput, compare?: FiltersInput): Promise<Experiment> {
  return explained('filtersExperiment', 'an object { name, model, preprocess, dataset, split, images, layers }', () =>
    writeFiltersExperiment(subject, compare),
  );
}

async function writeFiltersExperiment(subject: FiltersInput, compare?: FiltersInput): Promise<Experiment> {
  const analysed = [await analyse(subject), ...(compare ? [await analyse(compare)] : [])];
  const [own, other] = analysed.map(({ numbers }) => numbers);
  const suffix = (i: number) => (i === 0 ? '' : '-compare');
  return {
    name: 'filters',
    numbers: { ...own, ...(other && { compare: other }) } satisfies FiltersNumbers,
    pictures: Object.fromEntries(
      analysed.flatMap(({ first, second }, i) => [
        ...(first
          ? [
              [
                suffix(i).slice(1),
                numberedSheet(
                  first,
                  first.map((_, map) => map),
                ),
              ],
            ]
          : []),
        ...(second ? [[`layer2${suffix(i)}`, numberedSheet(second.pictures, second.maps)]] : []),
      ]),
    ),
    section: {
      id: 'filters-measured',
      title: other ? 'The filters of the first layers, side by side' : 'The filters of the first layer',
      body: html`<p>A filter of the first layer is moved over the image; its output is large where the image resembles it.</p>
${analysed.map(part)}
<p>The first layer is the only one whose weights can be shown as pictures, because its inputs are colours. Zeiler &amp; Fergus examined the
network of Krizhevsky et al.
(2012) in this way and found faults: filters for very coarse and very fine patterns with few between them, a few large filters that dominate
the others, dead filters,
and in the second layer stripes that are not in the images, because filters that move by four pixels at a time cannot represent finer
patterns (aliasing). Filters of 7×7
instead of 11×11 pixels, a stride of two pixels, and a limit on the size of filters corrected this.</p>
${measures([own, ...(other ? [other] : [])])}
<figure class="chart">${coverageChart([own, ...(other ? [other] : [])])}</figure>
<p class="note">RMS: the root mean square of the weights of a filter, its size. Dead: not activated by any of ${plural(own.images, 'image')}
(“${subject.split}”), or an RMS below a hundredth of the median.
Dominating: an RMS above ${DOMINATES} times the median of the filters that are not dead. Low, middle and high frequencies: the mean
frequency of the energy of a filter (its
discrete Fourier transform, all colours together) is below ${BAND_LIMITS.mid}, below ${BAND_LIMITS.high}, or above, in cycles per pixel.
Aliasing: the share of the energy
of the outputs of a filter on natural images, whose power falls as 1 / f² (Field 1987), at frequencies above half a cycle per stride, which
appear as lower frequencies.
${other ? 'Both networks were measured on the same images. A difference can also result from chance in the two trainings.' : 'A second run (--compare) shows the effect of another filter size, stride or limit on the size of filters.'}</p>`,
    },
  };
}

async function analyse(input: FiltersInput): Promise<Analysed> {
  const { name, model, preprocess, dataset, split, images, origin } = input;
  const [first, second] = input.layers;
  const weight = model.layer(first.layer).parameters()[0];
  const field = receptiveField(model, first.layer);
  const stride: [number, number] = field && field !== 'unknown' ? [field[0].jump, field[1].jump] : [1, 1];
  const measured = await filterMeasures(weight, stride);
  const filters = measured.map((each, map): FilterNumbers => ({ ...each, active: first.maps[map].active, answer: first.maps[map].mean }));
  const outstanding = outstandingFilters(filters);
  const living = filters.filter(({ map }) => !outstanding.dead.includes(map));
  const covered = (band: keyof Bands) => living.filter(({ frequency }) => bandOf(frequency) === band).length / Math.max(1, living.length);
  const pictures = await filterPictures(weight);
  return {
    origin,
    numbers: {
      run: name,
      split,
      images,
      layer: first.layer,
      kernel: [weight.shape[2], weight.shape[3]],
      stride,
      maps: filters,
      ...outstanding,
      coverage: { low: covered('low'), mid: covered('mid'), high: covered('high') },
      aliasing: living.reduce((sum, { aliasing }) => sum + aliasing, 0) / Math.max(1, living.length),
    },
    first: pictures?.map(({ picture }) => picture),
    second: second ? await secondLayer(model, preprocess, dataset, split, second) : null,
  };
}

/** Numbers of dead and dominating filters. A filter with a very small RMS counts as dead even if its bias gives an activation. */
function outstandingFilters(filters: readonly FilterNumbers[]): { dead: number[]; dominating: number[] } {
  const sizes = filters.map(({ rms }) => rms).sort((a, b) => a - b);
  const least = BLANK * sizes[sizes.length >> 1];
  return standingOut(filters.map(({ rms, active }) => (active > 0 && rms > least ? rms : 0)));
}

/** Projects the strongest activation of each map and crops the projection to its receptive field. */
async function secondLayer(
  model: Network,
  preprocess: Preprocess,
  dataset: Dataset,
  split: string,
  { layer, maps }: FiltersInput['layers'][number],
): Promise<NonNullable<Analysed['second']>> {
  const { channels, inputSize } = preprocess.options;
  const view = { preprocess, field: fieldSize(model, layer, [1, channels, inputSize, inputSize]) };
  const best = maps.map((map) => ({ ...map, strongest: map.strongest.slice(0, 1) })).filter(({ active }) => active > 0);
  const projected = await projectTop(model, dataset.splits[split], best, {
    layer,
    preprocess: (examples: Example[]) => inputOf(preprocess, examples),
  });
  const pictures = projected.map(({ strongest: [activation] }) => projectionCrop(view, activation));
  return { layer, pictures, maps: projected.map(({ map }) => map) };
}

function measures(all: readonly FiltersNumbers[]): Html {
  const row = (name: string, value: (numbers: FiltersNumbers) => string) => [name, ...all.map(value)];
  const numbered = (maps: readonly number[], of: number) =>
    maps.length === 0 ? `0 of ${of}` : `${maps.length} of ${of}: ${firstNames(maps, 12)}`;
  return table(
    'Measures of the first layer',
    ['', ...all.map(({ run }) => run)],
    [
      row('filters', ({ kernel, stride }) => `${kernel.join('×')} pixels, stride ${stride[0]}`),
      row('dead', ({ dead, maps }) => numbered(dead, maps.length)),
      row('dominating', ({ dominating, maps }) => numbered(dominating, maps.length)),
      row(
        'low, middle, high frequencies',
        ({ coverage }) => `${percent(coverage.low)}, ${percent(coverage.mid)}, ${percent(coverage.high)}`,
      ),
      row('aliasing', ({ aliasing }) => percent(aliasing)),
    ],
  );
}

/** Draws every filter that is not dead as a dot at its mean frequency, with one row per network. */
function coverageChart(all: readonly FiltersNumbers[]): Html {
  const dots = all.flatMap(({ run, maps, dead }) => maps.flatMap(({ map, frequency }) => (dead.includes(map) ? [] : [{ run, frequency }])));
  const names = all.map(({ run }) => run);
  const spoken = all.map(
    ({ run, coverage }) => `${run}: ${percent(coverage.low)} low, ${percent(coverage.mid)} middle, ${percent(coverage.high)} high`,
  );
  return chart(
    {
      width: 640,
      height: 70 + 60 * all.length,
      marginLeft: 16,
      marginTop: 12,
      marginBottom: 40,
      y: { axis: null },
      x: { label: 'mean frequency of a filter (cycles per pixel)', domain: [0, 0.5], ticks: 6 },
      fy: { domain: names, label: null, axis: null },
      marks: [
        Plot.ruleX([BAND_LIMITS.mid, BAND_LIMITS.high], { strokeDasharray: '2,4', strokeOpacity: 0.6 }),
        Plot.dot(dots, Plot.dodgeY({ x: 'frequency', fy: 'run', r: 3, fill: 'var(--accent)' })),
        Plot.text(names, { fy: (name: string) => name, text: (name: string) => name, frameAnchor: 'top-right', fillOpacity: 0.7 }),
      ],
    },
    `Mean frequencies of the filters. ${list(spoken)}.`,
  );
}

function part({ numbers, first, second, origin }: Analysed): Html {
  const { run, layer, maps, dead, dominating } = numbers;
  const about = (map: number) => {
    const { rms, frequency, active } = maps[map];
    const marks = [dead.includes(map) && 'dead', dominating.includes(map) && 'dominating'].filter((mark) => mark !== false);
    return `filter ${map}: RMS ${rms.toPrecision(2)}, ${frequency.toFixed(2)} cycles per pixel, activated by ${percent(active)} of the images${marks.length > 0 ? `, ${marks.join(' and ')}` : ''}`;
  };
  const cells = first?.map((picture, map) => ({ picture, tip: about(map) }));
  const crops = second?.pictures.slice(0, SHOWN).map((picture, i) => ({ picture, tip: `${second.layer} map ${second.maps[i]}` }));
  return html`<section class="layer"><h3>${run}</h3>
${origin && html`<p>${filtersOrigin(origin)}</p>`}
${
  cells &&
  html`<figure class="filters">${sheet(cells, columnsFor(cells.length), `The ${cells.length} filters of ${layer} of ${run}`)}
<figcaption>${layer}. Grey is zero; each filter is scaled by its own largest weight.</figcaption></figure>`
}
${
  crops &&
  crops.length > 0 &&
  html`<figure class="filters">${sheet(crops, columnsFor(crops.length), `The strongest activations of ${crops.length} maps of ${second?.layer} of ${run}, projected to pixels`)}
<figcaption>${second?.layer}: the strongest activation of each map in ${plural(numbers.images, 'image')}, projected to pixels${
    crops.length < (second?.maps.length ?? 0) ? ` (the first ${crops.length} of ${count(second?.maps.length ?? 0)} maps)` : ''
  }. The contrast of each picture is stretched.</figcaption></figure>`
}</section>`;
}

/** Returns a sheet of pictures with their numbers below. */
function numberedSheet(pictures: readonly Image[], numbers: readonly number[]): Image {
  const tiles = pictures.map((picture, i) => below(inColour(toSide(picture, SIDE)), label(String(numbers[i]))));
  return contactSheet(tiles, { columns: columnsFor(tiles.length), gap: GAP, margin: GAP });
}
