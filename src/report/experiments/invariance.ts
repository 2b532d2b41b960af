/** Fig. 5: how features and probabilities change when images are shifted, enlarged and rotated. */
import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { type Invariance, TRANSFORMATIONS, type Transformation, type TransformedFeatures } from '../../deconv/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { picture } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { className, list, percent, percentsApart, plural } from '../page/words.js';
import { inColour } from '../pictures/pictures.js';
import { type Panel, panelFigure } from './panels.js';

/** Content of `invariance.json`, from which the section is written, except its pictures. */
export interface InvarianceNumbers extends Invariance {
  /** Name and class of each image, in the order of the values in each row. */
  images: { name: string; class: string }[];
  /** Height and width of the network's input in pixels, the unit of translations. */
  inputSize: number;
}

/** Pictures of the transformed images, for the page on invariance. */
export interface InvariancePictures {
  /** The images as the network sees them, in the order of `images`. */
  images: readonly Image[];
  /** The first image under the extremes of each transformation, with a description each. */
  moved: Readonly<Record<Transformation, readonly { image: Image; words: string }[]>>;
}

const COLOURS = ['#4269d0', '#efb118', '#ff725c', '#3ca951', '#a463f2', '#9c6b4e', '#ff8ab7', '#6cc5b0'];
const SIZE = [220, 300] as const;

const WORDS: Readonly<Record<Transformation, { title: string; short: string; axis: string }>> = {
  translation: { title: 'Shifted up and down', short: 'Shifted', axis: 'pixels downwards' },
  scale: { title: 'Enlarged', short: 'Enlarged', axis: 'factor' },
  rotation: { title: 'Rotated', short: 'Rotated', axis: 'degrees clockwise' },
};

/** Returns the page and charts of the invariance to translation, scale and rotation. */
export function invarianceExperiment(numbers: InvarianceNumbers, pictures?: InvariancePictures): Experiment {
  return explained('invarianceExperiment', 'the result of invariance(), with images and inputSize', () =>
    writeInvarianceExperiment(numbers, pictures),
  );
}

function writeInvarianceExperiment(numbers: InvarianceNumbers, pictures?: InvariancePictures): Experiment {
  const { images, layers, inputSize } = numbers;
  const rows = TRANSFORMATIONS.map((kind) => ({ kind, panels: panelsOf(numbers, kind) }));
  const colour = (i: number) => COLOURS[i % COLOURS.length];
  const legend = images.map(({ name, class: label }, i) => ({ text: `${className(label)} (${name})`, colour: colour(i) }));
  const all: Panel[] = rows.flatMap(({ panels }) => panels);
  all[all.length - layers.length - 1] = { ...all[all.length - layers.length - 1], key: legend };
  return {
    name: 'invariance',
    numbers,
    pictures: { '': { svg: panelFigure(all, layers.length + 1, SIZE) } },
    section: {
      id: 'invariance',
      title: 'The effect of shifting, enlarging and rotating an image',
      body: html`<p>${plural(images.length, 'image was', 'images were')} shifted up and down, enlarged and rotated in steps. At each step,
the features of the network were compared with those of the original image. The
distance shows how much a layer depends on the change; a layer that does not depend on it (an invariant layer) has a flat curve at zero. The
last column shows the probability of the class that is named below each
image: the true class if it is known, otherwise the predicted class.</p>
<div class="panels">${images.map(
        ({ name, class: label }, i) =>
          html`<figure>${pictures ? picture(inColour(pictures.images[i]), `${className(label)}, ${name}`, 120) : ''}<figcaption class="key"><span><i style="background:${colour(i)}"></i>${className(label)}
<small>${name}</small></span></figcaption></figure>`,
      )}</div>
${rows.map(
  ({ kind, panels }) => html`<section class="layer"><h3>${WORDS[kind].title}</h3>
<p>${finding(numbers, kind)}</p>
${pictures ? html`<div class="tiles">${pictures.moved[kind].map(({ image, words }) => html`<figure class="tile">${picture(inColour(image), `The first image ${words}`, 96)}<figcaption>${words}</figcaption></figure>`)}</div>` : ''}
<div class="panels wide">${panels.map(({ words, content }) => html`<figure>${content}<figcaption>${words}</figcaption></figure>`)}</div></section>`,
)}
<p>In the paper, a small change has a dramatic effect in the first layer and a smaller one in the top layer, where the distance grows nearly
in proportion to the shift and the scale. The prediction is
stable under both, but not under rotation, except for objects with rotational symmetry, such as an entertainment center (every 90
degrees).</p>
<p class="note">Distances are Euclidean, between all activations of a layer (after its ReLU, if it has one), and divided by the Euclidean
norm of the features of the original image, so that layers of different size can be compared; the JSON file has both.
The input has ${inputSize}×${inputSize} pixels; the paper shifted its images by up to 60 of 224 pixels, and the shifts here are in that
proportion. Pixels from outside the image repeat its edge. Limits:
${plural(images.length, 'image')}${images.length === 5 ? ', as in the paper,' : ''} ${images.length === 1 ? 'shows' : 'show'} the effect on
these images and not a general rule; and a network that is trained on shifted crops learns to tolerate small shifts.</p>`,
    },
  };
}

