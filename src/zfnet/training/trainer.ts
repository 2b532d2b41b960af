/** The training loop of a run, around the steps of `nn/training`. */
import { DataError } from '../../data/errors.js';
import { epochOrder } from '../../data/loader.js';
import { type Batch, readBatches } from '../../data/read_batches.js';
import type { HostTensor } from '../../formats/safetensors.js';
import { defaultLag, Stepper } from '../../nn/training/stepper.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import { OutOfMemoryError } from '../../tensor/index.js';
import type { EpochMetrics } from '../run/metrics.js';
import type { RunConfig } from '../run/run_config.js';
import type { RunStore } from '../run/run_store.js';
import { Checkpoints } from './checkpoints.js';
import { finishEpoch } from './epoch_end.js';
import { failLost, failMemory, failNonFinite } from './failures.js';
import { trainingParts, trainingSource } from './inputs.js';
import { makeLoss, type RecipeLoss } from './recipe/loss.js';
import { openSession, type Session } from './session.js';
import type { TrainJob, TrainResult } from './train_job.js';
import { type Progress, restore } from './training_state.js';
import { Watch } from './watching/watch.js';

/** Trains a run from its present position to its end. */
export class Trainer {
  /** Metrics of all epochs, including those before a resume. */
  metrics: EpochMetrics[] = [];
  private readonly session: Session;
  private readonly checkpoints: Checkpoints;
  private readonly watch: Watch;
  private readonly loss: RecipeLoss;
  private readonly stepper: Stepper;

  constructor(job: TrainJob, store: RunStore, config: RunConfig, mean: HostTensor | undefined) {
    this.session = openSession(job, store, config, mean);
    const { backend, optimizer, learning } = this.session;
    const { training, data } = config;
    this.checkpoints = new Checkpoints(this.session);
    this.watch = new Watch(this.session);
    this.loss = makeLoss(training, job.dataset.splits.train.labels, data.classes.length);
    this.stepper = new Stepper({
      model: learning,
      optimizer,
      loss: this.loss.of,
      backend,
      lag: defaultLag(backend),
      clipGradNorm: training.clipGradNorm,
    });
  }

  /** The present learning rate. */
  get lr(): number {
    return this.session.optimizer.lr;
  }

  /** Sets the learning rate by hand. */
  setLr(value: number): void {
    this.session.schedule.setLr(value);
  }

  /** Writes `last.safetensors`. */
  save(): Promise<void> {
    return this.checkpoints.save();
  }

  /** Continues from a checkpoint, which must be one of this run. */
  restore(checkpoint: Parameters<typeof restore>[0]): Progress {
    const { session } = this;
    session.progress = restore(checkpoint, { ...session, model: session.job.model });
    const { epoch, step } = session.progress;
    session.saved = { epoch, step, at: performance.now() };
    return session.progress;
  }

  async run(): Promise<TrainResult> {
    const { session } = this;
    const { training } = session.config;
    let status: TrainResult['status'] = session.job.prepareOnly ? 'prepared' : 'done';
    try {
      while (status !== 'prepared' && session.progress.epoch < training.epochs) {
        const metrics = (await this.trainEpoch()) ? await finishEpoch(session, this.checkpoints, this.watch) : null;
        if (metrics) {
          this.metrics.push(metrics);
          session.job.onEpoch?.(metrics, session.progress.best);
          continue;
        }
        status = 'stopped';
        await this.save();
        break;
      }
    } catch (error) {
      if (error instanceof DataError) failLost(session, error);
      if (error instanceof OutOfMemoryError) failMemory(session, error);
      throw error;
    } finally {
      await this.stepper.abandon();
      session.optimizer.zeroGrad();
      session.optimizer.dispose();
    }
    const { epoch, step, best } = session.progress;
    return { status, epoch, step, metrics: this.metrics, best, config: session.config, preprocess: session.preprocess };
  }

  /** Takes the remaining steps of the current epoch. Returns false if the signal stopped it. */
  private async trainEpoch(): Promise<boolean> {
    const { job, progress, config, learning } = this.session;
    const { seed, batchSize } = config.training;
    const split = job.dataset.splits.train;
    const order = epochOrder(split.length, { seed, epoch: progress.epoch + 1 });
    const reading = { batchSize, from: progress.cursor, ahead: job.readAhead, onBroken: this.watch.onBroken };
    learning.train();
    let before = performance.now();
    let stopped = false;
    for await (const batch of readBatches(trainingSource(this.session), order, reading)) {
      stopped = job.signal?.aborted === true;
      if (stopped) break;
      await this.step(batch);
      await yieldToEvents();
      progress.sums.seconds += (performance.now() - before) / 1000;
      stopped = job.signal?.aborted === true;
      if (stopped) break;
      if (this.checkpoints.isDue()) {
        await this.stepper.flush();
        await this.save();
      }
      before = performance.now();
    }
    await this.stepper.flush();
    return !stopped;
  }

  /** One update by the gradient of the mini-batch's mean loss. The parts of the mini-batch run one after the other. */
  private async step({ examples, cursor }: Batch): Promise<void> {
    const { session } = this;
    const { progress, schedule } = session;
    if (examples.length === 0) {
      await this.stepper.flush();
      progress.cursor = cursor;
      return;
    }
    const { lr } = session.optimizer;
    const weight = this.loss.weightOf(examples);
    await this.stepper.take({
      parts: trainingParts(session, examples, this.loss),
      weight,
      done: (sum) => this.measured(sum as number, { weight, count: examples.length, cursor, lr }),
      onNonFinite: (event) => failNonFinite(session, event),
    });
    schedule.afterStep();
  }

  /** Counts a step whose loss is known. */
  private measured(lossSum: number, step: { weight: number; count: number; cursor: number; lr: number }): void {
    const { progress, job, config } = this.session;
    const { weight, count, cursor, lr } = step;
    const loss = lossSum / weight;
    progress.sums.loss += weight === count ? lossSum : loss * count;
    progress.sums.examples += count;
    progress.step++;
    progress.cursor = cursor;
    this.watch.loss(loss, lr);
    const total = job.dataset.splits.train.length;
    job.onStep?.({ epoch: progress.epoch + 1, epochs: config.training.epochs, step: progress.step, done: cursor, total, loss, lr });
  }
}
