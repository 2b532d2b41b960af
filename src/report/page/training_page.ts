/** The page that shows training while it happens: written anew now and then, it reads itself again until training has ended. */
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

export interface TrainingPageInput {
  /** The run's folder, as the user named it. */
  run: string;
  config: RunConfig;
  /** Of the epochs that are done. */
  metrics: readonly EpochMetrics[];
  /** The loss between epochs: x in epochs from 0, y the mean over some steps. */
  steps: readonly { x: number; y: number }[];
  status: 'training' | 'done' | 'stopped' | 'failed';
  /** Each one sentence. */
  warnings: readonly string[];
  /** When the page is written. */
  now: Date;
}

/** While it trains. */
const REFRESH_SECONDS = 20;
/** Rows of the table: the latest. */
const MOST_ROWS = 12;

const STATUS = {
  training: `training; this page reads itself again every ${REFRESH_SECONDS} seconds`,
  done: 'done',
  stopped: 'stopped; it can go on',
  failed: 'ended by an error; it can go on from its last checkpoint',
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

/** One self-contained HTML page, of what is known when this is called. */
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
<figure>${loss}<figcaption>Cross-entropy in training: the mean of each epoch${steps.length > 0 && ', and in grey of the steps between'}. Dotted: guessing.</figcaption></figure>
<figure>${error}<figcaption>Wrong first answers in training (${hasDropout(architecture) && 'with dropout, '}while the network changes)${validated && ' and on images that are not learned from'}.</figcaption></figure>
</div>${drops > 0 && html`<p class="note">Upright dotted lines: the learning rate was lowered.</p>`}`,
  };
  const rows = metrics.slice(-MOST_ROWS).reverse();
  const epochs = {
    id: 'epochs',
    title: 'Epochs',
    body: html`${table(
      `The last ${plural(rows.length, 'epoch')}, the latest first`,
      ['epoch', 'loss', 'error in training', 'error, unseen', 'in five answers', 'rate', 'images/s'],
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
    )}<p class="note">All of them are in <code>metrics.jsonl</code>.</p>`,
  };
  const trouble = { id: 'warnings', title: 'Warnings', body: html`<ul>${warnings.map((text) => html`<li>${text}</li>`)}</ul>` };
  return page({
    title: `Training ${run}`,
    description: `Loss and error of ${run} while it trains.`,
    refreshSeconds: status === 'training' ? REFRESH_SECONDS : undefined,
    lead: html`<p class="lead">${architecture.preset} (width ${architecture.width}, input ${architecture.inputSize}×${architecture.inputSize}) on ${data.source}:
${count(data.trainExamples)} images, ${plural(architecture.classes, 'class', 'classes')}; ${plural(metrics.length, 'epoch')} of ${count(training.epochs)} done.</p>
<p class="note">State: ${STATUS[status]}. Written ${now.toISOString().slice(0, 19).replace('T', ' ')} UTC, at each epoch and every few minutes within one. To look at it, open the file
<code>${run}/report/training.html</code> in a browser, over a network drive too: it needs no server.</p>`,
    sections: [curves, ...(metrics.length > 0 ? [epochs] : []), ...(warnings.length > 0 ? [trouble] : [])],
  });
}

/** Dropout stands behind fc6 and fc7: a network without both has none, whatever its probability. */
const hasDropout = ({ dropout, without = [] }: RunConfig['architecture']): boolean =>
  dropout > 0 && !['fc6', 'fc7'].every((layer) => (without as readonly string[]).includes(layer));
