/** The curves of learning, for the report and for the page that shows training as it happens: loss and error over epochs. */
import type { EpochMetrics } from '../../zfnet/index.js';
import type { Html } from '../page/html.js';
import { percent, plural } from '../page/words.js';
import { curves, type Series } from './charts.js';

export interface LearningCurvesInput {
  metrics: readonly EpochMetrics[];
  classes: number;
  /** The loss between epochs: x in epochs from 0, y the mean over some steps. */
  steps?: readonly { x: number; y: number }[];
  /** The axes run from 0 to this epoch. Default: as far as there are points. */
  until?: number;
}

export interface LearningCurves {
  loss: Html;
  error: Html;
  /** Where the rate was lowered, if so few times that marks tell something. */
  drops: number;
}

/** More marks than these would be no events. */
const MOST_DROPS = 4;

export function learningCurves({ metrics, classes, steps = [], until }: LearningCurvesInput): LearningCurves {
  const drops = metrics.slice(1).filter(({ lr }, i) => lr < 0.999 * metrics[i].lr);
  // Rates that fall a little every round are no events.
  const marks =
    drops.length <= MOST_DROPS ? drops.map(({ epoch, lr }) => ({ x: epoch - 0.5, text: `rate ${Number(lr.toPrecision(2))}` })) : [];
  const points = (y: (m: EpochMetrics) => number | null) =>
    metrics.flatMap((m) => {
      const value = y(m);
      return value === null || !Number.isFinite(value) ? [] : [{ x: m.epoch, y: value }];
    });
  const between: Series[] = steps.length > 0 ? [{ name: 'steps', colour: 'var(--bar)', points: steps, faint: true }] : [];
  const validated = metrics.some(({ valTop1Error }) => valTop1Error !== null);
  const unseen: Series[] = validated ? [{ name: 'unseen', colour: 'var(--warm)', points: points((m) => m.valTop1Error) }] : [];
  const shared = { x: 'epoch', marks, until };
  return {
    loss: curves({
      ...shared,
      series: [...between, { name: 'training', colour: 'var(--accent)', points: points((m) => m.trainLoss) }],
      y: 'loss (nats)',
      guess: Math.log(classes),
      label: lossInWords(metrics),
    }),
    error: curves({
      ...shared,
      series: [{ name: 'training', colour: 'var(--accent)', points: points((m) => m.trainTop1Error) }, ...unseen],
      y: 'wrong answers (%)',
      guess: 1 - 1 / classes,
      label: errorInWords(metrics),
      percent: true,
    }),
    drops: marks.length,
  };
}

function lossInWords(metrics: readonly EpochMetrics[]): string {
  const [first, last] = [metrics[0], metrics[metrics.length - 1]];
  if (!first) return 'The training loss within the first epoch.';
  return `The training loss goes from ${first.trainLoss.toFixed(2)} to ${last.trainLoss.toFixed(3)} over ${plural(metrics.length, 'epoch')}.`;
}

function errorInWords(metrics: readonly EpochMetrics[]): string {
  const [first, last] = [metrics[0], metrics[metrics.length - 1]];
  if (!first) return 'The share of wrong answers: no epoch is done yet.';
  const unseen = last.valTop1Error === null ? '' : `, on unseen images to ${percent(last.valTop1Error)}`;
  return `The share of wrong answers in training goes from ${percent(first.trainTop1Error)} to ${percent(last.trainTop1Error)}${unseen}.`;
}
