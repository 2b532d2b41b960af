/** Gradient ascent: the picture that each map would like best, and the maps that nothing moves. */
import { explained } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { type AscendedMap, DOMINATES, standingOut } from '../../deconv/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { picture, sheet } from '../components.js';
import { type Experiment, pictureFile } from '../experiment.js';
import { columnsFor } from '../filter_pictures.js';
import { type Html, html } from '../html.js';
import { label } from '../label.js';
import { below, contactSheet, toSide } from '../pictures.js';
import { className, list, plural } from '../words.js';

export interface AscendInput {
  preprocess: Preprocess;
  /** What `ascend` made, by layer. */
  found: Readonly<Record<string, readonly AscendedMap[]>>;
  /** What the maps of a layer stand for, where they stand for something: the classes, for the last layer. */
  names?: Readonly<Record<string, readonly string[]>>;
  /** How it was climbed, for the record. */
  settings: { steps: number; rate: number; decay: number; blur: number; jitter: number; seed: number };
}

/** What `ascend.json` says of a layer. */
interface LayerNumbers {
  layer: string;
  maps: { map: number; value: number }[];
  dead: number[];
  dominating: number[];
}

/** What `ascend.json` says; at the top, of the first layer. */
export interface AscendNumbers extends LayerNumbers {
  settings: AscendInput['settings'];
  layers: LayerNumbers[];
}

/** Pixels of a picture on the sheet of all maps, about. */
const SIDE = 128;
const GAP = 6;
/** Side of a named picture on the page, in CSS pixels. */
const TILE = 128;
/** Maps of a layer that the page shows. */
const SHOWN = 32;

export function ascendExperiment(input: AscendInput): Experiment {
  return explained('ascendExperiment', 'an object { preprocess, found, settings } with what ascend() gave', () =>
    writeAscendExperiment(input),
  );
}

function writeAscendExperiment({ preprocess, found, names = {}, settings }: AscendInput): Experiment {
  const layers = Object.entries(found).map(([layer, maps]) => {
    const outstanding = standingOut(maps.map(({ value }) => value));
    const numbers: LayerNumbers = {
      layer,
      maps: maps.map(({ map, value }) => ({ map, value })),
      dead: outstanding.dead.map((i) => maps[i].map),
      dominating: outstanding.dominating.map((i) => maps[i].map),
    };
    const pictures = maps.map(({ picture }) => preprocess.toImage(picture));
    return { numbers, sheet: sheetOf(maps, pictures), part: part(numbers, maps, pictures, names[layer]) };
  });
  const first = layers[0].numbers;
  return {
    name: 'ascend',
    numbers: { ...first, settings, layers: layers.map(({ numbers }) => numbers) } satisfies AscendNumbers,
    pictures: Object.fromEntries(layers.map(({ numbers, sheet }) => [numbers.layer, sheet])),
    section: {
      id: 'ascend',
      title: 'Pictures made to please',
      body: html`<p>The other way round: no image is shown, one is made. It starts as faint noise, and in ${plural(settings.steps, 'step')} every pixel is changed
so that one map answers more (Erhan et al. 2009). Left alone, this ends in fine noise that no photograph has; so the picture also fades a little
at every step, is blurred now and then and shifted about (Yosinski et al. 2015). What remains is what the map would like to see everywhere.</p>
<p>Zeiler &amp; Fergus name this method beside theirs: it shows what would excite a map most, but says nothing of what it answers to in real images. A map that cannot be
made to answer at all is dead: it wastes its share of the work.</p>
<p class="note">A step moves the pixels by ${settings.rate} of half their range along the gradient divided by its L2 norm; ${settings.decay} of each pixel is lost; every
fourth picture is blurred by ${settings.blur} pixels; shifts are of up to ${settings.jitter} pixels; the seed is ${settings.seed}. Pictures are shown as they are, with
the training images’ mean added back. A map dominates if its answer is more than ${DOMINATES} times that of the median living map.</p>
${layers.map((layer) => layer.part)}`,
    },
  };
}

function part(
  { layer, dead, dominating }: LayerNumbers,
  maps: readonly AscendedMap[],
  pictures: readonly Image[],
  names?: readonly string[],
): Html {
  const nameOf = ({ map }: AscendedMap) => (names?.[map] === undefined ? `map ${map}` : className(names[map]));
  const cells = maps.slice(0, SHOWN).map((each, i) => {
    const name = nameOf(each);
    return { picture: pictures[i], name, tip: `${name}, answer ${each.value.toPrecision(3)}` };
  });
  const rest =
    maps.length > cells.length ? ` The first ${cells.length} are shown here, all of them on ${pictureFile('ascend', layer)}.` : '';
  return html`<section class="layer"><h3>${layer}</h3>
<p>${silence(dead, maps.length)} ${dominating.length > 0 && `${list(dominating.map(String))} ${dominating.length === 1 ? 'dominates' : 'dominate'}.`}${rest}</p>
${
  names
    ? html`<div class="tiles">${cells.map(({ picture: image, name }) => html`<figure class="tile">${picture(image, `What the network takes for ${name} most`, TILE)}<figcaption>${name}</figcaption></figure>`)}</div>`
    : html`<figure class="filters">${sheet(cells, columnsFor(cells.length), `The pictures that ${plural(cells.length, 'map')} of ${layer} would like best`)}</figure>`
}</section>`;
}

const silence = (dead: readonly number[], maps: number): string =>
  dead.length === 0
    ? `Every one of the ${plural(maps, 'map')} could be made to answer.`
    : `${dead.length} of ${plural(maps, 'map')} never ${dead.length === 1 ? 'responds' : 'respond'}: ${list(dead.map(String))}.`;

/** All maps of a layer, each with its number. */
function sheetOf(maps: readonly AscendedMap[], pictures: readonly Image[]): Image {
  const tiles = maps.map(({ map }, i) => below(toSide(pictures[i], SIDE), label(String(map))));
  return contactSheet(tiles, { columns: columnsFor(tiles.length), gap: GAP, margin: GAP });
}
