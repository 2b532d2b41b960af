/** Gradient ascent: for each map, a picture that maximises its activation, next to the real image with the strongest activation. */
import { explained } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { type AscendedMap, DOMINATES, standingOut } from '../../deconv/index.js';
import type { Preprocess } from '../../zfnet/index.js';
import { type Experiment, pictureFile } from '../experiment.js';
import { picture, sheet } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { className, list, plural } from '../page/words.js';
import { columnsFor } from '../pictures/filter_pictures.js';
import { label } from '../pictures/label.js';
import { below, blank, contactSheet, inColour, toSide } from '../pictures/pictures.js';

/** The largest activation of a map over some images. */
export interface StrongestReal {
  /** Index of the map, from 0. */
  map: number;
  /** Largest activation of the map over all images and positions, after the ReLU. */
  value: number;
  /** Index of the image in its split. */
  index: number;
  /** The image as the network sees it, and the name of its class. */
  image: Image;
  /** Name of the image's true class. */
  class: string;
}

/** The images that the maps were measured on. */
export interface RealAnswers {
  /** Name of the split, such as `val`. */
  split: string;
  /** Number of images. */
  images: number;
  /** Strongest activations by layer, in the order of its maps. */
  strongest: Readonly<Record<string, readonly StrongestReal[]>>;
}

/** What the page on activation maximisation shows. */
export interface AscendInput {
  /** Converts the pictures from the units of the network's input to colours. */
  preprocess: Preprocess;
  /** Results of `ascend` by layer. */
  found: Readonly<Record<string, readonly AscendedMap[]>>;
  /** Strongest activations of real images. Without it there is no comparison, and dead maps are not listed. */
  real?: RealAnswers;
  /** Names of the maps of a layer, such as the classes for the last layer. */
  names?: Readonly<Record<string, readonly string[]>>;
  /** Settings of the gradient ascent, recorded in the results. */
  settings: { steps: number; rate: number; decay: number; blur: number; jitter: number; starts: number; seed: number };
}

/** Content of `ascend.json` for a map. */
interface MapNumbers {
  map: number;
  /** Largest activation of the map over all positions, in its picture. */
  value: number;
  /** Start of the gradient ascent: noise or the real image. */
  start: AscendedMap['start'];
  /** Largest activation over the images of the split, and the index of that image. */
  realValue: number | null;
  realIndex: number | null;
}

/** Content of `ascend.json` for a layer. */
interface LayerNumbers {
  layer: string;
  maps: MapNumbers[];
  /** Maps that no image of the split activates. */
  dead: number[];
  dominating: number[];
  /** Maps whose picture does not activate them. */
  unmoved: number[];
  /** Number of maps whose picture gives a larger activation than every image. */
  stronger: number;
}

/** Content of `ascend.json`: the first layer at the top level, and all layers in `layers`. */
export interface AscendNumbers extends LayerNumbers {
  /** Meaning of `value` and `realValue`, which is the quantity that is maximised: the largest activation of a map over all positions. */
  measure: 'maximum';
  /** Split that the real images are from; null without a comparison. */
  split: string | null;
  /** Number of real images that were compared; 0 without a comparison. */
  images: number;
  /** Settings of the gradient ascent, as `AscendInput.settings`. */
  settings: AscendInput['settings'];
  /** One entry per layer, the first of which is repeated at the top level. */
  layers: LayerNumbers[];
}

/** Approximate side of a picture on the sheet of all maps, in pixels. */
const SIDE = 128;
const GAP = 6;
/** Side of a named picture on the page, in CSS pixels. */
const TILE = 112;
/** Largest number of maps per layer on the page. */
const SHOWN = 32;

/** The picture of a map and the real image with its strongest activation. */
interface Pair {
  ascended: AscendedMap;
  picture: Image;
  real?: StrongestReal;
}

/** Returns the page and pictures of activation maximisation. */
export function ascendExperiment(input: AscendInput): Experiment {
  return explained('ascendExperiment', 'an object { preprocess, found, settings } with the result of ascend()', () =>
    writeAscendExperiment(input),
  );
}

