/** Table 1: the same part is masked in several images, and the changes of the network's features are compared. */
import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { type Correspondence, RANDOM_PART } from '../../deconv/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { sheet, table } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { list, plural } from '../page/words.js';
import { inColour } from '../pictures/pictures.js';
import { panelFigure } from './panels.js';

/** Content of `correspond.json`, from which the section is written, except its pictures. */
export interface CorrespondNumbers extends Correspondence {
  /** Source of the images and parts: `scenes`, or a file. */
  source: string;
  /** Shade of the masks, 0 to 255. */
  grey: number;
}

/** A picture of an image with a part covered. */
export interface MaskedPicture {
  /** The image as the network sees it, with the part covered by the mean. */
  image: Image;
  /** Description such as `nose of dog-face`. */
  words: string;
}

/** Zeiler & Fergus 2013, Table 1: five photographs of dogs. */
const PAPER: readonly { part: string; layer5: string; layer7: string }[] = [
  { part: 'right eye', layer5: '0.067 ± 0.007', layer7: '0.069 ± 0.015' },
  { part: 'left eye', layer5: '0.069 ± 0.007', layer7: '0.068 ± 0.013' },
  { part: 'nose', layer5: '0.079 ± 0.017', layer7: '0.069 ± 0.011' },
  { part: RANDOM_PART, layer5: '0.107 ± 0.017', layer7: '0.073 ± 0.014' },
];

/**
 * Returns the experiment with its chart, its table and its section.
 *
 * @param masked pictures of one group of images: one row per part, all of equal length
 */
export function correspondExperiment(numbers: CorrespondNumbers, masked: readonly (readonly MaskedPicture[])[] = []): Experiment {
  return explained('correspondExperiment', 'the result of correspondence(), with source and grey', () =>
    writeCorrespondExperiment(numbers, masked),
  );
}

function writeCorrespondExperiment(numbers: CorrespondNumbers, masked: readonly (readonly MaskedPicture[])[]): Experiment {
  const drawn = deltaChart(numbers);
  const size = [heightFor(numbers), WIDTH] as const;
  return {
    name: 'correspond',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: 'Δ by masked part (mean and standard deviation)', content: drawn }], 1, size) } },
    section: {
      id: 'correspond',
      title: 'Does the network relate the same part of different objects?',
      body: html`<p>Does the network relate an eye of one face to an eye of another? The same part was covered in several images, and for
every feature (every value that a layer computes) it was
recorded whether it increased or decreased. If covering the same part changes the features of all images in the same directions, the network
treats these parts
alike. Δ is the share of features that change in different directions in two images: a smaller Δ means more similar changes. Masks at random
positions on the objects serve for comparison.</p>
<p>${verdict(numbers)}</p>
${maskedSheet(masked)}
${deltaTable(numbers)}
<figure class="single">${drawn}<figcaption>Mean and standard deviation over all pairs of images.</figcaption></figure>
<p>In the paper, Δ is clearly smaller for the eyes and the nose than for random masks in layer 5, and hardly smaller in layer 7, whose
features describe the breed more than the parts.</p>
${limits(numbers)}`,
    },
  };
}

const WIDTH = 560;
const heightFor = ({ parts }: CorrespondNumbers): number => 60 + 34 * parts.length;
const digits = (value: number): string => value.toFixed(3);

/** One panel per layer with the mean Δ of each part, and a bar of one standard deviation to both sides. */
function deltaChart(numbers: CorrespondNumbers): Html {
  const { layers, parts } = numbers;
  const points = parts.flatMap(({ part, delta }) => layers.map((layer) => ({ part, layer, ...delta[layer] })));
  type Point = (typeof points)[number];
  return chart(
    {
      width: WIDTH,
      height: heightFor(numbers),
      marginLeft: 90,
      marginBottom: 40,
      x: { label: 'Δ: share of features that change in different directions', zero: true, grid: true, nice: true, ticks: 4 },
      y: { label: null, domain: parts.map(({ part }) => part) },
      fx: { label: null, domain: [...layers], padding: 0.15 },
      marks: [
        Plot.ruleY(points, {
          y: 'part',
          fx: 'layer',
          x1: ({ mean, deviation }: Point) => Math.max(0, mean - deviation),
          x2: ({ mean, deviation }: Point) => mean + deviation,
          strokeOpacity: 0.5,
          strokeWidth: 2,
        }),
        Plot.dot(points, {
          y: 'part',
          fx: 'layer',
          x: 'mean',
          r: 5,
          fill: ({ part }: Point) => (part === RANDOM_PART ? '#9498a0' : '#4269d0'),
        }),
      ],
      color: { type: 'identity' },
    },
    `Δ by part: ${list(points.map(({ part, layer, mean }) => `${part} in ${layer} ${digits(mean)}`))}.`,
  );
}

