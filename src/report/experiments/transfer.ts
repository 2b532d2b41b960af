/** Tables 4 and 5 and Fig. 9: learning from a few images, with layers that have learnt elsewhere and from scratch. */
import { explained } from '../../backend/validate.js';
import type { TransferMethod, TransferRow } from '../../zfnet/index.js';
import type { Experiment } from '../experiment.js';
import { table } from '../page/components.js';
import { html } from '../page/html.js';
import { count, list, percent, plural } from '../page/words.js';
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
    x: 'images a class to learn from',
    label: `Right answers by images a class: ${list(rows.map((row) => `${row.name} ${score(row)}`))}.`,
  });
  return {
    name: 'transfer',
    numbers,
    pictures: { '': { svg: panelFigure([{ title: 'Right answers by images a class', content: drawn }], 1, ACCURACY_CHART_SIZE) } },
    section: {
      id: 'transfer',
      title: 'Can it learn something new from a few images?',
      body: html`<p>Most of what the network knows is about seeing, not about its own classes. So its layers up to ${layer} were kept as they are, and only a new last layer learnt ${plural(classes, 'class', 'classes')} of
other images, from a handful of them. ${methods.length > 1 ? 'A network of the same build that knew nothing learnt from the same images, for comparison.' : ''}</p>
<p>${verdict(rows)}</p>
${table(
  'Right answers by method and images a class, beside the paper’s',
  ['', 'images a class', 'right, new images', 'right within five', 'right, known images', 'paper, Caltech‑101', 'paper, Caltech‑256'],
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
${testPerClass} a class. The new layer is a softmax on the outputs of ${layer}, which are computed once an image; its penalty is chosen on held-out training images.
${scratchSteps === undefined ? '' : `From scratch: ${count(scratchSteps)} updates with freshly cut crops, by the recipe of the run.${stillLearning(rows) ? ' Not all of these networks knew their own images by then; with more updates (--steps) they would come further.' : ''}`}
Scale: the kept layers learnt from ${count(learntFrom.examples)} images (${learntFrom.source}), the paper’s from 1.3 million photographs, so the lead that they give is smaller here, and the paper’s numbers cannot be compared with ours
one by one.</p>`,
    },
  };
}

/** Whether a network that began from scratch still errs on what it learnt from. */
const stillLearning = (rows: readonly TransferRow[]): boolean =>
  rows.some(({ method, trainTop1Error }) => method === 'from scratch' && trainTop1Error > 0.1);

function verdict(rows: readonly TransferRow[]): string {
  const kept = rows.filter(({ method }) => method === 'kept layers');
  const pairs = kept.flatMap((row) => {
    const scratch = rows.find(({ method, perClass }) => method === 'from scratch' && perClass === row.perClass);
    return scratch ? [{ row, scratch }] : [];
  });
  if (pairs.length === 0)
    return `Here ${list(kept.map(({ perClass, mean }) => `${plural(perClass, 'image')} a class give ${percent(mean)}`))} right answers.`;
  const ahead = pairs.filter(({ row, scratch }) => row.mean > scratch.mean);
  const told = list(
    pairs.map(({ row, scratch }) => `${percent(row.mean)} against ${percent(scratch.mean)} from ${plural(row.perClass, 'image')} a class`),
  );
  const who =
    ahead.length === pairs.length
      ? 'the kept layers are ahead throughout'
      : ahead.length === 0
        ? 'starting from scratch is ahead throughout'
        : `the kept layers are ahead from ${list(ahead.map(({ row }) => String(row.perClass)))} images a class`;
  return `Here ${who}: ${told}.`;
}
