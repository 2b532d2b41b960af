/** Gradient ascent: a picture for each map that maximises its activation, beside the strongest activation that a real image gives. */
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
  map: number;
  value: number;
  /** Place of the image in its split. */
  index: number;
  /** The image as the network sees it, and the name of its class. */
  image: Image;
  class: string;
}

/** The images that the maps were measured on. */
export interface RealAnswers {
  split: string;
  /** Number of images. */
  images: number;
  /** By layer, in the order of its maps. */
  strongest: Readonly<Record<string, readonly StrongestReal[]>>;
}

export interface AscendInput {
  preprocess: Preprocess;
  /** What `ascend` made, by layer. */
  found: Readonly<Record<string, readonly AscendedMap[]>>;
  /** Left out if there are no images: then nothing is said of dead maps. */
  real?: RealAnswers;
  /** What the maps of a layer stand for, if they stand for something: the classes, for the last layer. */
  names?: Readonly<Record<string, readonly string[]>>;
  /** How it was climbed, for the record. */
  settings: { steps: number; rate: number; decay: number; blur: number; jitter: number; starts: number; seed: number };
}

/** What `ascend.json` says of a map. */
interface MapNumbers {
  map: number;
  /** The maximum over all places in its picture. */
  value: number;
  /** What the picture was made from. */
  start: AscendedMap['start'];
  /** The largest maximum over the images of the split, and the image. */
  realValue: number | null;
  realIndex: number | null;
}

/** What `ascend.json` says of a layer. */
interface LayerNumbers {
  layer: string;
  maps: MapNumbers[];
  /** Maps that no image of the split makes positive. */
  dead: number[];
  dominating: number[];
  /** Maps whose picture stays at zero. */
  unmoved: number[];
  /** Number of maps whose picture gives a larger value than every image. */
  stronger: number;
}

/** What `ascend.json` says; at the top, of the first layer. */
export interface AscendNumbers extends LayerNumbers {
  /** What is climbed, and what `value` and `realValue` are: the maximum of a map over all places. */
  measure: 'maximum';
  split: string | null;
  images: number;
  settings: AscendInput['settings'];
  layers: LayerNumbers[];
}

/** Pixels of a picture on the sheet of all maps, about. */
const SIDE = 128;
const GAP = 6;
/** Side of a named picture on the page, in CSS pixels. */
const TILE = 112;
/** Maps of a layer that the page shows. */
const SHOWN = 32;

/** A map's picture beside the image that it responds to most. */
interface Pair {
  ascended: AscendedMap;
  picture: Image;
  real?: StrongestReal;
}

export function ascendExperiment(input: AscendInput): Experiment {
  return explained('ascendExperiment', 'an object { preprocess, found, settings } with what ascend() gave', () =>
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
      title: 'Pictures that maximise a map',
      body: html`${introduction(settings, real !== undefined)}${layers.map(({ part }) => part)}`,
    },
  };
}

