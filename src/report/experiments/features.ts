/** Table 7: linear classifiers on the features of each layer show how well the layer separates the classes. */
import { explained } from '../../backend/validate.js';
import type { FeatureRow } from '../../zfnet/index.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { type Html, html } from '../page/html.js';
import { count, list, percent, percentsApart, plural } from '../page/words.js';
import { ACCURACY_CHART_SIZE, accuracyChart, COLOURS } from './accuracy_chart.js';
import { panelFigure } from './panels.js';

/** Content of `features.json`, from which the section is written. */
export interface FeaturesNumbers {
  /** One row per stage and classifier, from the first stage to the last. */
  rows: FeatureRow[];
  /** Source of the images. */
  source: string;
  /** Number of classes. */
  classes: number;
  /** Number of images that the classifiers are trained and measured on. */
  trainExamples: number;
  /** Number of images that the errors are measured on. */
  valExamples: number;
  /** Name of the split that the errors are measured on. */
  split: string;
}

const TITLES = { svm: 'linear\u00a0SVM', softmax: 'softmax' } as const;

/** Returns the page of the classifiers that were trained on the features of each layer. */
export function featuresExperiment(numbers: FeaturesNumbers): Experiment {
  return explained('featuresExperiment', 'an object { rows, … } with the result of analyseFeatures()', () =>
    writeFeaturesExperiment(numbers),
  );
}

function writeFeaturesExperiment(numbers: FeaturesNumbers): Experiment {
  const { rows, classes } = numbers;
  const drawn = layerChart(rows);
  const published = rows.some(isPublished);
  return {
    name: 'features',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: 'Accuracy with the features of each layer', content: drawn }], 1, ACCURACY_CHART_SIZE) } },
    section: {
      id: 'feature-analysis',
      title: 'How well each layer separates the classes',
      body: html`<p>The network was not changed. From the features of each layer alone, that is, from the values that the layer computes for
an image, a linear
classifier was trained to distinguish ${plural(classes, 'class', 'classes')}. It predicts from weighted sums of the features, so its
<em>accuracy</em>, the share of right predictions, is high if the layer has already separated the classes.</p>
<p>${verdict(numbers)}</p>
${accuracyTable(rows)}
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>Accuracy on images that were not used to train the
classifiers. Choosing a class at random has an accuracy of
${percent(1 / classes)}.${published ? ' Dashed lines: the SVM of the paper.' : ''}</figcaption></figure></div>
<p>In the paper, the accuracy increases with every layer; the authors conclude that the features become more discriminative from layer to
layer.</p>
${methods(numbers)}`,
    },
  };
}

const isPublished = ({ classifier, paper }: FeatureRow): boolean => classifier === 'svm' && paper !== undefined;

/** Accuracy by layer: one line per classifier, and the lines of the paper. */
function layerChart(rows: readonly FeatureRow[]): Html {
  const kinds = [...new Set(rows.map(({ classifier }) => classifier))];
  const published = rows.filter(isPublished);
  return accuracyChart({
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
    steps: [...new Set(rows.map(({ stage }) => stage))],
    label: `Accuracy by layer: ${list(rows.map((row) => `${TITLES[row.classifier]} on ${row.stage} ${percent(1 - row.valTop1Error)}`))}.`,
  });
}

function accuracyTable(rows: readonly FeatureRow[]): Html {
  const head = [
    'layer',
    'classifier',
    'features',
    'training accuracy',
    'test accuracy',
    'test top-5 accuracy',
    'paper, Caltech‑101',
    'paper, Caltech‑256',
  ];
  const cells = rows.map((row) => [
    row.stage,
    TITLES[row.classifier],
    row.features === row.of ? count(row.features) : `${count(row.features)} of ${count(row.of)}`,
    percent(1 - row.trainTop1Error),
    percent(1 - row.valTop1Error),
    percent(1 - row.valTop5Error),
    row.paper ? `${row.paper.caltech101.toFixed(1)} %` : '–',
    row.paper ? `${row.paper.caltech256.toFixed(1)} %` : '–',
  ]);
  return table('Accuracy by layer and classifier, next to the values of the paper', head, cells, [2, 3, 4, 5, 6, 7]);
}

