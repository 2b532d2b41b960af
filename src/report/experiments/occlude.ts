/** Fig. 7: a grey square slides over an image, and the activation of a map and the prediction are recorded at each position. */
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

/** What the page on occlusion shows. */
export interface OccludeInput {
  /** Without `strongest` the page does not state whether the map has the strongest activation of its layer. */
  occlusion: Omit<Occlusion, 'strongest'> & Partial<Pick<Occlusion, 'strongest'>>;
  /** The image as the network sees it. */
  image: Image;
  /** Name of the image: a file, or `val 17`. */
  name: string;
  /** Whether the class whose probability is measured is the true class; otherwise it was chosen, or is the predicted class. */
  isTruth: boolean;
  /** A sentence on how the image was chosen, if it was not given. */
  chosen?: string;
  /** Class names in the order of the network's outputs. */
  classes: readonly string[];
  /** Side of the grey square in pixels of the network's input. */
  square: number;
  /** Distance between neighbouring positions of the square in pixels. */
  stride: number;
  /** Shade of the square, 0 to 255. */
  grey: number;
  /** The map's strongest activation in this image, projected: [C, H, W]. */
  projection: Float32Array;
  /** The map's strongest activations in other images, projected, if there are other images. */
  others?: { view: MapView; map: ProjectedMap };
}

/** Largest number of classes with a colour of their own. */
const NAMED = 7;
const COLOURS = ['#4269d0', '#efb118', '#ff725c', '#6cc5b0', '#a463f2', '#9c6b4e', '#ff8ab7'];
const OTHER = { name: 'another class', colour: '#9498a0' };
/** Longer side of a panel in pixels. */
const SIDE = 220;

/** Returns the page and pictures of the occlusion of one image. */
export function occludeExperiment(input: OccludeInput): Experiment {
  return explained('occludeExperiment', 'an object { occlusion, image, … } with the result of occlude()', () =>
    writeOccludeExperiment(input),
  );
}

function writeOccludeExperiment(input: OccludeInput): Experiment {
  const facts = factsOf(input);
  const maps = mapsOf(input, facts);
  return {
    name: 'occlude',
    numbers: numbersOf(input),
    pictures: { '': { svg: panelFigure(panelsOf(input, facts, maps), 5, facts.size) } },
    section: { id: 'occlude', title: 'Which parts of the image the prediction depends on', body: bodyOf(input, facts, maps) },
  };
}

const digits = (value: number): string => value.toPrecision(3);

/** Smallest and largest value of a map in words; the colours go from dark to bright. */
const range = (values: readonly number[], words: (value: number) => string): string =>
  isConstant(values)
    ? `${words(values[0])} at every position`
    : `${words(Math.min(...values))} (dark) to ${words(Math.max(...values))} (bright)`;

/** What several parts of the section need. */
interface Facts {
  /** [height, width] of a panel. */
  size: readonly [number, number];
  /** The class whose probability is measured. */
  watched: string;
  /** Index of the position with the smallest probability. */
  worst: number;
  /** Name of the predicted class at each position; classes without a colour share a name. */
  shown: string[];
  colours: Map<string, string>;
  /** Legend of the predicted classes. */
  key: { text: string; colour: string }[];
  /** Projection of the map's strongest activation. */
  projected: Image;
}

function factsOf({ occlusion, image, classes, projection }: OccludeInput): Facts {
  const { label, labels, probability } = occlusion;
  const scale = SIDE / Math.max(image.width, image.height);
  const colours = coloursOf(labels, classes);
  const shown = labels.map((k) => (colours.has(className(classes[k])) ? className(classes[k]) : OTHER.name));
  return {
    size: [Math.round(image.height * scale), Math.round(image.width * scale)],
    watched: className(classes[label]),
    worst: probability.indexOf(Math.min(...probability)),
    shown,
    colours,
    key: [...new Set(shown)].map((each) => ({ text: `${each} ${share(shown, each)}`, colour: colours.get(each) ?? OTHER.colour })),
    projected: inColour(signedPicture(projection, [image.channels, image.height, image.width])),
  };
}

/** Content of `occlude.json`. */
function numbersOf({ occlusion, name, classes, square, stride, grey }: OccludeInput): object {
  const { places, label, layer, map, clean, probability, labels, activation, incremental } = occlusion;
  return {
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
  };
}

/** The three maps over the positions of the square: activation, probability and predicted class. */
interface PositionMaps {
  activation: Html;
  probability: Html;
  prediction: Html;
}