function writeAscendExperiment({ preprocess, found, real, names = {}, settings }: AscendInput): Experiment {
  const layers = Object.entries(found).map(([layer, maps]) => {
    const pairs = maps.map((ascended): Pair => {
      const own = real?.strongest[layer]?.find(({ map }) => map === ascended.map);
      return { ascended, picture: preprocess.toImage(ascended.picture), real: own };
    });
    const numbers = numbersOf(layer, pairs);
    return { numbers, sheet: sheetOf(pairs), part: part(numbers, pairs, real, names[layer]) };
  });
  const first = layers[0].numbers;
  const [split, images] = [real?.split ?? null, real?.images ?? 0];
  return {
    name: 'ascend',
    numbers: {
      ...first,
      measure: 'maximum',
      split,
      images,
      settings,
      layers: layers.map(({ numbers }) => numbers),
    } satisfies AscendNumbers,
    pictures: Object.fromEntries(layers.map(({ numbers, sheet }) => [numbers.layer, sheet])),
    section: {
      id: 'ascend',
      title: 'Pictures that maximise an activation',
      body: html`${introduction(settings, real !== undefined)}${layers.map(({ part }) => part)}`,
    },
  };
}

function introduction({ steps, rate, decay, blur, jitter, starts, seed }: AscendInput['settings'], compared: boolean): Html {
  return html`<p>These pictures are not images of the data; they are computed for each map by gradient ascent. A picture starts as noise,
and ${plural(steps, 'step')} change every pixel
so that the largest activation of the map over all positions grows (Erhan et al. 2009). Without limits the result is fine noise that does
not occur in photographs. Therefore each step also shrinks the
pixels slightly and shifts the picture at random, and every fourth step blurs it (Yosinski et al. 2015). The best picture of all steps is
kept.</p>
<p>Zeiler &amp; Fergus discuss this method: it shows what would activate a map most, but not what the map responds to in real
images.${compared && ' For comparison, the real image with the strongest activation is shown next to each picture.'}</p>
<p class="note">Settings: each step changes the pixels by ${rate} of half their range, along the gradient divided by its root mean square,
and shrinks them by the fraction ${decay}; the blur
has a standard deviation of ${blur} pixels; shifts are at most ${jitter} pixels; the seed is ${seed}.
${compared && `If a map stays below its strongest real image, gradient ascent is repeated up to ${plural(starts, 'time')}, with stronger noise and less shrinking and blur each time, and at last from that image. `}The
mean image that the network subtracts is added to the pictures. ${compared && 'A map is dead if no image activates it. '}A map dominates if
its value is more than ${DOMINATES} times the median of the maps that are not dead.</p>
`;
}

function numbersOf(layer: string, pairs: readonly Pair[]): LayerNumbers {
  const maps = pairs.map(({ ascended: { map, value, start }, real }): MapNumbers => {
    return { map, value, start, realValue: real?.value ?? null, realIndex: real?.index ?? null };
  });
  const named = (places: readonly number[]) => places.map((i) => maps[i].map);
  return {
    layer,
    maps,
    dead: maps.filter(({ realValue }) => realValue !== null && realValue <= 0).map(({ map }) => map),
    dominating: named(standingOut(maps.map(({ value }) => value)).dominating),
    unmoved: maps.filter(({ value }) => value <= 0).map(({ map }) => map),
    stronger: maps.filter(({ value, realValue }) => realValue !== null && value > realValue).length,
  };
}

