/** Fig. 7: a grey square slides over an image; what one feature map and the answer make of it at each place. */
import { explained } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import type { Occlusion, ProjectedMap } from '../../deconv/index.js';
import type { Experiment } from '../experiment.js';
import { picture } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { className, list, percent, percentsApart, plural } from '../page/words.js';
import { type MapView, mapFigure } from '../pictures/map_figure.js';
import { cropPicture, inColour, signedPicture } from '../pictures/pictures.js';
import { heatMap, nameMap } from './heat_map.js';
import { coveringSquare, type OcclusionExplorer, occlusionExplorer, pointable } from './occlusion_explorer.js';
import { type Panel, panelFigure } from './panels.js';

export interface OccludeInput {
  /** Without `strongest` the page does not say whether the map is the strongest of its layer. */
  occlusion: Omit<Occlusion, 'strongest'> & Partial<Pick<Occlusion, 'strongest'>>;
  /** As the network saw it. */
  image: Image;
  /** What to call it: a file, or `val 17`. */
  name: string;
  /** Whether the class that was watched is known to be the right one; otherwise it was chosen, or is the network's own answer. */
  isTruth: boolean;
  /** How the image came to be chosen, as a sentence, where it was not given. */
  chosen?: string;
  classes: readonly string[];
  square: number;
  stride: number;
  /** Shade of the square, 0 to 255. */
  grey: number;
  /** The map's strongest activation in this image, projected: [C, H, W]. */
  projection: Float32Array;
  /** The map's strongest answers to other images, projected, where images were given. */
  others?: { view: MapView; map: ProjectedMap };
}

/** Classes that get a colour of their own. */
const NAMED = 7;
const COLOURS = ['#4269d0', '#efb118', '#ff725c', '#6cc5b0', '#a463f2', '#9c6b4e', '#ff8ab7'];
const OTHER = { name: 'another class', colour: '#9498a0' };
/** Pixels of the longer side of a panel. */
const SIDE = 220;

export function occludeExperiment(input: OccludeInput): Experiment {
  return explained('occludeExperiment', 'an object { occlusion, image, … } with what occlude() gave', () => writeOccludeExperiment(input));
}

