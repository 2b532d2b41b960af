/** Table 7: how much each layer knows, by what linear classifiers make of its features. */
import { explained } from '../../backend/validate.js';
import type { FeatureRow } from '../../zfnet/index.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count, list, percent, percentsApart, plural } from '../page/words.js';
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
      body: html`<p>The network was left as it is, and each of its layers was tested alone: from the numbers that this layer gives for an image, and nothing else, a simple
classifier had to learn to tell ${plural(classes, 'class', 'classes')} apart. It can only weigh the numbers and add them up, so it does well where the layer has already separated the classes.</p>
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
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>On images that the classifiers did not learn from. Guessing is right in ${percent(1 / classes)} of cases.${published.length > 0 ? ' Dashed: the paper’s SVM.' : ''}</figcaption></figure></div>
<p>The paper found that the answers get better with every layer, and concluded that the network builds its features step by step, each layer on the one below.</p>
<p class="note">Linear SVM: one class against the rest, squared hinge, solved by dual coordinate descent to a duality gap of at most 1e-3 of the problem’s value. Softmax: cross-entropy with a penalty on the squared
weights, solved by L-BFGS to a gradient norm of at most 1e-4 of that at zero weights. ${convergence(rows)} Every feature is brought to mean 0 and
deviation 1 and divided by the square root of their number; the strength C of each classifier (0.1, 1 or 10) is the one that errs least on every fifth training image, held out.
${averaged.length > 0 ? `Large feature maps are averaged over the blocks of a grid (${list([...new Set(averaged.map(({ stage, grid }) => `${stage}: ${grid!.join(' × ')}`))])}); the paper used all numbers.` : ''}
${count(trainExamples)} images to learn from and ${count(valExamples)} of “${split}” to measure on (${source}).
Scale: the paper’s network had learnt from 1.3 million photographs of ImageNet and was asked about other sets, with 30 images (Caltech-101) or 60 (Caltech-256) a class. The numbers of
different images and networks cannot be compared; how they change from layer to layer can.</p>`,
    },
  };
}

/** How the answers change from layer to layer for the first classifier, in sentences. */
function verdict({ rows }: FeaturesNumbers): string {
  const [kind] = rows.map(({ classifier }) => classifier);
  const own = rows.filter(({ classifier }) => classifier === kind);
  const right = ({ valTop1Error }: FeatureRow) => percent(1 - valTop1Error);
  const [first] = own;
  if (own.length === 1) return `Here the ${TITLES[kind]} is right in ${right(first)} of cases with the features of ${first.stage}.`;
  const least = Math.min(...own.map(({ valTop1Error }) => valTop1Error));
  const best = own.filter(({ valTop1Error }) => valTop1Error === least);
  const named = list(best.map(({ stage }) => stage));
  if (best.length === own.length)
    return `Here all layers do equally well: the ${TITLES[kind]} is right in ${right(first)} of cases with the features of each.`;
  if (best.includes(first))
    return best.length === 1
      ? `Here no later layer does better than ${first.stage}, with whose features the ${TITLES[kind]} is right in ${right(first)} of cases.`
      : `Here no layer does better than ${first.stage}: the ${TITLES[kind]} is right in ${right(first)} of cases with the features of ${named}.`;
  const [low, high] = percentsApart(1 - first.valTop1Error, 1 - least);
  return `Here the ${TITLES[kind]} is right in ${low} of cases with the features of ${first.stage} and in ${high} with those of ${named}, the best${best.length > 1 ? ' equally' : ''}. ${course(own, own.indexOf(best[0]))}`;
}

/** Whether each layer up to the best does better than the one before, in a sentence; none if there is no layer between. */
function course(rows: readonly FeatureRow[], best: number): string {
  if (best < 2) return '';
  const steps = rows
    .slice(1, best + 1)
    .map(({ valTop1Error }, i) => ({ stage: rows[i + 1].stage, change: rows[i].valTop1Error - valTop1Error }));
  const behind = steps.filter(({ change }) => change <= 0);
  if (behind.length === 0) return `Each layer up to ${rows[best].stage} does better than the one before.`;
  const does = ({ stage, change }: (typeof steps)[number]) =>
    `${stage} does ${change === 0 ? 'only as well as' : 'worse than'} the layer before it`;
  return `On the way ${list(behind.map(does))}.`;
}

/** Which classifiers the solver did not bring within the tolerance, in a sentence. */
function convergence(rows: readonly FeatureRow[]): string {
  const told = rows.filter(({ fit }) => fit !== undefined);
  const failed = told.filter(({ fit }) => !fit!.converged);
  if (failed.length > 0)
    return `${failed.length} of ${plural(told.length, 'classifier')} did not converge, and the errors are those of unfinished fits: ${list(failed.map(({ classifier, stage }) => `${TITLES[classifier]} on ${stage}`))}.`;
  return told.length > 0 && told.length === rows.length
    ? 'All classifiers converged.'
    : 'Whether the classifiers converged was not recorded for all of them.';
}