function mapsOf({ occlusion, image, square }: OccludeInput, { size, watched, shown, colours }: Facts): PositionMaps {
  const { places, grid, layer, map, clean, probability, activation } = occlusion;
  const heat = { grid, size };
  const smallest = (values: readonly number[]) =>
    isConstant(values) ? '' : `, smallest with the square ${whereabouts(places[values.indexOf(Math.min(...values))], square, image)}`;
  return {
    activation: heatMap(activation, digits, {
      ...heat,
      label: `Total activation of map ${map} of ${layer} by position of the square: ${range(activation, digits)}${smallest(activation)}`,
    }),
    probability: heatMap(probability, percent, {
      ...heat,
      range: [0, Math.max(clean.probability, ...probability)],
      label: `Probability of ${watched} by position of the square: ${range(probability, percent)}${smallest(probability)}`,
    }),
    prediction: nameMap(shown, new Map([...colours, [OTHER.name, OTHER.colour]]), {
      ...heat,
      label: `The most probable class by position of the square: ${list([...new Set(shown)].map((each) => `${each} at ${share(shown, each)}`))}`,
    }),
  };
}

/** The panels of the picture, as in the paper's figure. */
function panelsOf({ occlusion, image, square, grey }: OccludeInput, facts: Facts, maps: PositionMaps): Panel[] {
  const { places, layer, map, clean, probability, activation } = occlusion;
  const { watched, worst, projected, key } = facts;
  const covered = withSquare(image, places[worst], square, grey);
  return [
    { title: '(a) image and square', content: covered, key: [{ text: `${watched} ${percent(clean.probability)} uncovered` }] },
    { title: `(b) ${layer}, map ${map}`, content: maps.activation, key: [{ text: range(activation, digits) }] },
    { title: '(c) its projection', content: projected },
    { title: `(d) probability of ${watched}`, content: maps.probability, key: [{ text: range(probability, percent) }] },
    { title: '(e) most probable class', content: maps.prediction, key },
  ];
}

function bodyOf(input: OccludeInput, facts: Facts, maps: PositionMaps): Html {
  const { occlusion, image, isTruth, chosen, classes, square, stride, grey, others } = input;
  const { places, label, layer, clean, probability, labels, incremental } = occlusion;
  const { watched, worst } = facts;
  const [before, after] = percentsApart(clean.probability, probability[worst]);
  const role = isTruth ? 'the true class' : label === clean.label ? 'this class' : 'the chosen class';
  const drop = fall(probability, clean.probability, `With the square ${whereabouts(places[worst], square, image)}`, after);
  const steps = stride === square ? 'in adjacent positions' : `in steps of ${plural(stride, 'pixel')}`;
  return html`<p>A grey square of ${square}×${square} pixels was moved over the image ${steps}, to ${plural(places.length, 'position')} in
all, and the network classified the image each
time. If the probability of a class drops, the prediction depends on what the square covers. If it drops when the square covers the
background, the network recognises the surroundings and not the object.</p>
<p>For the uncovered image, the network predicts “${className(classes[clean.label])}”; the probability of ${role}, ${watched}, is ${before}.
${drop} ${changesInWords(labels, label, clean.label, classes)}${chosen && ` ${chosen}`}</p>
${occlusionExplorer(explorerOf(input, facts), grey, figuresOf(input, facts, maps))}
<p>In the paper, the probability of “pomeranian” drops when the face of the dog is covered, and the activation of the map that responds to
the face most strongly drops at the same
positions: the network recognises the object itself, not its usual surroundings. Compare (b) with (c): if the projection shows what the map
responds to, the activation drops where the projection has structure.</p>
<p class="note">Limits: the network of the paper was trained on 1.3 million photographs of 1000 classes; a result for one image holds for
this network and this image. The square has
the grey level ${grey} of 255${image.channels === 3 ? ' in all three colours' : ''}. Another grey level can give another result, because a
square may itself look like an object. Each cell of a map stands for the centre of the grey square.
${incremental ? 'At each position, only the region that the square affects was recomputed, layer by layer; the values are those of computing every image in full.' : 'Every covered image was computed in full, because the network is not a plain sequence of layers.'}</p>
${others ? othersPart(others, layer) : ''}`;
}

function explorerOf({ occlusion, image, classes, square }: OccludeInput, { watched, worst }: Facts): OcclusionExplorer {
  const { places, grid, map, probability, labels, activation } = occlusion;
  const words = places.map((place, i) => {
    const where = `Square ${whereabouts(place, square, image)} (row ${place[0]}, column ${place[1]})`;
    const values = `${watched} ${percent(probability[i])}, map ${map} ${digits(activation[i])}`;
    return `${where}: ${values}; the prediction is ${className(classes[labels[i]])}.`;
  });
  return { grid, places, square, size: [image.height, image.width], start: worst, words };
}

