/** Fig. 6: the first layer's filters and what the second answers to, with measures of what is wrong with them; two networks side by side. */

import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
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

/** A network whose first layers are looked at. */
export interface FiltersInput {
  /** What to call it: its run's folder. */
  name: string;
  model: Network;
  preprocess: Preprocess;
  /** How its weights came about; without it the page says nothing of that. */
  origin?: Origin;
  /** Opened at the side that `preprocess` expects. */
  dataset: Dataset;
  split: string;
  images: number;
  /** The first layer and, where there is one, the second, with their strongest activations. */
  layers: readonly { layer: string; maps: readonly MapActivations[] }[];
}

/** What `filters.json` says of a filter. */
interface FilterNumbers extends FilterMeasures {
  /** Share of the images in which it answers anywhere. */
  active: number;
  /** Mean over the images of its strongest answer. */
  answer: number;
}

/** What `filters.json` says. */
export interface FiltersNumbers {
  run: string;
  split: string;
  images: number;
  layer: string;
  kernel: [number, number];
  stride: [number, number];
  maps: FilterNumbers[];
  dead: number[];
  dominating: number[];
  /** Share of the living filters whose mean frequency lies in each band. */
  coverage: Bands;
  /** Mean over the living filters. */
  aliasing: number;
  /** The same of the network beside it. */
  compare?: FiltersNumbers;
}

interface Looked {
  origin?: Origin;
  numbers: FiltersNumbers;
  first: Image[] | undefined;
  second: { layer: string; pictures: Image[]; maps: readonly number[] } | null;
}

/** A filter whose size is below this part of the layer's median answers to nothing that counts. */
const BLANK = 0.01;
const SIDE = 56;
const GAP = 6;
/** Crops of the second layer on the page. */
const SHOWN = 64;

/** @param compare another network, to stand beside the first */
export function filtersExperiment(subject: FiltersInput, compare?: FiltersInput): Promise<Experiment> {
  return explained('filtersExperiment', 'an object { name, model, preprocess, dataset, split, images, layers }', () =>
    writeFiltersExperiment(subject, compare),
  );
}

