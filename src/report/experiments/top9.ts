/** Fig. 2: the nine images that each map answers to most strongly, each answer projected beside the patch of image that it saw. */
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

export interface Top9Input {
  model: Network;
  preprocess: Preprocess;
  /** Opened at the side that `preprocess` expects. */
  dataset: Dataset;
  split: string;
  /** Images of the split that were looked at. */
  images: number;
  /** By layer, as `topActivations` found them. */
  found: Readonly<Record<string, readonly MapActivations[]>>;
  /** How to project; several ways are shown side by side. Default the deconvnet alone. */
  modes?: readonly DeconvMode[];
  /** Maps of a layer that the page shows; the picture has all. Default 8. */
  mapsShown?: number;
  onProgress?: (done: number, total: number) => void;
  signal?: AbortSignal;
}

/** What `top9.json` says of a layer. */
interface LayerNumbers {
  layer: string;
  maps: readonly MapActivations[];
}

/** Maps whose projections are held at once. */
const CHUNK = 8;
/** Pixels of a crop on the sheet of all maps, about. */
const SIDE = 48;
/** Pixels that a sheet is wide, about. */
const SHEET_WIDTH = 2600;
const GAP = 14;

/** Projects what was found and puts it into pictures; many maps cost time, not memory. */
export function top9Experiment(input: Top9Input): Promise<Experiment> {
  return explained('top9Experiment', 'an object { model, preprocess, dataset, split, images, found } with what topActivations() gave', () =>
    writeTop9Experiment(input),
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
      title: 'The strongest answers of every map',
      body: html`<p>${images === dataset.splits[split].length ? `Each of the ${count(images)} images` : `A sample of ${count(images)} of the ${count(dataset.splits[split].length)} images`} of “${split}” was shown to the network once. For every map its strongest answer in each
image was noted, and the ${plural(kept, 'image')} with the strongest ones were kept. Below, ${modes.length > 1 ? 'the first grids show' : 'the left grid shows'} what in these images the
map answered to, brought back to pixels by ${list(modes.map((mode) => WAYS[mode]))}; the last grid shows the pieces of image that the map could see.</p>
<p>Zeiler &amp; Fergus found corners and colour edges in layer 2, textures in layer 3, parts of things such as dog faces in layer 4, and whole objects in many
poses in layer 5. Their network had learned from 1.3 million photographs of a thousand classes.</p>
<p class="note">Contrast is stretched picture by picture: the shades reach full range at the value that 99.5 % of the projection stays within, so brightness says nothing
from picture to picture. Grey is zero. Maps shown: the most selective ones, which answer to the last of these images far more than to an average one. All maps asked
for are on ${list(names.map((name) => pictureFile('top9', name)))}, under each its number.</p>
${layers.map(({ part }) => part)}`,
    },
  };
}

const WAYS: Readonly<Record<DeconvMode, string>> = {
  deconvnet: 'the deconvnet',
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
    const ways = new Map<DeconvMode, ProjectedMap[]>();
    for (const mode of modes) {
      const options = { layer, mode, preprocess: (examples: Example[]) => inputOf(preprocess, examples) };
      ways.set(mode, await projectTop(model, split, part, options));
    }
    for (const [i, { map }] of part.entries()) {
      const own = Object.fromEntries(modes.map((mode) => [mode, ways.get(mode)![i]]));
      tiles.push(mapTile(view, own));
      if (shown.has(map)) figures.push(mapFigure(view, own));
      onMap();
    }
  }
  const columns = Math.max(1, Math.min(tiles.length, Math.floor(SHEET_WIDTH / (tiles[0].width + GAP))));
  const dead = maps.filter(({ active }) => active === 0).length;
  const sees = field[0] >= inputSize && field[1] >= inputSize ? 'the whole image' : `${field[0]}×${field[1]} pixels of the image`;
  return {
    sheet: contactSheet(tiles, { columns, gap: GAP, margin: GAP }),
    part: html`<section class="layer"><h3>${layer}</h3>
<p>A point of this layer sees ${sees}. ${plural(maps.length, 'map was', 'maps were')} looked at${dead > 0 ? `; ${dead} of them responded to no image at all` : ''}.</p>
<div class="maps">${figures}</div></section>`,
  };
}

/** A map on the sheet of all: a grid of nine a way, the grid of patches, and the map's number below. */
function mapTile(view: MapView, ways: Readonly<Record<string, ProjectedMap>>): Image {
  const grid = (pictures: Image[]) =>
    contactSheet(
      pictures.map((picture) => inColour(toSide(picture, SIDE))),
      { columns: 3, gap: 1, background: 200 },
    );
  const all = Object.values(ways);
  const grids = [
    ...all.map(({ strongest }) => grid(strongest.map((activation) => projectionCrop(view, activation)))),
    grid(all[0].strongest.map((activation) => patchCrop(view, activation))),
  ];
  return below(contactSheet(grids, { columns: grids.length, gap: 4 }), label(String(all[0].map)));
}
