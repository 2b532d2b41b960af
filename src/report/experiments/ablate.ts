/** Table 3: networks without some of their layers, or with other sizes. */

import * as Plot from '@observablehq/plot';
import { explained } from '../../backend/validate.js';
import type { AblationRow } from '../../zfnet/index.js';
import { chart } from '../charts/charts.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count, list, percent, percentsApart, plural } from '../page/words.js';
import { COLOURS } from './accuracy_chart.js';
import { panelFigure } from './panels.js';

/** What `ablate.json` holds; the section is made of it alone. */
export interface AblateNumbers {
  rows: AblationRow[];
  source: string;
  trainExamples: number;
  valExamples: number;
  classes: number;
  inputSize: number;
  /** The factor on all numbers of maps and units: 1 in the paper. */
  width: number;
}

const WIDTH = 620;
const FAMILIES = { alexnet: 'AlexNet', a: 'ZFNet' } as const;

export function ablateExperiment(numbers: AblateNumbers): Experiment {
  return explained('ablateExperiment', 'an object { rows, … } with what ablate() gave', () => writeAblateExperiment(numbers));
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
      x: { label: 'wrong answers on new images (%)', percent: true, grid: true, zero: true, nice: true },
      y: { label: null, domain: named.map(({ label }) => label) },
      marks: [
        Plot.ruleY(named, { y: 'label', x1: 'valTop1Error', x2: ({ paper }: AblationRow) => paper.val1 / 100, strokeOpacity: 0.25 }),
        Plot.dot(named, { y: 'label', x: ({ paper }: AblationRow) => paper.val1 / 100, r: 4, stroke: COLOURS.paper, strokeWidth: 2 }),
        Plot.dot(named, { y: 'label', x: 'valTop1Error', r: 5, fill: COLOURS.first }),
      ],
    },
    `Wrong answers on new images: ${list(named.map(({ label, valTop1Error, paper }) => `${label} ${percent(valTop1Error)}, paper ${paper.val1} %`))}.`,
  );
  return {
    name: 'ablate',
    numbers,
    pictures: {
      '': {
        svg: panelFigure([{ title: 'Wrong answers on new images: ours (filled), the paper’s (rings)', content: drawn }], 1, [
          height,
          WIDTH,
        ]),
      },
    },
    section: {
      id: 'ablate',
      title: 'What is each layer good for?',
      body: html`<p>To find out, networks were built without some of their layers, or with more or fewer units in them, and each was trained from the beginning by the same recipe on the same images. How often they then err
shows what the change costs or gains.</p>
<p>${verdict(rows)}</p>
${table(
  'Wrong answers of each variant, beside the paper’s',
  [
    'network',
    'parameters',
    'train, first answer',
    'new, first answer',
    'new, five answers',
    'paper: train',
    'paper: new, first',
    'paper: new, five',
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
)}
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>Wrong answers on new images. Filled: here; rings: the paper’s, on ImageNet. Guessing is wrong in ${percent(1 - 1 / classes)} of cases here.</figcaption></figure></div>
<p>The paper found that taking out the two fully connected layers, or two of the convolutions in the middle, costs little, though the former hold most of the parameters; that taking out both costs
very much, so that it is the depth that counts; and that more maps in the middle help, while larger fully connected layers mostly learn by heart.</p>
<p class="note">${plural(rows[0]?.epochs ?? 0, 'epoch')} each on ${count(trainExamples)} images (${source}), ${inputSize} pixels, ${width === 1 ? 'all' : `${width} times as many`} maps and units${width === 1 ? ' as in the paper' : ' as the names say'}; measured on
${count(valExamples)} images, at the epoch that did best there. The error in training is measured as on new images: centre crop, no dropout, up to 2,000 images.
Scale: the paper trained each for days on ImageNet’s 1.3 million photographs in 1000 classes. A small network on few images that is trained briefly may suffer from depth that it would profit from later, and one training
of each says little about small differences.</p>`,
    },
  };
}

const labelOf = ({ preset, title, name }: AblationRow): string => {
  const family = preset === 'alexnet' ? FAMILIES.alexnet : FAMILIES.a;
  return name === 'alexnet' || name === 'zfnet' ? title : `${family}${title.startsWith('without') ? ' ' : ', '}${title}`;
};

function verdict(rows: readonly AblationRow[]): string {
  const sentences = (['alexnet', 'a'] as const).flatMap((preset) => {
    const base = rows.find(({ name }) => name === (preset === 'a' ? 'zfnet' : 'alexnet'));
    const others = rows.filter((row) => row.preset === preset && row !== base);
    if (!base || others.length === 0) return [];
    return [`Here ${FAMILIES[preset]} errs in ${percent(base.valTop1Error)} of cases. ${comparison(base, others)}`];
  });
  return sentences.join(' ');
}

const phrase = ({ title }: AblationRow): string => (title.startsWith('without') ? title : `with ${title}`);

/** The best and the worst variants, beside the network that they vary. */
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
      ? 'None of its variants does better'
      : `${better} of ${plural(others.length, 'variant')} ${better === 1 ? 'does' : 'do'} better`;
  if (others.length === 1) {
    const [told] = percentsApart(most, base.valTop1Error);
    const than = most < base.valTop1Error ? 'less' : most > base.valTop1Error ? 'more' : 'equally often';
    return `Its variant ${phrase(others[0])} errs ${than} (${told}).`;
  }
  if (least === most) return `${ahead}; they all err equally often (${percentsApart(most, base.valTop1Error)[0]}).`;
  return `${ahead}; the largest error is that of ${named(most)}, the smallest that of ${named(least)}.`;
}
