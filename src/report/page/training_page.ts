/** The page that shows a training in progress. It is rewritten regularly, and the browser reloads it until the training has ended. */
import {
  arrayOf,
  checkFields,
  explained,
  isPlainObject,
  numeric,
  objectWith,
  oneOf,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import type { EpochMetrics, RunConfig } from '../../zfnet/index.js';
import { learningCurves } from '../charts/learning_curves.js';
import { table } from './components.js';
import { html } from './html.js';
import { page } from './page.js';
import { count, percent, plural } from './words.js';

/** What the page on a running training shows. */
export interface TrainingPageInput {
  /** Folder of the run, as the user gave it. */
  run: string;
  /** Configuration of the run, for the title and the settings. */
  config: RunConfig;
  /** Metrics of the finished epochs. */
  metrics: readonly EpochMetrics[];
  /** The loss within epochs: x in epochs from 0, y the mean over some steps. */
  steps: readonly { x: number; y: number }[];
  /** State of the training. While it is `training`, the page reloads itself. */
  status: 'training' | 'done' | 'stopped' | 'failed';
  /** Warnings, each a sentence. */
  warnings: readonly string[];
  /** Time at which the page is written. */
  now: Date;
}

/** Seconds between reloads during training. */
const REFRESH_SECONDS = 20;
/** Largest number of rows of the table; it shows the latest epochs. */
const MOST_ROWS = 12;

const STATUS = {
  training: `training; the browser reloads this page every ${REFRESH_SECONDS} seconds`,
  done: 'finished',
  stopped: 'stopped; it can be resumed',
  failed: 'ended by an error; it can be resumed from its last checkpoint',
} as const satisfies Record<TrainingPageInput['status'], string>;

const anObject = rule('an object', isPlainObject);

const INPUT: RulesFor<TrainingPageInput> = {
  run: text,
  config: anObject,
  metrics: arrayOf(anObject),
  steps: arrayOf(objectWith('a point { x, y }', { x: numeric, y: numeric })),
  status: oneOf(...Object.keys(STATUS)),
  warnings: arrayOf(text),
  now: rule('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime())),
};

/** Returns the page as HTML that loads nothing from elsewhere, for the state of the training at the time of the call. */
export async function trainingPage(input: TrainingPageInput): Promise<string> {
  checkFields('trainingPage', input, INPUT, Object.keys(INPUT));
  return await explained('trainingPage', 'the configuration and the metrics of a run', () => writePage(input));
}

function writePage({ run, config, metrics, steps, status, warnings, now }: TrainingPageInput): Promise<string> {
  const { architecture, data, training } = config;
  const validated = metrics.some(({ valTop1Error }) => valTop1Error !== null);
  const reached = Math.max(steps.at(-1)?.x ?? 0, metrics.at(-1)?.epoch ?? 0);
  const { loss, error, drops } = learningCurves({ metrics, steps, classes: architecture.classes, until: Math.max(1, Math.ceil(reached)) });
  const curves = {
    id: 'curves',
    title: 'Loss and error',
    body: html`<div class="charts">
<figure>${loss}<figcaption>Training loss, the mean negative log-probability of the right class: the mean per
epoch${steps.length > 0 && ', and in grey the mean over a few steps'}. Dotted line: choosing a class at random.</figcaption></figure>
<figure>${error}<figcaption>Top-1 error, the share of images whose most probable class is wrong: in training
(${hasDropout(architecture) && 'with dropout, '}while the weights
change)${validated && ' and in validation, on images that are not used for training'}.</figcaption></figure>
</div>${drops > 0 && html`<p class="note">Vertical dotted lines: the learning rate was reduced.</p>`}`,
  };
  const rows = metrics.slice(-MOST_ROWS).reverse();
  const epochs = {
    id: 'epochs',
    title: 'Epochs',
    body: html`${table(
      `The last ${plural(rows.length, 'epoch')}, the latest first`,
      ['epoch', 'training loss', 'training top-1 error', 'validation top-1 error', 'validation top-5 error', 'learning rate', 'images/s'],
      rows.map((m) => [
        count(m.epoch),
        m.trainLoss.toFixed(4),
        percent(m.trainTop1Error),
        m.valTop1Error === null ? '—' : percent(m.valTop1Error),
        m.valTop5Error === null ? '—' : percent(m.valTop5Error),
        String(Number(m.lr.toPrecision(3))),
        String(m.imagesPerSecond),
      ]),
      [1, 2, 3, 4, 5, 6],
    )}<p class="note">The metrics of all epochs are in <code>metrics.jsonl</code>.</p>`,
  };
  const trouble = { id: 'warnings', title: 'Warnings', body: html`<ul>${warnings.map((text) => html`<li>${text}</li>`)}</ul>` };
  return page({
    title: `Training ${run}`,
    description: `Loss and error of ${run} during training.`,
    refreshSeconds: status === 'training' ? REFRESH_SECONDS : undefined,
    lead: html`<p class="lead">${architecture.preset} (width ${architecture.width}, input
${architecture.inputSize}×${architecture.inputSize}) on ${data.source}:
${count(data.trainExamples)} images, ${plural(architecture.classes, 'class', 'classes')}; ${count(metrics.length)} of
${plural(training.epochs, 'epoch')} finished.</p>
<p class="note">State: ${STATUS[status]}. Written ${now.toISOString().slice(0, 19).replace('T', ' ')} UTC; the page is written after each
epoch and every few minutes within one. To see it, open the file
<code>${run}/report/training.html</code> in a browser, also from a network drive: it needs no server.</p>`,
    sections: [curves, ...(metrics.length > 0 ? [epochs] : []), ...(warnings.length > 0 ? [trouble] : [])],
  });
}

/** Whether the network has dropout, which follows fc6 and fc7. A network without both layers has none, whatever the probability. */
const hasDropout = ({ dropout, without = [] }: RunConfig['architecture']): boolean =>
  dropout > 0 && !['fc6', 'fc7'].every((layer) => (without as readonly string[]).includes(layer));