async function writeFiltersExperiment(subject: FiltersInput, compare?: FiltersInput): Promise<Experiment> {
  const looked = [await look(subject), ...(compare ? [await look(compare)] : [])];
  const [own, other] = looked.map(({ numbers }) => numbers);
  const suffix = (i: number) => (i === 0 ? '' : '-compare');
  return {
    name: 'filters',
    numbers: { ...own, ...(other && { compare: other }) } satisfies FiltersNumbers,
    pictures: Object.fromEntries(
      looked.flatMap(({ first, second }, i) => [
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
      title: other ? 'First layers, side by side' : 'What the first layer looks for',
      body: html`<p>A filter of the first layer is moved over the image, and its output is large where the image resembles it.</p>
${looked.map(part)}
<p>This is the one place where weights can be looked at directly. Zeiler &amp; Fergus did so with the network of Krizhevsky et al.
(2012) and saw what was wrong: filters for very coarse and very fine patterns with little between them, a few large filters that dominate the others, some that
never answered, and in the second layer stripes that no image had, since filters moved by four pixels at a time miss what is finer. Filters of 7×7
instead of 11×11, moved by two pixels, and a limit on their size put that right.</p>
${measures([own, ...(other ? [other] : [])])}
<figure class="chart">${coverageChart([own, ...(other ? [other] : [])])}</figure>
<p class="note">Dead: answers nowhere in ${plural(own.images, 'image')} (“${subject.split}”), or has less than a hundredth of the median filter’s size.
Dominating: larger than ${DOMINATES} times the median of the living, by the root of the mean square of the weights. Low, middle and high: the mean frequency of a filter’s energy (its
discrete Fourier transform, all colours together) is below ${BAND_LIMITS.mid}, below ${BAND_LIMITS.high}, or above, in cycles a pixel. Aliasing: the share of the energy
of a filter’s answers to natural images, whose power falls as 1 / f² (Field 1987), that is finer than half a cycle a stride and so turns up as something coarser.
${other ? 'Both networks saw the same images; a difference may still come from chance in two trainings.' : 'A second run beside it (--compare) shows what a change of filters, stride or size limit does.'}</p>`,
    },
  };
}

async function look(input: FiltersInput): Promise<Looked> {
  const { name, model, preprocess, dataset, split, images, origin } = input;
  const [first, second] = input.layers;
  const weight = model.layer(first.layer).parameters()[0];
  const field = receptiveField(model, first.layer);
  const stride: [number, number] = [field?.[0].jump ?? 1, field?.[1].jump ?? 1];
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

/** A filter that is next to nothing counts as dead even where its bias answers. */
function outstandingFilters(filters: readonly FilterNumbers[]): { dead: number[]; dominating: number[] } {
  const sizes = filters.map(({ rms }) => rms).sort((a, b) => a - b);
  const least = BLANK * sizes[sizes.length >> 1];
  return standingOut(filters.map(({ rms, active }) => (active > 0 && rms > least ? rms : 0)));
}

/** Each map's strongest answer projected, cut to what it saw. */
async function secondLayer(
  model: Network,
  preprocess: Preprocess,
  dataset: Dataset,
  split: string,
  { layer, maps }: FiltersInput['layers'][number],
): Promise<NonNullable<Looked['second']>> {
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
    maps.length === 0 ? `0 of ${of}` : `${maps.length} of ${of}: ${maps.slice(0, 12).join(', ')}${maps.length > 12 ? ' …' : ''}`;
  return table(
    'Measures of the first layer',
    ['', ...all.map(({ run }) => run)],
    [
      row('filters', ({ kernel, stride }) => `${kernel.join('×')}, every ${stride[0]} pixels`),
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

/** Every living filter as a dot at its mean frequency, a row a network. */
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
      x: { label: 'mean frequency of a filter (cycles a pixel)', domain: [0, 0.5], ticks: 6 },
      fy: { domain: names, label: null, axis: null },
      marks: [
        Plot.ruleX([BAND_LIMITS.mid, BAND_LIMITS.high], { strokeDasharray: '2,4', strokeOpacity: 0.6 }),
        Plot.dot(dots, Plot.dodgeY({ x: 'frequency', fy: 'run', r: 3, fill: 'var(--accent)' })),
        Plot.text(names, { fy: (name: string) => name, text: (name: string) => name, frameAnchor: 'top-right', fillOpacity: 0.7 }),
      ],
    },
    `How fine the filters are. ${list(spoken)}.`,
  );
}

function part({ numbers, first, second, origin }: Looked): Html {
  const { run, layer, maps, dead, dominating } = numbers;
  const about = (map: number) => {
    const { rms, frequency, active } = maps[map];
    const marks = [dead.includes(map) && 'dead', dominating.includes(map) && 'dominating'].filter((mark) => mark !== false);
    return `filter ${map}: RMS ${rms.toPrecision(2)}, ${frequency.toFixed(2)} cycles a pixel, answers in ${percent(active)} of images${marks.length > 0 ? `, ${marks.join(' and ')}` : ''}`;
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
  html`<figure class="filters">${sheet(crops, columnsFor(crops.length), `What ${crops.length} maps of ${second?.layer} of ${run} answer to most, projected to pixels`)}
<figcaption>${second?.layer}: of each map, the strongest answer in ${plural(numbers.images, 'image')}, projected to pixels${
    crops.length < (second?.maps.length ?? 0) ? ` (the first ${crops.length} of ${count(second?.maps.length ?? 0)} maps)` : ''
  }. Contrast is stretched picture by picture.</figcaption></figure>`
}</section>`;
}

/** Pictures with their numbers below. */
function numberedSheet(pictures: readonly Image[], numbers: readonly number[]): Image {
  const tiles = pictures.map((picture, i) => below(inColour(toSide(picture, SIDE)), label(String(numbers[i]))));
  return contactSheet(tiles, { columns: columnsFor(tiles.length), gap: GAP, margin: GAP });
}
