/** Table 7: how much each layer knows, by what linear classifiers make of its features. */
import { explained } from '../../backend/validate.js';
import type { FeatureRow } from '../../zfnet/index.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count, list, percent, plural } from '../page/words.js';
import { ACCURACY_CHART_SIZE, accuracyChart, COLOURS } from './accuracy_chart.js';
import { panelFigure } from './panels.js';

/** What `features.json` holds; the section is made of it alone. */
export interface FeaturesNumbers {
  rows: FeatureRow[];
  /** Where the images are from. */
  source: string;
  classes: number;
  /** Images learnt from and measured on. */
  trainExamples: number;
  valExamples: number;
  split: string;
}

const TITLES = { svm: 'linear\u00a0SVM', softmax: 'softmax' } as const;

export function featuresExperiment(numbers: FeaturesNumbers): Experiment {
  return explained('featuresExperiment', 'an object { rows, … } with what analyseFeatures() gave', () => writeFeaturesExperiment(numbers));
}

function writeFeaturesExperiment(numbers: FeaturesNumbers): Experiment {
  const { rows, source, classes, trainExamples, valExamples, split } = numbers;
  const kinds = [...new Set(rows.map(({ classifier }) => classifier))];
  const stages = [...new Set(rows.map(({ stage }) => stage))];
  const published = rows.filter((row) => row.classifier === 'svm' && row.paper);
  const drawn = accuracyChart({
    series: [
      ...kinds.map((kind) => ({
        name: TITLES[kind],
        colour: kind === 'svm' ? COLOURS.first : COLOURS.second,
        points: rows.filter(({ classifier }) => classifier === kind).map((row) => ({ x: row.stage, accuracy: 1 - row.valTop1Error })),
      })),
      ...(['caltech101', 'caltech256'] as const).map((set) => ({
        name: `paper, ${set === 'caltech101' ? 'Caltech-101' : 'Caltech-256'}`,
        colour: COLOURS.paper,
        dashed: true,
        points: published.map(({ stage, paper }) => ({ x: stage, accuracy: paper![set] / 100 })),
      })),
    ].filter(({ points }) => points.length > 0),
    x: 'features of layer',
    steps: stages,
    label: `Right answers by layer: ${list(rows.map((row) => `${TITLES[row.classifier]} on ${row.stage} ${percent(1 - row.valTop1Error)}`))}.`,
  });
  const averaged = rows.filter(({ grid }) => grid);
  const head = [
    'layer',
    'classifier',
    'features',
    'right, known images',
    'right, new images',
    'right within five',
    'paper, Caltech‑101',
    'paper, Caltech‑256',
  ];
  return {
    name: 'features',
    numbers,
    pictures: {
      '': { svg: panelFigure([{ title: 'Right answers from the features of each layer', content: drawn }], 1, ACCURACY_CHART_SIZE) },
    },
    section: {
      id: 'feature-analysis',
      title: 'How much does each layer know?',
      body: html`<p>The network was left as it is, and each of its layers was asked alone: from the numbers that this layer gives for an image, and nothing else, a simple
classifier had to learn to tell ${plural(classes, 'class', 'classes')} apart. It can only weigh the numbers and add them up, so it does well where the layer has already sorted the images by what they show.</p>
<p>${verdict(numbers)}</p>
${table(
  'Right answers by layer and classifier, beside the paper’s',
  head,
  rows.map((row) => [
    row.stage,
    TITLES[row.classifier],
    row.features === row.of ? count(row.features) : `${count(row.features)} of ${count(row.of)}`,
    percent(1 - row.trainTop1Error),
    percent(1 - row.valTop1Error),
    percent(1 - row.valTop5Error),
    row.paper ? `${row.paper.caltech101.toFixed(1)} %` : '–',
    row.paper ? `${row.paper.caltech256.toFixed(1)} %` : '–',
  ]),
  [2, 3, 4, 5, 6, 7],
)}
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>On images that the classifiers did not learn from. Guessing is right in ${percent(1 / classes)} of cases. Dashed: the paper’s SVM.</figcaption></figure></div>
<p>The paper found that the answers get better with every layer, and concluded that the network builds its features step by step, each layer on the one below.</p>
<p class="note">Linear SVM: one class against the rest, squared hinge, solved to a duality gap below 0.1 %; softmax: cross-entropy with a penalty on the squared weights. Every feature is brought to mean 0 and
deviation 1 and divided by the square root of their number; the strength C of each classifier (0.1, 1 or 10) is the one that errs least on every fifth training image, held out.
${averaged.length > 0 ? `Large feature maps are averaged over the blocks of a grid (${list([...new Set(averaged.map(({ stage, grid }) => `${stage}: ${grid!.join(' × ')}`))])}); the paper used all numbers.` : ''}
${count(trainExamples)} images to learn from and ${count(valExamples)} of “${split}” to measure on (${source}).
Scale: the paper’s network had learnt from 1.3 million photographs of ImageNet and was asked about other sets, with 30 images (Caltech-101) or 60 (Caltech-256) a class. The numbers of
different images and networks cannot be compared; the way they rise from layer to layer can.</p>`,
    },
  };
}

function verdict({ rows }: FeaturesNumbers): string {
  const [kind] = rows.map(({ classifier }) => classifier);
  const own = rows.filter(({ classifier }) => classifier === kind);
  const best = own.reduce((a, b) => (b.valTop1Error < a.valTop1Error ? b : a));
  const first = own[0];
  if (best === first)
    return `Here no layer beats ${first.stage}, whose features give ${percent(1 - first.valTop1Error)} right answers (${TITLES[kind]}).`;
  const rises = own.slice(1, own.indexOf(best) + 1).every((row, i) => row.valTop1Error <= own[i].valTop1Error);
  return `Here the ${TITLES[kind]} is right in ${percent(1 - first.valTop1Error)} of cases with the features of ${first.stage} and in ${percent(1 - best.valTop1Error)} with those of ${best.stage}, the best${rises ? ', and every layer between is better than the one below' : ''}.`;
}
