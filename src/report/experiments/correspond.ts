/** Table 1: the same part masked in several images; whether a network's features change alike. */

import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { Image } from '../../data/dataset.js';
import { type Correspondence, RANDOM_PART } from '../../deconv/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { sheet, table } from '../page/components.js';
import { html } from '../page/html.js';
import { list, plural } from '../page/words.js';
import { inColour } from '../pictures/pictures.js';
import { panelFigure } from './panels.js';

/** What `correspond.json` holds; the section is made of it, but for the pictures. */
export interface CorrespondNumbers extends Correspondence {
  /** Where images and parts are from: `scenes`, or a file. */
  source: string;
  /** Shade of the masks, 0 to 255. */
  grey: number;
}

export interface MaskedPicture {
  image: Image;
  /** What it shows: `nose of dog-face`. */
  words: string;
}

/** Zeiler & Fergus 2013, Table 1: five photographs of dogs. */
const PAPER: readonly { part: string; layer5: string; layer7: string }[] = [
  { part: 'right eye', layer5: '0.067 ± 0.007', layer7: '0.069 ± 0.015' },
  { part: 'left eye', layer5: '0.069 ± 0.007', layer7: '0.068 ± 0.013' },
  { part: 'nose', layer5: '0.079 ± 0.017', layer7: '0.069 ± 0.011' },
  { part: RANDOM_PART, layer5: '0.107 ± 0.017', layer7: '0.073 ± 0.014' },
];

/** @param masked pictures of one group, a row a part, as many in each */
export function correspondExperiment(numbers: CorrespondNumbers, masked: readonly (readonly MaskedPicture[])[] = []): Experiment {
  return explained('correspondExperiment', 'what correspondence() gave, with source and grey', () =>
    writeCorrespondExperiment(numbers, masked),
  );
}

function writeCorrespondExperiment(numbers: CorrespondNumbers, masked: readonly (readonly MaskedPicture[])[]): Experiment {
  const { source, layers, parts, groups, draws } = numbers;
  const digits = (value: number) => value.toFixed(3);
  const points = parts.flatMap(({ part, delta }) => layers.map((layer) => ({ part, layer, ...delta[layer] })));
  const drawn = chart(
    {
      width: 560,
      height: 60 + 34 * parts.length,
      marginLeft: 90,
      marginBottom: 40,
      x: { label: 'Δ: share of features that change in opposite directions', zero: true, grid: true, nice: true, ticks: 4 },
      y: { label: null, domain: parts.map(({ part }) => part) },
      fx: { label: null, domain: [...layers], padding: 0.15 },
      marks: [
        Plot.ruleY(points, {
          y: 'part',
          fx: 'layer',
          x1: ({ mean, deviation }: (typeof points)[number]) => Math.max(0, mean - deviation),
          x2: ({ mean, deviation }: (typeof points)[number]) => mean + deviation,
          strokeOpacity: 0.5,
          strokeWidth: 2,
        }),
        Plot.dot(points, {
          y: 'part',
          fx: 'layer',
          x: 'mean',
          r: 5,
          fill: ({ part }: (typeof points)[number]) => (part === RANDOM_PART ? '#9498a0' : '#4269d0'),
        }),
      ],
      color: { type: 'identity' },
    },
    `Δ by part: ${list(points.map(({ part, layer, mean }) => `${part} in ${layer} ${digits(mean)}`))}.`,
  );
  const row = ({ part, delta }: Correspondence['parts'][number]) => {
    const paper = PAPER.find((each) => each.part === part);
    return [
      part,
      ...layers.map((layer) => `${digits(delta[layer].mean)} ± ${digits(delta[layer].deviation)}`),
      paper?.layer5 ?? '–',
      paper?.layer7 ?? '–',
    ];
  };
  const head = ['part masked', ...layers.map((layer) => `Δ, ${layer}`), 'paper, layer 5', 'paper, layer 7'];
  return {
    name: 'correspond',
    numbers,
    pictures: {
      '': { svg: panelFigure([{ title: 'Δ by masked part (mean and deviation)', content: drawn }], 1, [60 + 34 * parts.length, 560]) },
    },
    section: {
      id: 'correspond',
      title: 'Does it relate the same part of different objects?',
      body: html`<p>Is an eye of one face related to an eye of another in the network? The same part was covered in several images, and it was
noted for every feature whether it grew or shrank. If the features of all images change in the same directions when the same part is hidden, the network treats these parts
alike. Δ is the share of features that change in different directions from image to image: smaller is more alike. Masks at random places of the objects serve for comparison.</p>
<p>${verdict(numbers)}</p>
${
  masked.length > 0
    ? html`<figure class="single">${sheet(
        masked.flat().map(({ image, words }) => ({ picture: inColour(image), tip: words })),
        masked[0].length,
        `One group of images with their parts covered, a row a part: ${list(masked.map(([{ words }]) => words))}, and so on`,
      )}<figcaption>One group of images. A row a part. Random masks are of the same sizes, anywhere on the object.</figcaption></figure>`
    : ''
}
${table(
  'Δ by masked part and layer, beside the paper’s',
  head,
  parts.map(row),
  Array.from({ length: head.length - 1 }, (_, i) => i + 1),
)}
<figure class="single">${drawn}<figcaption>Mean and standard deviation over all pairs of images.</figcaption></figure>
<p>In the paper the eyes and the nose came out clearly below random masks in layer 5, and hardly in layer 7, whose features are about the breed more than the parts.</p>
<p class="note">ε = x − x̃ is the change of a layer’s features when the part is masked; Δ is, for each pair of images, the share of dimensions in which sign(ε) differs. A feature that does not change has the sign 0, and two such agree,
so that Δ is small where masks touch few features. Here: ${plural(groups.length, 'group')} of ${list([...new Set(groups)].map(String))} images (${source}), images compared within their group; ${plural(draws, 'random mask')} an image, of the sizes of its parts.
Scale: the paper had five photographs of dogs and a network that knew 120 breeds. ${source === 'scenes' ? 'Ours are five drawn animals in one style a group; they share a frontal pose, but not a species.' : ''} The numbers of different networks and images
cannot be compared; how parts lie to random masks can.</p>`,
    },
  };
}

/** Which parts change the features more alike than random masks do, in a sentence per layer. */
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