function introduction({ steps, rate, decay, blur, jitter, starts, seed }: AscendInput['settings'], compared: boolean): Html {
  return html`<p>Here no image is shown to the network; a picture is made for each map. It starts as noise, and in ${plural(steps, 'step')} every pixel is changed
so that the maximum of the map over all places grows (Erhan et al. 2009). Without limits this ends in fine noise that no photograph has; so the picture also fades a little
at every step, is blurred at every fourth one and is shifted about (Yosinski et al. 2015). The best picture on the way is kept.</p>
<p>Zeiler &amp; Fergus name this method beside theirs: it shows what would excite a map most, but says nothing of what it responds to in real images.${compared && ' So the image that gives the map its largest value stands beside each picture.'}</p>
<p class="note">A step moves the pixels by ${rate} of half their range along the gradient divided by its root mean square; ${decay} of each pixel is lost; the blur
has a standard deviation of ${blur} pixels; shifts are of up to ${jitter} pixels; the seed is ${seed}. ${compared && `A map that stays below the best image is climbed up to ${plural(starts, 'time')}, each time from stronger noise and with less fading and blur, and at last from that image. `}Pictures are shown with the mean that the network subtracts added back. ${compared && 'A map is dead if no image makes it positive. '}A map dominates if its value is more than ${DOMINATES} times that of the median living map.</p>
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
    const answer = pair.real ? `image ${pair.real.index} (${className(pair.real.class)}) ${digits(pair.real.value)}` : '';
    return { pair, name, tip: `${name}: picture ${digits(value)}${answer && `, ${answer}`}`, answer };
  });
  const rest =
    pairs.length > cells.length ? ` The first ${cells.length} are shown here, all of them on ${pictureFile('ascend', layer)}.` : '';
  return html`<section class="layer"><h3>${layer}</h3>
<p>${findings(numbers, real)}${rest}</p>
${
  names
    ? html`<div class="tiles">${cells.map(
        ({ pair, name, answer }) =>
          html`<figure class="tile">${picture(pair.picture, `The picture that maximises ${name}`, TILE)}${pair.real && picture(inColour(pair.real.image), `The image with the largest value of ${name}: ${answer}`, TILE)}<figcaption>${name} ${digits(pair.ascended.value)}${answer && html` <small>${answer}</small>`}</figcaption></figure>`,
      )}</div>`
    : html`<figure class="filters">${sheet(
        cells.map(({ pair, tip }) => ({ picture: sideBySide(pair, 2), tip })),
        Math.max(1, Math.ceil(columnsFor(cells.length) / 2)),
        `The pictures that maximise ${plural(cells.length, 'map')} of ${layer}${real ? ', each beside the image with its largest value' : ''}`,
      )}</figure>`
}</section>`;
}

const digits = (value: number): string => value.toPrecision(3);

/** What the numbers of a layer say, each sentence from the numbers that it speaks of. */
export function findings({ maps, dead, dominating, unmoved, stronger }: LayerNumbers, real: RealAnswers | undefined): string {
  const sentences: string[] = [];
  const named = (chosen: readonly number[]) => list(chosen.map(String));
  const fromImage = maps.filter(({ start }) => start === 'image').length;
  if (real) {
    sentences.push(
      stronger === maps.length
        ? `For ${maps.length === 1 ? 'the one map' : `all ${maps.length} maps`} the picture gives a larger value than every one of the ${plural(real.images, 'image')} of “${real.split}”.`
        : `For ${stronger === 0 ? 'none' : stronger} of ${plural(maps.length, 'map')} the picture gives a larger value than every one of the ${plural(real.images, 'image')} of “${real.split}”${stronger === 0 ? '' : `; for the other ${maps.length - stronger} it does not`}.`,
    );
    if (fromImage > 0)
      sentences.push(`${plural(fromImage, 'picture was', 'pictures were')} made from the image, since no noise led as far.`);
    sentences.push(
      dead.length === 0
        ? 'No map is dead.'
        : `${plural(dead.length, 'map is', 'maps are')} dead, positive for none of these images: ${named(dead)}.`,
    );
  } else sentences.push('There were no images to compare with, so this does not tell which maps are dead.');
  if (unmoved.length > 0) sentences.push(`No start brought ${plural(unmoved.length, 'map')} above zero: ${named(unmoved)}.`);
  if (dominating.length > 0)
    sentences.push(
      `${dominating.length === 1 ? 'Map' : 'Maps'} ${named(dominating)} ${dominating.length === 1 ? 'dominates' : 'dominate'}.`,
    );
  return sentences.join(' ');
}

/** The picture at the left, the image at the right, both in colour. */
function sideBySide({ picture: made, real }: Pair, gap: number): Image {
  return contactSheet([inColour(made), ...(real ? [inColour(real.image)] : [])], { columns: 2, gap });
}

/** All maps of a layer: picture and image, and below them the map's number and both values. */
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