/** The five figures of the page. */
function figuresOf(input: OccludeInput, { size, watched, projected, key }: Facts, maps: PositionMaps): Html {
  const { occlusion, image, name, projection } = input;
  const { layer, map, clean, probability, activation } = occlusion;
  const over = html`<div class="over">${picture(inColour(image), `${name} with the grey square`, size[1])}${coveringSquare}</div>`;
  const pixels = picture(projected, `Projection of the strongest activation of map ${map} of ${layer}`, size[1]);
  const isEmpty = projection.every((value) => value === 0);
  return html`<div class="panels">
${figure(
  over,
  html`<strong>(a)</strong> The image and the square, at first at the position with the smallest probability. Point at (b), (d)
or (e) to move it, or use the arrow keys.`,
)}
${figure(
  pointable(maps.activation, 'Activation by position'),
  html`<strong>(b)</strong> Sum of all activations of map ${map} of ${layer}:
${range(activation, digits)}; ${digits(clean.activation)} uncovered. ${standing(occlusion)}`,
)}
${figure(
  pixels,
  html`<strong>(c)</strong>
${isEmpty ? 'The projection of this map is empty: the image does not activate the map.' : 'The strongest activation of this map, projected to pixels by the deconvnet.'}`,
)}
${figure(
  pointable(maps.probability, 'Probability by position'),
  html`<strong>(d)</strong> Probability of ${watched} by position of the
square: ${range(probability, percent)}.`,
)}
${figure(
  pointable(maps.prediction, 'Prediction by position'),
  html`<strong>(e)</strong> The most probable class by position of the square:
${list(key.map(({ text }) => text))}.`,
  key,
)}
</div>`;
}

const isConstant = (values: readonly number[]): boolean => values.every((value) => value === values[0]);

/** A sentence on the drop of the probability at the position where it is smallest. */
export function fall(probability: readonly number[], clean: number, where: string, lowest: string): string {
  const least = Math.min(...probability);
  if (least < clean) return `${where} it drops to ${lowest}.`;
  if (isConstant(probability) && least === clean) return 'It is the same with the square at every position.';
  return `It is not smaller with the square at any position: the smallest value is ${lowest}${least > clean ? ', which is larger' : ''}.`;
}

/** A sentence on whether the map has the strongest activation of its layer in the image. */
export function standing({ map, strongest }: OccludeInput['occlusion']): string {
  if (strongest === undefined) return '';
  if (strongest === null) return 'No map of the layer has an activation above zero in this image.';
  if (strongest === map) return 'No other map of the layer has a stronger activation in this image.';
  return `It is not the strongest map of the layer in this image, which is map ${strongest}.`;
}

function othersPart({ view, map }: NonNullable<OccludeInput['others']>, layer: string): Html {
  return html`<p>The same map in other images: its strongest activations in the images of “${view.split}”, projected in the same way. They
show what map ${map.map} of ${layer} responds to in general.</p>
<div class="maps">${mapFigure(view, { deconvnet: map })}</div>`;
}

const figure = (content: Html, caption: Html, key: Panel['key'] = []): Html =>
  html`<figure>${content}<figcaption>${caption}${
    key.length > 0
      ? html`<span class="key">${key.map(({ text, colour }) => html`<span><i style="background:${colour ?? 'none'}"></i>${text}</span> `)}</span>`
      : ''
  }</figcaption></figure>`;

/** Returns the most frequent predictions, each with a colour. */
function coloursOf(labels: readonly number[], classes: readonly string[]): Map<string, string> {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const frequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, NAMED);
  return new Map(frequent.map(([label], i) => [className(classes[label]), COLOURS[i]]));
}

function share(shown: readonly string[], name: string): string {
  return percent(shown.filter((each) => each === name).length / shown.length);
}

/** A sentence on the positions where the prediction changes. */
function changesInWords(labels: readonly number[], label: number, predicted: number, classes: readonly string[]): string {
  const same = labels.filter((each) => each === predicted).length;
  if (same === labels.length) return 'The prediction is the same at every position.';
  const others = [...new Set(labels.filter((each) => each !== predicted))].map((each) => className(classes[each]));
  const names = others.length > 4 ? `${others.length} other classes` : list(others);
  return `At ${percent(1 - same / labels.length)} of the positions the prediction changes (to ${names})${predicted === label ? '' : ` (the prediction for the uncovered image is not ${className(classes[label])})`}.`;
}

/** Describes the position of a square in the image. */
function whereabouts([y, x]: readonly [number, number], square: number, { width, height }: Image): string {
  const third = (place: number, extent: number) => Math.min(2, Math.floor((3 * (place + square / 2)) / extent));
  const [row, column] = [third(y, height), third(x, width)];
  if (row === 1 && column === 1) return 'in the middle';
  const words = [['at the top', '', 'at the bottom'][row], ['on the left', '', 'on the right'][column]];
  return words.filter(Boolean).join(' ');
}

/** Returns the image with the square on it, with a white frame so that it is visible on any background. */
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