function maskedSheet(masked: readonly (readonly MaskedPicture[])[]): Html | '' {
  if (masked.length === 0) return '';
  const cells = masked.flat().map(({ image, words }) => ({ picture: inColour(image), tip: words }));
  const label = `One group of images with their parts covered, one row per part: ${list(masked.map(([{ words }]) => words))}, and so on`;
  return html`<figure class="single">${sheet(cells, masked[0].length, label)}<figcaption>One group of images, one row per part. Random masks
have the same sizes and lie anywhere on the object.</figcaption></figure>`;
}

function deltaTable({ layers, parts }: CorrespondNumbers): Html {
  const head = ['part masked', ...layers.map((layer) => `Δ, ${layer}`), 'paper, layer 5', 'paper, layer 7'];
  const rows = parts.map(({ part, delta }) => {
    const paper = PAPER.find((each) => each.part === part);
    const own = layers.map((layer) => `${digits(delta[layer].mean)} ± ${digits(delta[layer].deviation)}`);
    return [part, ...own, paper?.layer5 ?? '–', paper?.layer7 ?? '–'];
  });
  const numeric = Array.from({ length: head.length - 1 }, (_, i) => i + 1);
  return table('Δ by masked part and layer, next to the values of the paper', head, rows, numeric);
}

/** The definition of Δ, and what can be concluded from it. */
const limits = ({ groups, source, draws }: CorrespondNumbers): Html =>
  html`<p class="note">ε = x − x̃ is the change of the features x of a layer when the part is masked. Δ is, for each pair of images, the
share of features for which sign(ε) differs. A feature that does not change has the sign 0, and two
such features agree, so Δ is small if masks affect few features. Here: ${plural(groups.length, 'group')} of
${list([...new Set(groups)].map(String))} images (${source}), compared within their group; ${plural(draws, 'random mask')} per image, with
the sizes of its parts.
Limits: the paper used five photographs of dogs and a network trained on 120 breeds.
${source === 'scenes' ? 'Here, a group consists of five drawn animals in one style; they share a frontal pose, but not a species. ' : ''}Values
of different networks and images
cannot be compared, but the order of parts and random masks can.</p>`;

/** Compares the parts with random masks, in one sentence per layer. */
function verdict({ layers, parts }: CorrespondNumbers): string {
  const random = parts.find(({ part }) => part === RANDOM_PART);
  const named = parts.filter((each) => each !== random);
  if (!random || named.length === 0) return '';
  const than = 'the features more alike on average than random masks do';
  const sentences = layers.map((layer) => {
    const side = (sign: number) =>
      named.filter(({ delta }) => Math.sign(delta[layer].mean - random.delta[layer].mean) === sign).map(({ part }) => part);
    const [below, equal, above] = [side(-1), side(0), side(1)];
    if (below.length === named.length) return `In ${layer}, ${named.length === 1 ? below[0] : 'every part'} changes ${than}.`;
    if (below.length === 0) return `In ${layer}, no part changes ${than}.`;
    const rest = [...(above.length > 0 ? [`${list(above)} less alike`] : []), ...(equal.length > 0 ? [`${list(equal)} equally`] : [])];
    return `In ${layer}, ${list(below)} ${below.length === 1 ? 'changes' : 'change'} ${than}; ${list(rest)}.`;
  });
  return sentences.join(' ');
}