function writeOccludeExperiment(input: OccludeInput): Experiment {
  const { occlusion, image, name, isTruth, chosen, classes, square, stride, grey, others } = input;
  const { places, grid, label, layer, map, clean, probability, labels, activation, incremental } = occlusion;
  const scale = SIDE / Math.max(image.width, image.height);
  const size = [Math.round(image.height * scale), Math.round(image.width * scale)] as const;
  const watched = className(classes[label]);
  const colours = coloursOf(labels, classes);
  const shown = labels.map((k) => (colours.has(className(classes[k])) ? className(classes[k]) : OTHER.name));
  const worst = probability.indexOf(Math.min(...probability));
  const least = activation.indexOf(Math.min(...activation));
  const range = (values: readonly number[], words: (value: number) => string) =>
    isConstant(values)
      ? `${words(values[0])} at every place`
      : `${words(Math.min(...values))} (dark) to ${words(Math.max(...values))} (bright)`;
  const lowest = (values: readonly number[], place: number) =>
    isConstant(values) ? '' : `, least with the square ${whereabouts(places[place], square, image)}`;
  const digits = (value: number) => value.toPrecision(3);
  const right = isTruth ? 'the right class' : label === clean.label ? 'this answer' : 'the class that is watched';
  const heat = { grid, size };
  const activationMap = heatMap(activation, digits, {
    ...heat,
    label: `Total activation of map ${map} of ${layer} by the square's place: ${range(activation, digits)}${lowest(activation, least)}`,
  });
  const probabilityMap = heatMap(probability, percent, {
    ...heat,
    range: [0, Math.max(clean.probability, ...probability)],
    label: `Probability of ${watched} by the square's place: ${range(probability, percent)}${lowest(probability, worst)}`,
  });
  const answerMap = nameMap(shown, new Map([...colours, [OTHER.name, OTHER.colour]]), {
    ...heat,
    label: `The most probable class by the square's place: ${list([...new Set(shown)].map((each) => `${each} at ${share(shown, each)}`))}`,
  });
  const key = [...new Set(shown)].map((each) => ({ text: `${each} ${share(shown, each)}`, colour: colours.get(each) ?? OTHER.colour }));
  const [before, after] = percentsApart(clean.probability, probability[worst]);
  const covered = withSquare(image, places[worst], square, grey);
  const explorer: OcclusionExplorer = {
    grid,
    places,
    square,
    size: [image.height, image.width],
    start: worst,
    words: places.map(
      (place, i) =>
        `Square ${whereabouts(place, square, image)} (row ${place[0]}, column ${place[1]}): ${watched} ${percent(probability[i])}, map ${map} ${digits(activation[i])}; the answer is ${className(classes[labels[i]])}.`,
    ),
  };
  const projected = signedPicture(input.projection, [image.channels, image.height, image.width]);
  const panels: Panel[] = [
    { title: '(a) image, and the square', content: covered, key: [{ text: `${watched} ${percent(clean.probability)} uncovered` }] },
    { title: `(b) ${layer}, map ${map}`, content: activationMap, key: [{ text: range(activation, digits) }] },
    { title: '(c) its projection', content: inColour(projected) },
    { title: `(d) probability of ${watched}`, content: probabilityMap, key: [{ text: range(probability, percent) }] },
    { title: '(e) most probable class', content: answerMap, key },
  ];
  return {
    name: 'occlude',
    numbers: {
      image: name,
      class: classes[label],
      square,
      stride,
      grey,
      layer,
      map,
      clean: { probability: clean.probability, label: classes[clean.label], activation: clean.activation },
      places,
      probability,
      label: labels.map((k) => classes[k]),
      activation,
      incremental,
    },
    pictures: { '': { svg: panelFigure(panels, panels.length, size) } },
    section: {
      id: 'occlude',
      title: 'What the answer depends on',
      body: html`<p>A grey square of ${square}×${square} pixels was laid over the image, ${stride === square ? 'side by side' : `every ${plural(stride, 'pixel')}`}, at ${plural(places.length, 'place')} in all, and the network was asked again each
time. Where the answer breaks down, it had depended on what the square hid. If it breaks down over the background, the network recognises the surroundings, not the object.</p>
<p>With nothing covered the network says “${className(classes[clean.label])}”; the probability of ${right}, ${watched}, is ${before}. ${fall(probability, clean.probability, `With the square ${whereabouts(places[worst], square, image)}`, after)} ${answersInWords(labels, label, clean.label, classes)}${chosen && ` ${chosen}`}</p>
${occlusionExplorer(
  explorer,
  grey,
  html`<div class="panels">
${figure(html`<div class="over">${picture(inColour(image), `${name}, and the grey square over it`, size[1])}${coveringSquare}</div>`, html`<strong>(a)</strong> The image, and the square: at first where the probability is least. Point at (b), (d) or (e) to move it, or step over them with the arrow keys.`)}
${figure(pointable(activationMap, 'Activation by place'), html`<strong>(b)</strong> What is left of map ${map} of ${layer}, all its activations added up: ${range(activation, digits)}; ${digits(clean.activation)} uncovered. ${standing(occlusion)}`)}
${figure(picture(inColour(projected), `Projection of the strongest activation of map ${map} of ${layer}`, size[1]), html`<strong>(c)</strong> ${input.projection.some((value) => value !== 0) ? 'What that map saw in the image, projected to pixels by the deconvnet.' : 'The projection of that map by the deconvnet, which is empty: the map does not respond to the image.'}`)}
${figure(pointable(probabilityMap, 'Probability by place'), html`<strong>(d)</strong> Probability of ${watched} by the square’s place: ${range(probability, percent)}.`)}
${figure(pointable(answerMap, 'Answer by place'), html`<strong>(e)</strong> The most probable class by the square’s place: ${list(key.map(({ text }) => text))}.`, key)}
</div>`,
)}
<p>In the paper, the probability of “pomeranian” fell when the dog’s face was covered, and the map that answered to the face most strongly went quiet at the same
places: the network found the thing itself, not what tends to surround it. Compare (b) with (c): if the projection shows what the map responds to, the map goes quiet where the projection has structure.</p>
<p class="note">Scale: the paper’s network had seen 1.3 million photographs of a thousand classes; what holds for one image here holds for this network and this image. The square has
the shade ${grey} of 255${image.channels === 3 ? ' in all three colours' : ''}; a square of another shade is another question, and an unusual patch may itself look like something. Each coloured square stands for the place of the grey one’s centre.
${incremental ? 'Only what the grey square reaches was computed at each place, layer by layer; the numbers are those of computing every image whole.' : 'Every covered image was computed whole, as this network is no plain row of layers.'}</p>
${others ? othersPart(others, layer) : ''}`,
    },
  };
}