function part(numbers: LayerNumbers, pairs: readonly Pair[], real: RealAnswers | undefined, names?: readonly string[]): Html {
  const { layer } = numbers;
  const cells = pairs.slice(0, SHOWN).map((pair) => {
    const { map, value } = pair.ascended;
    const name = names?.[map] === undefined ? `map ${map}` : className(names[map]);
    const real = pair.real ? `image ${pair.real.index} (${className(pair.real.class)}) ${digits(pair.real.value)}` : '';
    return { pair, name, tip: `${name}: picture ${digits(value)}${real && `, ${real}`}`, real };
  });
  const rest = pairs.length > cells.length ? ` The first ${cells.length} are shown here; all are in ${pictureFile('ascend', layer)}.` : '';
  return html`<section class="layer"><h3>${layer}</h3>
<p>${findings(numbers, real)}${rest}</p>
${
  names
    ? html`<div class="tiles">${cells.map(
        ({ pair, name, real }) =>
          html`<figure class="tile">${picture(pair.picture, `The picture that maximises ${name}`, TILE)}${pair.real && picture(inColour(pair.real.image), `The real image with the strongest activation of ${name}: ${real}`, TILE)}<figcaption>${name}
${digits(pair.ascended.value)}${real && html` <small>${real}</small>`}</figcaption></figure>`,
      )}</div>`
    : html`<figure class="filters">${sheet(
        cells.map(({ pair, tip }) => ({ picture: sideBySide(pair, 2), tip })),
        Math.max(1, Math.ceil(columnsFor(cells.length) / 2)),
        `The pictures that maximise ${plural(cells.length, 'map')} of ${layer}${real ? ', each next to the real image with the strongest activation' : ''}`,
      )}</figure>`
}</section>`;
}

const digits = (value: number): string => value.toPrecision(3);

/** Sentences on the results of a layer. */
export function findings({ maps, dead, dominating, unmoved, stronger }: LayerNumbers, real: RealAnswers | undefined): string {
  const sentences: string[] = [];
  const named = (chosen: readonly number[]) => list(chosen.map(String));
  const fromImage = maps.filter(({ start }) => start === 'image').length;
  if (real) {
    sentences.push(
      stronger === maps.length
        ? `For ${maps.length === 1 ? 'the one map' : `all ${maps.length} maps`} the picture gives a larger activation than each of the ${plural(real.images, 'image')} of “${real.split}”.`
        : `For ${stronger === 0 ? 'none' : stronger} of ${plural(maps.length, 'map')} the picture gives a larger activation than each of the ${plural(real.images, 'image')} of “${real.split}”${stronger === 0 ? '' : `; for the other ${maps.length - stronger} it does not`}.`,
    );
    if (fromImage > 0)
      sentences.push(`${plural(fromImage, 'picture')} started from the real image, because no start from noise reached its activation.`);
    sentences.push(
      dead.length === 0
        ? 'No map is dead.'
        : `${plural(dead.length, 'map is', 'maps are')} dead, since no image activates ${dead.length === 1 ? 'it' : 'them'}: ${named(dead)}.`,
    );
  } else sentences.push('There are no images for comparison, so dead maps are not known.');
  if (unmoved.length > 0) sentences.push(`No picture activates ${plural(unmoved.length, 'map')}: ${named(unmoved)}.`);
  if (dominating.length > 0)
    sentences.push(
      `${dominating.length === 1 ? 'Map' : 'Maps'} ${named(dominating)} ${dominating.length === 1 ? 'dominates' : 'dominate'}.`,
    );
  return sentences.join(' ');
}

/** Puts the picture at the left and the real image at the right, both with three channels. */
function sideBySide({ picture: made, real }: Pair, gap: number): Image {
  return contactSheet([inColour(made), ...(real ? [inColour(real.image)] : [])], { columns: 2, gap });
}

/** The sheet of all maps of a layer: picture and real image, and below them the number of the map and both activations. */
function sheetOf(pairs: readonly Pair[]): Image {
  const tiles = pairs.map(({ ascended: { map, value }, picture: made, real }) => {
    const column = (image: Image, text: string) => below(inColour(toSide(image, SIDE)), label(text));
    const own = column(made, `${map}  ${digits(value)}`);
    return real ? contactSheet([own, column(real.image, digits(real.value))], { columns: 2, gap: 2 }) : own;
  });
  return tiles.length > 0
    ? contactSheet(tiles, { columns: Math.max(1, Math.ceil(columnsFor(tiles.length) / 2)), gap: 2 * GAP, margin: GAP })
    : blank(1, 1, 255);
}
