/** Tables 4 and 5 and Fig. 9: learning from a few images, with layers that have learnt elsewhere and from scratch. */
import { explained } from '../../backend/validate.js';
import type { TransferMethod, TransferRow } from '../../zfnet/index.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count, list, percent, percentsApart, plural } from '../page/words.js';
import { ACCURACY_CHART_SIZE, accuracyChart, COLOURS } from './accuracy_chart.js';
import { panelFigure } from './panels.js';

/** What `transfer.json` holds; the section is made of it alone. */
export interface TransferNumbers {
  rows: TransferRow[];
  /** What `mean` and `deviation` of a row are of. */
  measure: 'accuracy';
  /** The last layer that was kept. */
  layer: string;
  source: string;
  /** Where images to learn from are drawn, and where those to test on. */
  split: string;
  testSplit: string;
  classes: number;
  folds: number;
  testPerClass: number;
  /** What the network learnt from before. */
  learntFrom: { source: string; examples: number };
  /** Updates of each network that began from scratch. */
  scratchSteps?: number;
}

const COLOUR: Readonly<Record<TransferMethod, string>> = { 'kept layers': COLOURS.first, 'from scratch': COLOURS.second };

export function transferExperiment(numbers: TransferNumbers): Experiment {
  return explained('transferExperiment', 'an object { rows, … } with what transfer() gave', () => writeTransferExperiment(numbers));
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
    x: 'images per class to learn from',
    label: `Right answers by images per class: ${list(rows.map((row) => `${row.name} ${score(row)}`))}.`,
  });
  return {
    name: 'transfer',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: 'Right answers by images per class', content: drawn }], 1, ACCURACY_CHART_SIZE) } },
    section: {
      id: 'transfer',
      title: 'Can it learn something new from a few images?',
      body: html`<p>Do features that were learnt from some images serve for others? To see, the network’s layers up to ${layer} were kept as they were, and only a new last layer learnt ${plural(classes, 'class', 'classes')} of
other images, from a handful of them. ${methods.length > 1 ? 'For comparison, a network of the same build with random weights learnt from the same images.' : ''}</p>
<p>${verdict(rows)}</p>
${table(
  'Right answers by method and images per class, beside the paper’s',
  ['', 'images per class', 'right, new images', 'right within five', 'right, known images', 'paper, Caltech‑101', 'paper, Caltech‑256'],
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
<div class="charts"><figure style="max-width:var(--text-width)">${drawn}<figcaption>Our counterpart of the paper’s Fig. 9. ${folds > 1 ? 'Bars: one standard deviation over the draws. ' : ''}Guessing is right in ${percent(1 / classes)} of cases.</figcaption></figure></div>
<p>In the paper a network trained on ImageNet and given a new softmax had 83.8 % of Caltech-101 right from 15 images a class, and 86.5 % from 30; from scratch, 22.8 % and 46.5 %. On Caltech-256 it had
65.7, 70.6, 72.7 and 74.2 % right from 15, 30, 45 and 60, from scratch 9.0, 22.5, 31.2 and 38.8 %: six images a class were enough to beat the best method of the time, which had 60. On PASCAL VOC 2012,
whose photographs show whole scenes, its mean precision was 79.0 %, below the best (82.2 %).</p>
<p class="note">${plural(folds, 'draw')} of the images to learn from (${source}, “${split}”); the same draws for every method, the smaller within the larger. Tested on ${testSplit === split ? 'what is left of the same images' : `“${testSplit}”`}, at most
${testPerClass} per class. The new layer is a softmax on the outputs of ${layer}, solved by L-BFGS to a gradient norm of at most 1e-4 of that at zero weights; its penalty is chosen on
held-out training images. ${convergence(rows)}
${scratchSteps === undefined ? '' : `From scratch: ${count(scratchSteps)} updates with freshly cut crops, by the recipe of the run.${stillLearning(rows) ? ' Not all of these networks had learnt their own images by then: more updates (--steps) may bring them further.' : ''}`}
Scale: the kept layers learnt from ${count(learntFrom.examples)} images (${learntFrom.source}), the paper’s from 1.3 million photographs, so the paper’s numbers cannot be compared with ours
one by one.</p>`,
    },
  };
}

/** Whether a network that began from scratch still errs on what it learnt from. */
const stillLearning = (rows: readonly TransferRow[]): boolean =>
  rows.some(({ method, trainTop1Error }) => method === 'from scratch' && trainTop1Error > 0.1);

/** Which fits of the new layer did not converge, in a sentence. */
function convergence(rows: readonly TransferRow[]): string {
  const failed = rows.filter(({ unconverged }) => unconverged);
  if (failed.length === 0) return '';
  const draws = failed.map(
    ({ unconverged, folds, perClass }) => `${unconverged} of ${plural(folds, 'draw')} with ${plural(perClass, 'image')} per class`,
  );
  return `It did not converge in ${list(draws)}: the errors there are those of unfinished fits.`;
}

/** Which method is ahead for which numbers of images, in a sentence. */
function verdict(rows: readonly TransferRow[]): string {
  const kept = rows.filter(({ method }) => method === 'kept layers');
  const pairs = kept.flatMap((row) => {
    const scratch = rows.find(({ method, perClass }) => method === 'from scratch' && perClass === row.perClass);
    return scratch ? [{ perClass: row.perClass, ours: row.mean, theirs: scratch.mean }] : [];
  });
  if (pairs.length === 0)
    return `Here ${list(kept.map(({ perClass, mean }) => `${plural(perClass, 'image')} per class give ${percent(mean)}`))} right answers.`;
  const told = pairs.map(
    ({ perClass, ours, theirs }) => `${percentsApart(ours, theirs).join(' against ')} with ${plural(perClass, 'image')} per class`,
  );
  const where = (chosen: typeof pairs) =>
    chosen.length === pairs.length ? 'throughout' : `with ${list(chosen.map(({ perClass }) => String(perClass)))} images per class`;
  const groups: [string, typeof pairs][] = [
    ['the kept layers are ahead', pairs.filter(({ ours, theirs }) => ours > theirs)],
    ['training from scratch is ahead', pairs.filter(({ ours, theirs }) => ours < theirs)],
    ['both are equal', pairs.filter(({ ours, theirs }) => ours === theirs)],
  ];
  const outcome = list(groups.flatMap(([who, chosen]) => (chosen.length > 0 ? [`${who} ${where(chosen)}`] : [])));
  return `Here ${outcome}: ${list(told)} (right answers of the kept layers against those from scratch).`;
}