const isConstant = (values: readonly number[]): boolean => values.every((value) => value === values[0]);

/** By how much the probability falls where it is least, in a sentence. */
export function fall(probability: readonly number[], clean: number, where: string, lowest: string): string {
  const least = Math.min(...probability);
  if (least < clean) return `${where} it falls to ${lowest}.`;
  if (isConstant(probability) && least === clean) return 'It is the same with the square at every place.';
  return `It is no lower with the square at any place: the least is ${lowest}${least > clean ? ', which is more' : ''}.`;
}

/** Whether the map is the one with the strongest activation in the image, in a sentence. */
export function standing({ map, strongest }: OccludeInput['occlusion']): string {
  if (strongest === undefined) return '';
  if (strongest === null) return 'No map of the layer has an activation above zero in this image.';
  if (strongest === map) return 'No other map of the layer has a stronger activation in this image.';
  return `It is not the strongest map of the layer in this image, which is map ${strongest}.`;
}

function othersPart({ view, map }: NonNullable<OccludeInput['others']>, layer: string): Html {
  return html`<p>The same map elsewhere: its strongest answers among the images of “${view.split}”, projected likewise. They show what map ${map.map} of ${layer} responds to beyond this image.</p>
<div class="maps">${mapFigure(view, { deconvnet: map })}</div>`;
}

const figure = (content: Html, caption: Html, key: Panel['key'] = []): Html =>
  html`<figure>${content}<figcaption>${caption}${
    key.length > 0
      ? html`<span class="key">${key.map(({ text, colour }) => html`<span><i style="background:${colour ?? 'none'}"></i>${text}</span> `)}</span>`
      : ''
  }</figcaption></figure>`;

/** The most frequent answers, each with a colour. */
function coloursOf(labels: readonly number[], classes: readonly string[]): Map<string, string> {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const frequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, NAMED);
  return new Map(frequent.map(([label], i) => [className(classes[label]), COLOURS[i]]));
}

function share(shown: readonly string[], name: string): string {
  return percent(shown.filter((each) => each === name).length / shown.length);
}

function answersInWords(labels: readonly number[], label: number, answer: number, classes: readonly string[]): string {
  const same = labels.filter((each) => each === answer).length;
  if (same === labels.length) return 'Its answer is the same at every place.';
  const others = [...new Set(labels.filter((each) => each !== answer))].map((each) => className(classes[each]));
  const names = others.length > 4 ? `one of ${others.length} others` : list(others);
  return `At ${percent(1 - same / labels.length)} of the places its answer is another one (${names})${answer === label ? '' : ` (its answer to the uncovered image was not ${className(classes[label])})`}.`;
}

/** Where in the image a square lies, in words. */
function whereabouts([y, x]: readonly [number, number], square: number, { width, height }: Image): string {
  const third = (place: number, extent: number) => Math.min(2, Math.floor((3 * (place + square / 2)) / extent));
  const [row, column] = [third(y, height), third(x, width)];
  if (row === 1 && column === 1) return 'in the middle';
  const words = [['at the top', '', 'at the bottom'][row], ['on the left', '', 'on the right'][column]];
  return words.filter(Boolean).join(' ');
}

/** The image with the square laid over it, framed so that it shows on any ground. */
function withSquare(image: Image, [y, x]: readonly [number, number], square: number, grey: number): Image {
  const copy = cropPicture(image, [0, 0, image.height, image.width]);
  for (let row = y; row < y + square; row++) {
    const edge = row === y || row === y + square - 1;
    for (let column = x; column < x + square; column++) {
      const at = (row * image.width + column) * image.channels;
      copy.data.fill(edge || column === x || column === x + square - 1 ? 255 : grey, at, at + image.channels);
    }
  }
  return copy;
}
