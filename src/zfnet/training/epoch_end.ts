/** The end of an epoch: validation, the schedule, the line of metrics and the checkpoints. */
import type { Split } from '../../data/dataset.js';
import { type Evaluation, evaluate } from '../evaluation/evaluate.js';
import type { EpochMetrics } from '../run/metrics.js';
import type { Checkpoints } from './checkpoints.js';
import { calmer, fail } from './failures.js';
import { rowsOf, type Session } from './session.js';
import { noSums } from './training_state.js';
import type { Watch } from './watching/watch.js';

/** Returns the metrics of the epoch, or null if the signal stopped validation, which is then repeated on resume. */
export async function finishEpoch(session: Session, checkpoints: Checkpoints, watch: Watch): Promise<EpochMetrics | null> {
  const { progress, optimizer, schedule, frozen } = session;
  const { val } = session.job.dataset.splits;
  const validation = val && val.length > 0 ? await validate(session, val, watch) : null;
  if (validation === 'stopped') return null;
  if (validation && !Number.isFinite(validation.loss)) fail(session, 'the validation loss is NaN or infinite', { advice: calmer(session) });
  // Frozen filters do not change, so they are not checked.
  if (!frozen) await watch.filters();
  const metrics = metricsOf(session, optimizer.lr, validation);
  schedule.step(metrics.valTop1Error ?? metrics.trainLoss);
  const top1Error = metrics.valTop1Error ?? metrics.trainTop1Error;
  const isBest = !progress.best || top1Error < progress.best.top1Error;
  session.progress = {
    epoch: metrics.epoch,
    step: progress.step,
    cursor: 0,
    sums: noSums(),
    best: isBest ? { epoch: metrics.epoch, top1Error } : progress.best,
  };
  await checkpoints.saveEpoch(metrics, isBest);
  return metrics;
}

function metricsOf({ progress, backend }: Session, lr: number, validation: Evaluation | null): EpochMetrics {
  const { loss, errors, examples, seconds } = progress.sums;
  return {
    epoch: progress.epoch + 1,
    step: progress.step,
    lr,
    trainLoss: loss / Math.max(examples, 1),
    trainTop1Error: errors / Math.max(examples, 1),
    valTop1Error: validation?.top1Error ?? null,
    valTop5Error: validation?.top5Error ?? null,
    imagesPerSecond: seconds > 0 ? Number((examples / seconds).toFixed(1)) : 0,
    peakBytes: backend.memory().peakBytes,
  };
}

async function validate(session: Session, split: Split, watch: Watch): Promise<Evaluation | 'stopped'> {
  const { job, preprocess, frozen, config, learning } = session;
  try {
    return await evaluate({ model: learning, preprocess, classes: config.data.classes }, frozen?.skim(split) ?? split, {
      ...(frozen && { inputs: (examples) => frozen.outputs(split, examples) }),
      batchSize: rowsOf(session),
      readAhead: job.readAhead,
      signal: job.signal,
      onBroken: watch.onBroken,
      onProgress: (done, total) => job.onProgress?.('validation', done, total),
    });
  } catch (error) {
    if (job.signal?.aborted) return 'stopped';
    throw error;
  }
}
