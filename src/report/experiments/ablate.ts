/** Table 3: networks without some of their layers, or with other layer sizes. */
import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { AblationRow } from '../../zfnet/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { count, list, percent, percentsApart, plural } from '../page/words.js';
import { COLOURS } from './accuracy_chart.js';
import { panelFigure } from './panels.js';

/** Content of `ablate.json`, from which the section is written. */
export interface AblateNumbers {
  /** One row per variant, in the order of the paper's table. */
  rows: AblationRow[];
  /** Data source as the user named it. */
  source: string;
  /** Number of images that each network was trained on. */
  trainExamples: number;
  /** Number of validation images. */
  valExamples: number;
  /** Number of classes. */
  classes: number;
  /** Height and width of the networks' input in pixels. */
  inputSize: number;
  /** Factor on the number of maps and units of every layer: 1 in the paper. */
  width: number;
}

const WIDTH = 620;
const FAMILIES = { alexnet: 'AlexNet', a: 'ZFNet' } as const;

/** Returns the pages and pictures of an ablation: the errors of networks without some of their layers. */
export function ablateExperiment(numbers: AblateNumbers): Experiment {
  return explained('ablateExperiment', 'an object { rows, … } with the result of ablate()', () => writeAblateExperiment(numbers));
}

function writeAblateExperiment(numbers: AblateNumbers): Experiment {
  const { rows, source, trainExamples, valExamples, classes, inputSize, width } = numbers;
  const named = rows.map((row) => ({ ...row, label: labelOf(row) }));
  const height = 60 + 30 * rows.length;
  const drawn = chart(
    {
      width: WIDTH,
      height,
      marginLeft: 290,
      marginRight: 24,
      marginBottom: 40,
      x: { label: 'validation top-1 error (%)', percent: true, grid: true, zero: true, nice: true },
      y: { label: null, domain: named.map(({ label }) => label) },
      marks: [
        Plot.ruleY(named, { y: 'label', x1: 'valTop1Error', x2: ({ paper }: AblationRow) => paper.val1 / 100, strokeOpacity: 0.25 }),
        Plot.dot(named, { y: 'label', x: ({ paper }: AblationRow) => paper.val1 / 100, r: 4, stroke: COLOURS.paper, strokeWidth: 2 }),
        Plot.dot(named, { y: 'label', x: 'valTop1Error', r: 5, fill: COLOURS.first }),
      ],
    },
    `Top-1 error on validation images: ${list(named.map(({ label, valTop1Error, paper }) => `${label} ${percent(valTop1Error)}, paper ${paper.val1} %`))}.`,
  );
  return {
    name: 'ablate',
    numbers,
    pictures: {
      '': {
        svg: panelFigure([{ title: 'Validation top-1 error: measured here (filled), in the paper (rings)', content: drawn }], 1, [
          height,
          WIDTH,
        ]),
      },
    },
    section: {
      id: 'ablate',
      title: 'What each layer contributes',
      body: html`<p>Variants of the network were built without some layers, or with more or fewer maps and units, and each was trained from
random weights by the same recipe on the same images (ablation). The change of the
top-1 error, the share of images whose most probable class is wrong, shows what the change of the network costs or gains.</p>
<p>${verdict(rows)}</p>
${errorTable(named)}
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>Top-1 error on validation images. Filled dots: measured
here; rings: the paper, on ImageNet. Choosing a class at random has an error of ${percent(1 - 1 / classes)}
here.</figcaption></figure></div>
<p>In the paper, removing the two fully connected layers, or two of the middle convolutions, increases the error little, although the former
have most of the parameters. Removing both increases it
very much, so the depth matters. More maps in the middle layers reduce the error; larger fully connected layers mostly overfit.</p>
<p class="note">${plural(rows[0]?.epochs ?? 0, 'epoch')} each on ${count(trainExamples)} images (${source}), ${inputSize} pixels,
${width === 1 ? 'all' : `${width} times as many`} maps and units${width === 1 ? ' as in the paper' : ' as the names say'}; measured on
${count(valExamples)} validation images, at the epoch with the smallest error on them. The training error is measured like the validation
error: centre crop, no dropout, at most 2,000 images.
Limits: the paper trained each variant for days on the 1.3 million photographs and 1000 classes of ImageNet. In a short training on few
images, depth can increase the error although it would reduce it later; and
one training per variant does not show whether small differences are significant.</p>`,
    },
  };
}

type Named = AblationRow & { label: string };

const errorTable = (named: readonly Named[]): Html =>
  table(
    'Errors of each variant, next to those of the paper',
    [
      'network',
      'parameters',
      'training top-1 error',
      'validation top-1 error',
      'validation top-5 error',
      'paper: training top-1',
      'paper: validation top-1',
      'paper: validation top-5',
    ],
    named.map(({ label, parameters, trainTop1Error, valTop1Error, valTop5Error, paper }) => [
      label,
      count(parameters),
      percent(trainTop1Error),
      percent(valTop1Error),
      percent(valTop5Error),
      ...[paper.train, paper.val1, paper.val5].map((value) => `${value.toFixed(1)} %`),
    ]),
    [1, 2, 3, 4, 5, 6, 7],
  );

const labelOf = ({ preset, title, name }: AblationRow): string => {
  const family = preset === 'alexnet' ? FAMILIES.alexnet : FAMILIES.a;
  return name === 'alexnet' || name === 'zfnet' ? title : `${family}${title.startsWith('without') ? ' ' : ', '}${title}`;
};

function verdict(rows: readonly AblationRow[]): string {
  const sentences = (['alexnet', 'a'] as const).flatMap((preset) => {
    const base = rows.find(({ name }) => name === (preset === 'a' ? 'zfnet' : 'alexnet'));
    const others = rows.filter((row) => row.preset === preset && row !== base);
    if (!base || others.length === 0) return [];
    return [`Here the top-1 error of ${FAMILIES[preset]} is ${percent(base.valTop1Error)}. ${comparison(base, others)}`];
  });
  return sentences.join(' ');
}

const phrase = ({ title }: AblationRow): string => (title.startsWith('without') ? title : `with ${title}`);

/** Compares the best and the worst variants with the network that they are variants of, in sentences. */
function comparison(base: AblationRow, others: readonly AblationRow[]): string {
  const errors = others.map(({ valTop1Error }) => valTop1Error);
  const [least, most] = [Math.min(...errors), Math.max(...errors)];
  const named = (error: number) => {
    const own = others.filter(({ valTop1Error }) => valTop1Error === error);
    return `${own.length === 1 ? 'the one' : 'those'} ${list(own.map(phrase))} (${percentsApart(error, base.valTop1Error)[0]})`;
  };
  const better = errors.filter((error) => error < base.valTop1Error).length;
  const ahead =
    better === 0
      ? 'None of its variants has a smaller error'
      : `${better} of ${plural(others.length, 'variant')} ${better === 1 ? 'has' : 'have'} a smaller error`;
  if (others.length === 1) {
    const [error] = percentsApart(most, base.valTop1Error);
    const than = most < base.valTop1Error ? 'a smaller' : most > base.valTop1Error ? 'a larger' : 'an equal';
    return `Its variant ${phrase(others[0])} has ${than} error (${error}).`;
  }
  if (least === most) return `${ahead}; their errors are all equal (${percentsApart(most, base.valTop1Error)[0]}).`;
  return `${ahead}; the largest error is that of ${named(most)}, the smallest that of ${named(least)}.`;
}
