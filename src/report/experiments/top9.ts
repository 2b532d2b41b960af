/** Fig. 2: the nine strongest activations of each map, projected to pixels, next to the image patches that cause them. */
import { explained } from '../../backend/validate.js';
import type { Dataset, Example, Image } from '../../data/dataset.js';
import { type DeconvMode, fieldSize, type MapActivations, type ProjectedMap, projectTop } from '../../deconv/index.js';
import type { Network } from '../../nn/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { type Experiment, pictureFile } from '../experiment.js';
import { chooseMaps, inputOf } from '../findings.js';
import { type Html, html } from '../page/html.js';
import { count, list, plural } from '../page/words.js';
import { label } from '../pictures/label.js';
import { type MapView, mapFigure, patchCrop, projectionCrop } from '../pictures/map_figure.js';
import { below, contactSheet, inColour, toSide } from '../pictures/pictures.js';

/** What the page on the strongest activations shows. */
export interface Top9Input {
  /** The network that was searched; it computes the projections. */
  model: Network;
  /** Preprocessing that belongs to the network. */
  preprocess: Preprocess;
  /** Opened at the side that `preprocess` expects. */
  dataset: Dataset;
  /** Name of the split that was searched. */
  split: string;
  /** Number of images of the split that were searched. */
  images: number;
  /** Results of `topActivations` by layer. */
  found: Readonly<Record<string, readonly MapActivations[]>>;
  /** Rules of the projections; several are shown side by side. Default: the deconvnet. */
  modes?: readonly DeconvMode[];
  /** Number of maps per layer on the page; the picture has all maps. Default 8. */
  mapsShown?: number;
  /** Called with the number of pairs of layer and rules that are rendered, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting it makes the call throw the signal's reason before the next maps. */
  signal?: AbortSignal;
}

/** Content of `top9.json` for a layer. */
interface LayerNumbers {
  layer: string;
  maps: readonly MapActivations[];
}

/** Number of maps whose projections are in memory at once. */
const CHUNK = 8;
/** Approximate side of a crop on the sheet of all maps, in pixels. */
const SIDE = 48;
/** Approximate width of a sheet in pixels. */
const SHEET_WIDTH = 2600;
const GAP = 14;

/** Projects the activations found and arranges them in pictures. The number of maps affects the time, not the memory. */
export function top9Experiment(input: Top9Input): Promise<Experiment> {
  return explained(
    'top9Experiment',
    'an object { model, preprocess, dataset, split, images, found } with the result of topActivations()',
    () => writeTop9Experiment(input),
  );
}

async function writeTop9Experiment(input: Top9Input): Promise<Experiment> {
  const { found, dataset, split, modes = ['deconvnet'], images, onProgress } = input;
  const total = Object.values(found).reduce((sum, maps) => sum + maps.length, 0);
  let done = 0;
  const layers: { sheet: Image; part: Html; numbers: LayerNumbers }[] = [];
  for (const [layer, maps] of Object.entries(found)) {
    const finished = await layerPictures({ ...input, modes }, layer, maps, () => onProgress?.(++done, total));
    layers.push({ ...finished, numbers: { layer, maps } });
  }
  const numbers = layers.map((layer) => layer.numbers);
  const names = Object.keys(found);
  const kept = Math.max(1, ...Object.values(found).flatMap((maps) => maps.map(({ strongest }) => strongest.length)));
  return {
    name: 'top9',
    numbers: { split, images, modes, ...numbers[0], layers: numbers },
    pictures: Object.fromEntries(layers.map(({ sheet }, i) => [names[i], sheet])),
    section: {
      id: 'top9',
      title: 'The strongest activations of every map',
      body: html`<p>${images === dataset.splits[split].length ? `Each of the ${count(images)} images` : `A sample of ${count(images)} of the ${count(dataset.splits[split].length)} images`}
of “${split}” was processed by the network once. For every map, the strongest activation in each
image was recorded, and the ${plural(kept, 'image')} with the strongest activations were kept. Below,
${modes.length > 1 ? 'the first grids show' : 'the left grid shows'} these activations
projected to pixels by ${list(modes.map((mode) => RULES_IN_WORDS[mode]))}; the last grid shows the image patches that they depend on.</p>
<p>In the paper, layer 2 responds to corners and colour edges, layer 3 to textures, layer 4 to parts of objects such as dog faces, and layer
5 to whole objects in many
poses. That network was trained on 1.3 million photographs of 1000 classes.</p>
<p class="note">The contrast of each picture is stretched: black and white stand for the absolute value that 99.5 % of the values of the
projection stay below, so brightness cannot be compared
between pictures. Grey is zero. The maps shown are the most selective ones, which the last of these images activates far more than an
average image. All requested
maps are in ${list(names.map((name) => pictureFile('top9', name)))}, each with its number below.</p>
${layers.map(({ part }) => part)}`,
    },
  };
}

