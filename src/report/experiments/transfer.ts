/** Tables 4 and 5 and Fig. 9: training on few images, with layers trained on other images and from scratch. */
import { explained } from '../../backend/validate.js';
import type { TransferMethod, TransferRow } from '../../zfnet/index.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count, list, percent, percentsApart, plural } from '../page/words.js';
import { ACCURACY_CHART_SIZE, accuracyChart, COLOURS } from './accuracy_chart.js';
import { panelFigure } from './panels.js';

/** Content of `transfer.json`, from which the section is written. */
export interface TransferNumbers {
  /** One row per method and number of images per class. */
  rows: TransferRow[];
  /** Quantity of which a row has the mean and the standard deviation. */
  measure: 'accuracy';
  /** The last layer that was kept. */
  layer: string;
  /** Data source as the user named it. */
  source: string;
  /** Split from which training images are sampled, and split of the test images. */
  split: string;
  /** Name of the split that the test images are from. */
  testSplit: string;
  /** Number of classes of the data set. */
  classes: number;
  /** Number of random samples per row. */
  folds: number;
  /** Largest number of test images per class. */
  testPerClass: number;
  /** Training data of the network whose layers are kept. */
  learntFrom: { source: string; examples: number };
  /** Number of training steps of each network that is trained from scratch. */
  scratchSteps?: number;
}

const COLOUR: Readonly<Record<TransferMethod, string>> = { 'kept layers': COLOURS.first, 'from scratch': COLOURS.second };

/** Returns the page of a transfer to another data set. */
export function transferExperiment(numbers: TransferNumbers): Experiment {
  return explained('transferExperiment', 'an object { rows, … } with the result of transfer()', () => writeTransferExperiment(numbers));
}

function writeTransferExperiment(numbers: TransferNumbers): Experiment {
  const { rows, layer, source, split, testSplit, classes, folds, testPerClass, learntFrom, scratchSteps } = numbers;
  const methods = [...new Set(rows.map(({ method }) => method))];
  const of = (method: TransferMethod) => rows.filter((row) => row.method === method);
  const score = ({ mean, deviation }: TransferRow) => (folds > 1 ? `${percent(mean)} ± ${percent(deviation)}` : percent(mean));
  const drawn = accuracyChart({
    series: methods.map((method) => ({
      name: method,
      colour: COLOUR[method],
      points: of(method).map(({ perClass, mean, deviation }) => ({ x: perClass, accuracy: mean, deviation })),
    })),
    x: 'training images per class',
    label: `Accuracy by training images per class: ${list(rows.map((row) => `${row.name} ${score(row)}`))}.`,
  });
  return {
    name: 'transfer',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: 'Accuracy by training images per class', content: drawn }], 1, ACCURACY_CHART_SIZE) } },
    section: {
      id: 'transfer',
      title: 'Learning new classes from few images',
      body: html`<p>Are features that were learned from one data set useful for another (transfer learning)? The layers of the network up to
${layer} were kept unchanged, and only a new last layer was trained to distinguish ${plural(classes, 'class', 'classes')} of
other images, from few training images.
${methods.length > 1 ? 'For comparison, a network with the same layers was trained from random weights (from scratch) on the same images.' : ''}</p>
<p>${verdict(rows)}</p>
${table(
  'Accuracy by method and training images per class, next to the values of the paper',
  ['method', 'images per class', 'test accuracy', 'test top-5 accuracy', 'training accuracy', 'paper, Caltech‑101', 'paper, Caltech‑256'],
  rows.map((row) => [
    row.method,
    count(row.perClass),
    score(row),
    percent(1 - row.valTop5Error),
    percent(1 - row.trainTop1Error),
    row.paper?.caltech101 === undefined ? '–' : `${row.paper.caltech101.toFixed(1)} %`,
    row.paper?.caltech256 === undefined ? '–' : `${row.paper.caltech256.toFixed(1)} %`,
  ]),
  [1, 2, 3, 4, 5, 6],
)}
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>Accuracy, the share of right predictions, as in Fig. 9
of the paper. ${folds > 1 ? 'Bars: one standard deviation over the folds. ' : ''}Choosing a class at random has an accuracy of
${percent(1 / classes)}.</figcaption></figure></div>
<p>In the paper, a network trained on ImageNet with a new softmax layer has an accuracy of 83.8 % on Caltech-101 with 15 training images per
class and 86.5 % with 30; trained from scratch, 22.8 % and 46.5 %. On Caltech-256 it has
65.7, 70.6, 72.7 and 74.2 % with 15, 30, 45 and 60 images per class, from scratch 9.0, 22.5, 31.2 and 38.8 %; with six images per class it
exceeds the best earlier method, which used 60. On PASCAL VOC 2012,
whose photographs show whole scenes, its mean average precision is 79.0 %, below the best method (82.2 %).</p>
<p class="note">${plural(folds, 'fold')}: random samples of training images (${source}, “${split}”), the same for both methods; smaller
samples are parts of the larger ones. Tested on ${testSplit === split ? 'the remaining images of this split' : `“${testSplit}”`}, at most
${testPerClass} images per class. The new layer is a softmax on the outputs of ${layer}, solved by L-BFGS to a gradient norm of at most 1e-4
of that at zero weights; its penalty on the weights is chosen with
held-out training images. ${convergence(rows)}
${scratchSteps === undefined ? '' : `From scratch: ${count(scratchSteps)} training steps with random crops, by the recipe of the run.${stillLearning(rows) ? ' Some of these networks still have training errors above 10 %; more steps (--steps) may improve them.' : ''}`}
Limits: the kept layers were trained on ${count(learntFrom.examples)} images (${learntFrom.source}), those of the paper on 1.3 million
photographs, so single values cannot be compared with those of
the paper.</p>`,
    },
  };
}