/** How the classifiers are trained, and what can be concluded from the accuracies. */
function methods({ rows, source, trainExamples, valExamples, split }: FeaturesNumbers): Html {
  const averaged = rows.filter(({ grid }) => grid);
  const grids = list([...new Set(averaged.map(({ stage, grid }) => `${stage}: ${grid!.join(' × ')}`))]);
  return html`<p class="note">Linear SVM: one class against the rest, squared hinge loss, solved by dual coordinate descent to a duality gap
of at most 1e-3 of the value of the problem. Softmax: cross-entropy with a penalty on the squared
weights, solved by L-BFGS to a gradient norm of at most 1e-4 of that at zero weights. ${convergence(rows)} Every feature is standardised to
mean 0 and
standard deviation 1 and divided by the square root of the number of features. The strength C of each classifier (0.1, 1 or 10) is the one
with the smallest error on every fifth training image, which is held out.
${averaged.length > 0 ? `Large maps are averaged over the blocks of a grid (${grids}); the paper used all values.` : ''}
The classifiers were trained on ${count(trainExamples)} images and tested on ${count(valExamples)} images of “${split}” (${source}).
Limits: the network of the paper was trained on 1.3 million photographs of ImageNet and tested on other data sets, with 30 (Caltech-101) or
60 (Caltech-256) training images per class. Values of
different images and networks cannot be compared, but their change from layer to layer can.</p>`;
}

/** Sentences on the accuracy of the first classifier from layer to layer. */
function verdict({ rows }: FeaturesNumbers): string {
  const [kind] = rows.map(({ classifier }) => classifier);
  const own = rows.filter(({ classifier }) => classifier === kind);
  const right = ({ valTop1Error }: FeatureRow) => percent(1 - valTop1Error);
  const [first] = own;
  if (own.length === 1) return `Here the accuracy of the ${TITLES[kind]} is ${right(first)} with the features of ${first.stage}.`;
  const least = Math.min(...own.map(({ valTop1Error }) => valTop1Error));
  const best = own.filter(({ valTop1Error }) => valTop1Error === least);
  const named = list(best.map(({ stage }) => stage));
  if (best.length === own.length)
    return `Here all layers are equal: the accuracy of the ${TITLES[kind]} is ${right(first)} with the features of each.`;
  if (best.includes(first))
    return best.length === 1
      ? `Here no later layer is better than ${first.stage}, with whose features the accuracy of the ${TITLES[kind]} is ${right(first)}.`
      : `Here no layer is better than ${first.stage}: the accuracy of the ${TITLES[kind]} is ${right(first)} with the features of ${named}.`;
  const [low, high] = percentsApart(1 - first.valTop1Error, 1 - least);
  return `Here the accuracy of the ${TITLES[kind]} is ${low} with the features of ${first.stage} and ${high} with those of ${named}, the best${best.length > 1 ? ' layers, which are equal' : ' layer'}. ${course(own, own.indexOf(best[0]))}`;
}

/** A sentence on whether each layer up to the best is better than the one before; empty if there is no layer between. */
function course(rows: readonly FeatureRow[], best: number): string {
  if (best < 2) return '';
  const steps = rows
    .slice(1, best + 1)
    .map(({ valTop1Error }, i) => ({ stage: rows[i + 1].stage, change: rows[i].valTop1Error - valTop1Error }));
  const behind = steps.filter(({ change }) => change <= 0);
  if (behind.length === 0) return `Each layer up to ${rows[best].stage} is better than the one before.`;
  const compared = ({ stage, change }: (typeof steps)[number]) =>
    `${stage} is ${change === 0 ? 'only as good as' : 'worse than'} the layer before it`;
  return `Between them, ${list(behind.map(compared))}.`;
}

/** A sentence on the classifiers whose fit did not converge. */
function convergence(rows: readonly FeatureRow[]): string {
  const recorded = rows.filter(({ fit }) => fit !== undefined);
  const failed = recorded.filter(({ fit }) => !fit!.converged);
  if (failed.length > 0)
    return `${failed.length} of ${plural(recorded.length, 'classifier')} did not converge, so their accuracies are those of unfinished fits: ${list(failed.map(({ classifier, stage }) => `${TITLES[classifier]} on ${stage}`))}.`;
  return recorded.length > 0 && recorded.length === rows.length
    ? 'All classifiers converged.'
    : 'Whether the classifiers converged was not recorded for all of them.';
}