const RULES_IN_WORDS: Readonly<Record<DeconvMode, string>> = {
  deconvnet: 'the rules of the deconvnet',
  gradient: 'the gradient (Simonyan et al. 2013)',
  guided: 'guided backpropagation (Springenberg et al. 2014)',
};

async function layerPictures(
  input: Top9Input & { modes: readonly DeconvMode[] },
  layer: string,
  maps: readonly MapActivations[],
  onMap: () => void,
): Promise<{ sheet: Image; part: Html }> {
  const { model, preprocess, dataset, modes, mapsShown = 8, signal } = input;
  const split = dataset.splits[input.split];
  const { inputSize, channels } = preprocess.options;
  const field = fieldSize(model, layer, [1, channels, inputSize, inputSize]);
  const view: MapView = { preprocess, classes: dataset.classes, split: input.split, layer, field };
  const shown = new Set(chooseMaps(maps, mapsShown, (index) => split.labels[index]).map(({ map }) => map));
  const tiles: Image[] = [];
  const figures: Html[] = [];
  for (let start = 0; start < maps.length; start += CHUNK) {
    signal?.throwIfAborted();
    const part = maps.slice(start, start + CHUNK);
    const projected = new Map<DeconvMode, ProjectedMap[]>();
    for (const mode of modes) {
      const options = { layer, mode, preprocess: (examples: Example[]) => inputOf(preprocess, examples) };
      projected.set(mode, await projectTop(model, split, part, options));
    }
    for (const [i, { map }] of part.entries()) {
      const own = Object.fromEntries(modes.map((mode) => [mode, projected.get(mode)![i]]));
      tiles.push(mapTile(view, own));
      if (shown.has(map)) figures.push(mapFigure(view, own));
      onMap();
    }
  }
  const columns = Math.max(1, Math.min(tiles.length, Math.floor(SHEET_WIDTH / (tiles[0].width + GAP))));
  const dead = maps.filter(({ active }) => active === 0).length;
  const extent = field[0] >= inputSize && field[1] >= inputSize ? 'the whole image' : `${field[0]}×${field[1]} pixels`;
  return {
    sheet: contactSheet(tiles, { columns, gap: GAP, margin: GAP }),
    part: html`<section class="layer"><h3>${layer}</h3>
<p>Receptive field (the part of the image that one activation depends on): ${extent}. ${plural(maps.length, 'map was', 'maps were')}
searched${dead > 0 ? `; ${dead} of them ${dead === 1 ? 'is' : 'are'} dead, that is, activated by no image` : ''}.</p>
<div class="maps">${figures}</div></section>`,
  };
}

/** Returns the tile of a map on the sheet: a grid of nine projections per set of rules, the grid of patches, and the map's number below. */
function mapTile(view: MapView, projected: Readonly<Record<string, ProjectedMap>>): Image {
  const grid = (pictures: Image[]) =>
    contactSheet(
      pictures.map((picture) => inColour(toSide(picture, SIDE))),
      { columns: 3, gap: 1, background: 200 },
    );
  const all = Object.values(projected);
  const grids = [
    ...all.map(({ strongest }) => grid(strongest.map((activation) => projectionCrop(view, activation)))),
    grid(all[0].strongest.map((activation) => patchCrop(view, activation))),
  ];
  return below(contactSheet(grids, { columns: grids.length, gap: 4 }), label(String(all[0].map)));
}