/** Whether a network trained from scratch still has a training error above 10 %. */
const stillLearning = (rows: readonly TransferRow[]): boolean =>
  rows.some(({ method, trainTop1Error }) => method === 'from scratch' && trainTop1Error > 0.1);

/** A sentence on the fits of the new layer that did not converge. */
function convergence(rows: readonly TransferRow[]): string {
  const failed = rows.filter(({ unconverged }) => unconverged);
  if (failed.length === 0) return '';
  const fits = failed.map(
    ({ unconverged, folds, perClass }) => `${unconverged} of ${plural(folds, 'fold')} with ${plural(perClass, 'image')} per class`,
  );
  return `It did not converge in ${list(fits)}: these accuracies are those of unfinished fits.`;
}

/** A sentence on which method has the higher accuracy for which numbers of images. */
function verdict(rows: readonly TransferRow[]): string {
  const kept = rows.filter(({ method }) => method === 'kept layers');
  const pairs = kept.flatMap((row) => {
    const scratch = rows.find(({ method, perClass }) => method === 'from scratch' && perClass === row.perClass);
    return scratch ? [{ perClass: row.perClass, ours: row.mean, theirs: scratch.mean }] : [];
  });
  if (pairs.length === 0)
    return `Here the accuracy is ${list(kept.map(({ perClass, mean }) => `${percent(mean)} with ${plural(perClass, 'image')} per class`))}.`;
  const accuracies = pairs.map(
    ({ perClass, ours, theirs }) => `${percentsApart(ours, theirs).join(' against ')} with ${plural(perClass, 'image')} per class`,
  );
  const where = (chosen: typeof pairs) =>
    chosen.length === pairs.length ? 'throughout' : `with ${list(chosen.map(({ perClass }) => String(perClass)))} images per class`;
  const groups: [string, typeof pairs][] = [
    ['the kept layers are better', pairs.filter(({ ours, theirs }) => ours > theirs)],
    ['training from scratch is better', pairs.filter(({ ours, theirs }) => ours < theirs)],
    ['both methods are equal', pairs.filter(({ ours, theirs }) => ours === theirs)],
  ];
  const outcome = list(groups.flatMap(([who, chosen]) => (chosen.length > 0 ? [`${who} ${where(chosen)}`] : [])));
  return `Here ${outcome}: ${list(accuracies)} (accuracy with the kept layers against training from scratch).`;
}