interface DescribedPanel extends Panel {
  content: Html;
  /** Description of the content. */
  words: string;
}

function panelsOf(numbers: InvarianceNumbers, kind: Transformation): DescribedPanel[] {
  const { layers } = numbers;
  const { title, short, axis } = WORDS[kind];
  const distances = layers.map((layer): DescribedPanel => {
    const text = `${title}: change of the features of ${layer}`;
    return {
      title: `${short}: ${layer}`,
      words: text,
      content: lines(
        numbers,
        kind,
        (step) => step.relative[layer],
        axis,
        `${text}, by ${axis}. ${ends(numbers[kind], (step) => step.relative[layer])}`,
      ),
    };
  });
  const text = `${title}: probability of the class`;
  const probability = lines(
    numbers,
    kind,
    (step) => step.probability,
    axis,
    `${text}, by ${axis}. ${ends(numbers[kind], (step) => step.probability)}`,
    [0, 1],
  );
  return [...distances, { title: `${short}: probability`, words: text, content: probability }];
}

/** Draws one line per image. */
function lines(
  numbers: InvarianceNumbers,
  kind: Transformation,
  value: (step: TransformedFeatures) => readonly number[],
  axis: string,
  label: string,
  domain?: [number, number],
): Html {
  const points = numbers[kind].flatMap((step) => value(step).map((y, image) => ({ x: step.amount, y, image })));
  return chart(
    {
      width: SIZE[1],
      height: SIZE[0],
      marginLeft: 40,
      marginBottom: 36,
      marginTop: 14,
      x: { label: axis, ticks: kind === 'rotation' ? [0, 90, 180, 270, 360] : 6 },
      y: { label: null, grid: true, zero: true, nice: true, ticks: 4, domain },
      marks: [
        Plot.ruleY([0], { strokeOpacity: 0.4 }),
        Plot.lineY(points, {
          x: 'x',
          y: 'y',
          z: 'image',
          stroke: ({ image }: { image: number }) => COLOURS[image % COLOURS.length],
          strokeWidth: 1.75,
        }),
      ],
      color: { type: 'identity' },
    },
    label,
  );
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function ends(steps: readonly TransformedFeatures[], value: (step: TransformedFeatures) => readonly number[]): string {
  if (steps.length === 0) return '';
  const words = (step: TransformedFeatures) => `${meanOf(value(step)).toPrecision(2)} at ${step.amount}`;
  return `Mean over the images: ${words(steps[0])}, ${words(steps[Math.floor(steps.length / 2)])}, ${words(steps[steps.length - 1])}.`;
}

/** Sentences on the change of the features and of the probability. */
function finding(numbers: InvarianceNumbers, kind: Transformation): string {
  const steps = numbers[kind];
  const still = steps.find(({ amount }) => amount === (kind === 'scale' ? 1 : 0));
  const others = steps.filter((step) => step !== still && !(kind === 'rotation' && step.amount % 360 === 0));
  if (others.length === 0) return '';
  // The smallest step shows how sensitive a layer is.
  const first = others.reduce((least, step) => (distanceFromStill(kind, step) < distanceFromStill(kind, least) ? step : least));
  const amount = {
    translation: `${Math.abs(first.amount)} ${Math.abs(first.amount) === 1 ? 'pixel' : 'pixels'} ${first.amount < 0 ? 'upwards' : 'downwards'}`,
    scale: `a factor of ${first.amount}`,
    rotation: `${first.amount} degrees`,
  }[kind];
  const changes = numbers.layers.map((layer) => ({ layer, change: meanOf(first.relative[layer]) }));
  const moved = changes.filter(({ change }) => change > 0);
  const unmoved = changes.filter(({ change }) => !(change > 0)).map(({ layer }) => layer);
  const done = `${WORDS[kind].title} by ${amount}, the smallest step,`;
  const change =
    moved.length === 0
      ? `${done} the images have unchanged features in ${list(unmoved)}.`
      : `${done} the images have features that differ by ${list(moved.map(({ layer, change }) => `${percent(change)} of their norm in ${layer}`))}${unmoved.length > 0 ? `, and unchanged features in ${list(unmoved)}` : ''}.`;
  return `${change} ${probabilities(kind, still, others)}`;
}

/** A sentence on the probability of the images' classes. */
function probabilities(kind: Transformation, still: TransformedFeatures | undefined, others: readonly TransformedFeatures[]): string {
  const lowest = others.reduce((least, step) => (meanOf(step.probability) < meanOf(least.probability) ? step : least));
  const unit = { translation: ' pixels', scale: '', rotation: ' degrees' }[kind];
  const least = meanOf(lowest.probability);
  if (!still) return `The mean probability of the images’ classes is smallest at ${lowest.amount}${unit}: ${percent(least)}.`;
  const clean = meanOf(still.probability);
  const [before, after] = percentsApart(clean, least);
  if (least >= clean)
    return `The mean probability of the images’ classes is ${before} for the original images, and not smaller at any step.`;
  return `The mean probability of the images’ classes is ${before} for the original images and smallest at ${lowest.amount}${unit}: ${after}.`;
}

const distanceFromStill = (kind: Transformation, { amount }: TransformedFeatures) => Math.abs(amount - (kind === 'scale' ? 1 : 0));
