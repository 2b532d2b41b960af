/** Draws the learning curves, loss and error over epochs, for the report and for the page that is shown during training. */
import type { EpochMetrics } from '../../zfnet/index.js';
import type { Html } from '../page/html.js';
import { percent, plural } from '../page/words.js';
import { curves, type Series } from './charts.js';

export interface LearningCurvesInput {
  metrics: readonly EpochMetrics[];
  classes: number;
  /** The loss within epochs: x in epochs from 0, y the mean over some steps. */
  steps?: readonly { x: number; y: number }[];
  /** End of the x axes, in epochs. Default: the last point. */
  until?: number;
}

export interface LearningCurves {
  loss: Html;
  error: Html;
  /** Number of marked reductions of the learning rate; 0 if it was reduced so often that they are not marked. */
  drops: number;
}

/** Reductions of the learning rate are marked up to this number. */
const MOST_DROPS = 4;

export function learningCurves({ metrics, classes, steps = [], until }: LearningCurvesInput): LearningCurves {
  const drops = metrics.slice(1).filter(({ lr }, i) => lr < 0.999 * metrics[i].lr);
  // Schedules that reduce the rate in every epoch get no marks.
  const marks =
    drops.length <= MOST_DROPS
      ? drops.map(({ epoch, lr }) => ({ x: epoch - 0.5, text: `learning rate ${Number(lr.toPrecision(2))}` }))
      : [];
  const points = (y: (m: EpochMetrics) => number | null) =>
    metrics.flatMap((m) => {
      const value = y(m);
      return value === null || !Number.isFinite(value) ? [] : [{ x: m.epoch, y: value }];
    });
  const between: Series[] = steps.length > 0 ? [{ name: 'steps', colour: 'var(--bar)', points: steps, faint: true }] : [];
  const validated = metrics.some(({ valTop1Error }) => valTop1Error !== null);
  const unseen: Series[] = validated ? [{ name: 'validation', colour: 'var(--warm)', points: points((m) => m.valTop1Error) }] : [];
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
      y: 'top-1 error (%)',
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
  return `The training loss changes from ${first.trainLoss.toFixed(2)} to ${last.trainLoss.toFixed(3)} over ${plural(metrics.length, 'epoch')}.`;
}

function errorInWords(metrics: readonly EpochMetrics[]): string {
  const [first, last] = [metrics[0], metrics[metrics.length - 1]];
  if (!first) return 'The top-1 error: no epoch is finished yet.';
  const validation = last.valTop1Error === null ? '' : `; the last validation error is ${percent(last.valTop1Error)}`;
  return `The training error changes from ${percent(first.trainTop1Error)} to ${percent(last.trainTop1Error)}${validation}.`;
}
