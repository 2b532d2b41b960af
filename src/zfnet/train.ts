/**
 * The paper's training (section 3.1): mini-batches, SGD with momentum, filters held to a size, the rate lowered when the
 * validation error stops falling. Every epoch leaves a line in `metrics.jsonl` and a checkpoint.
 *
 * What a run computes depends on its configuration alone. It may be stopped anywhere, even killed, and goes on from its last
 * checkpoint to the same bits.
 */
import type { Dataset, Split } from '../data/dataset.js';
import type { DataError } from '../data/errors.js';
import { epochOrder } from '../data/loader.js';
import { decodeCheckpoint, encodeCheckpoint } from '../formats/checkpoint.js';
import type { HostTensor } from '../formats/safetensors.js';
import { countErrors, type InitScheme, SGD, StateError } from '../nn/index.js';
import { crossEntropy, fromHost, getRandomState, manualSeed, NonFiniteError, RangeOfValueError, type Tensor } from '../tensor/index.js';
import { mirrors } from './augment.js';
import { deadFilters, findNonFinite, TrainingError } from './diagnosis.js';
import { checkLabels, type Evaluation, evaluate } from './evaluate.js';
import { type EpochMetrics, truncateMetrics } from './metrics.js';
import { defaultInit, type ZfNet } from './model.js';
import { meanImage, Preprocess, scaleFor, sideFor } from './preprocess.js';
import { type Batch, readBatches, yieldToEvents } from './read_batches.js';
import {
  type Change,
  checkSameRecipe,
  checkSameRun,
  type DataOptions,
  type EngineRecord,
  type RunConfig,
  readConfig,
  recordOf,
  writeConfig,
} from './run_config.js';
import { MemoryStore, PATHS, type RunStore } from './run_store.js';
import { makeSchedule, type Schedule } from './schedule.js';
import { type TrainingOptions, trainingOptions } from './training_options.js';
import { type Best, capture, firstNonFinite, freshProgress, noSums, type Progress, restore } from './training_state.js';

/** Where training is, after each step. */
export interface StepReport {
  /** From 1. */
  epoch: number;
  epochs: number;
  /** Steps done since the start of training. */
  step: number;
  /** Examples of this epoch that are done, and all of them. */
  done: number;
  total: number;
  loss: number;
  lr: number;
}

/** What training tells while it works. */
export interface TrainingListener {
  onStep?: (report: StepReport) => void;
  /** Behind each epoch, when its files are written. */
  onEpoch?: (metrics: EpochMetrics, best: Best | null) => void;
  /** The two long stretches without steps. */
  onProgress?: (phase: 'mean' | 'validation', done: number, total: number) => void;
  /** Once, when the first step is about to begin or to follow. */
  onStart?: (config: RunConfig, resumedAt: Readonly<Progress> | null) => void;
  onWarning?: (message: string) => void;
}

export interface TrainJob extends TrainingListener {
  /** With its initial weights. On `resume` they are overwritten. */
  model: ZfNet;
  /** Opened with `imageSize: sideFor(inputSize)`. Its split `train` is learnt from, `val` measured on. */
  dataset: Dataset;
  /** What opened the data set, for the record: seed, sizes, share of validation. */
  dataOptions?: DataOptions;
  /** Where the run's files go. Default: memory. */
  store?: RunStore;
  /** The recipe; what is left out is the paper's. On `resume`, the run's own. */
  options?: Partial<TrainingOptions>;
  /** How the model was initialised, for the record. Default: what `zfnet` does by itself. */
  init?: InitScheme;
  /** What pixels are multiplied by. Default: `scaleFor(init)`. */
  scale?: number;
  /** Examples that the mean image is computed from, evenly spread. Default: all of the training set. */
  meanExamples?: number;
  /** Go on with the run in `store` where it stopped. Of `options`, `epochs` and `lr` may then differ from before. Default false. */
  resume?: boolean;
  /** Stops after the step under way and leaves a checkpoint. */
  signal?: AbortSignal;
  /** A checkpoint within the epoch every so many minutes (default 5), and every so many steps (default: never). */
  checkpointMinutes?: number;
  checkpointSteps?: number;
  /** Batches read ahead of the engine. Default 2. */
  readAhead?: number;
}

export interface TrainResult {
  /** `stopped`: by the signal. */
  status: 'done' | 'stopped';
  /** Epochs and steps done in all. */
  epoch: number;
  step: number;
  /** Of all epochs, those before a resume included. */
  metrics: EpochMetrics[];
  best: Best | null;
  config: RunConfig;
  preprocess: Preprocess;
}

/**
 * Trains a network.
 *
 * @throws TrainingError when the loss becomes NaN or infinite: names the operation; the checkpoints are from before
 * @throws StateError when a run is resumed with another network or other data, or a store holds a run and `resume` is off
 * @throws FormatError when the checkpoint to go on from is damaged
 */
export async function train(job: TrainJob): Promise<TrainResult> {
  const store = job.store ?? new MemoryStore();
  const { dataset } = job;
  const split = dataset.splits.train;
  if (!split || split.length === 0) throw new RangeOfValueError(`train: ${dataset.name} has no training examples`);
  checkChannels(job);
  for (const each of [split, dataset.splits.val]) if (each) checkLabels(each.labels, dataset.classes);
  warnAboutClasses(job, split);
  const recorded = await readConfig(store);
  if (recorded && !job.resume) throw new StateError('train: the store holds a run already; resume it, or take another place');
  if (!recorded && job.resume) throw new StateError(`train: there is no run to resume: ${PATHS.config} is missing`);
  const trainer = recorded ? await resumed(job, store, recorded) : await begun(job, store);
  return trainer.run();
}

/** A run from the start: its configuration, its mean image, and a checkpoint of step 0 to go back to. */
async function begun(job: TrainJob, store: RunStore): Promise<Trainer> {
  const { architecture } = job.model;
  const init = job.init ?? defaultInit(architecture);
  const training = trainingOptions(job.options);
  const config: RunConfig = {
    architecture,
    init,
    data: recordOf(job.dataset, job.dataOptions),
    preprocess: {
      inputSize: architecture.inputSize,
      side: sideFor(architecture.inputSize),
      channels: job.dataset.channels,
      scale: job.scale ?? scaleFor(init),
      mirror: mirrors(training.augment),
    },
    training,
    engine: engineRecord(job.model),
    changes: [],
  };
  return fromStart(job, store, config);
}

async function fromStart(job: TrainJob, store: RunStore, config: RunConfig): Promise<Trainer> {
  await writeConfig(store, config);
  manualSeed(config.training.seed);
  const { side, channels } = config.preprocess;
  const mean = await meanImage(job.dataset.splits.train, side, channels, {
    examples: job.meanExamples,
    onProgress: (done, total) => job.onProgress?.('mean', done, total),
    onBroken: (error) => job.onWarning?.(error.message),
    signal: job.signal,
  });
  const trainer = new Trainer(job, store, config, mean);
  await trainer.save();
  job.onStart?.(config, null);
  return trainer;
}

/** A run that goes on: the same network on the same data, from its last checkpoint. */
async function resumed(job: TrainJob, store: RunStore, recorded: RunConfig): Promise<Trainer> {
  const { model, dataset, options = {} } = job;
  checkSameRun(recorded, {
    architecture: model.architecture,
    data: recordOf(dataset),
    preprocess: { ...recorded.preprocess, inputSize: model.architecture.inputSize, channels: dataset.channels },
  });
  const engine = engineRecord(model);
  if (engine.backend !== recorded.engine.backend || engine.mode !== recorded.engine.mode)
    job.onWarning?.(
      `this run began on ${recorded.engine.backend} in mode ${recorded.engine.mode} and goes on on ${engine.backend} in mode ${engine.mode}: other bits than without the stop`,
    );
  checkSameRecipe(recorded.training, options);
  const training = trainingOptions({ ...recorded.training, epochs: options.epochs ?? recorded.training.epochs });
  const bytes = await store.read(PATHS.last);
  // Stopped before the first checkpoint was whole: nothing is lost by beginning anew.
  if (!bytes) return fromStart(job, store, { ...recorded, training });
  const checkpoint = decodeCheckpoint(bytes, PATHS.last);
  const config: RunConfig = { ...recorded, training };
  const trainer = new Trainer(job, store, config, checkpoint.mean);
  const progress = trainer.restore(checkpoint);
  const changes: Change[] = [];
  const note = (option: string, from: unknown, to: unknown) => {
    if (from !== to) changes.push({ epoch: progress.epoch, option, from, to });
  };
  note('epochs', recorded.training.epochs, training.epochs);
  // The rate that was asked for last is no news: a schedule may have lowered it since.
  const asked = recorded.changes.findLast(({ option }) => option === 'lr')?.to ?? recorded.training.lr;
  if (options.lr !== undefined && options.lr !== asked) {
    note('lr', trainer.lr, trainingOptions({ lr: options.lr }).lr);
    trainer.setLr(options.lr);
  }
  if (changes.length > 0) {
    config.changes = [...recorded.changes, ...changes];
    await writeConfig(store, config);
  }
  trainer.metrics = await truncateMetrics(store, progress.epoch);
  job.onStart?.(config, progress);
  return trainer;
}

/** The loop, and the state that it keeps. */
class Trainer {
  metrics: EpochMetrics[] = [];
  private readonly optimizer: SGD;
  private readonly schedule: Schedule;
  private readonly preprocess: Preprocess;
  private progress: Progress = freshProgress();
  private saved: { epoch: number; step: number; at: number } | null = null;
  private dead = 0;
  private readonly broken = new Set<string>();

  constructor(
    private readonly job: TrainJob,
    private readonly store: RunStore,
    private readonly config: RunConfig,
    mean: HostTensor | undefined,
  ) {
    const { lr, momentum, weightDecay, maxFilterRms, schedule, epochs } = config.training;
    this.optimizer = new SGD(job.model.parameters(), { lr, momentum, weightDecay, maxFilterRms: maxFilterRms ?? undefined });
    this.schedule = makeSchedule(this.optimizer, schedule, epochs);
    this.preprocess = new Preprocess(config.preprocess, mean);
  }

  get lr(): number {
    return this.optimizer.lr;
  }

  setLr(value: number): void {
    this.schedule.setLr(value);
  }

  restore(checkpoint: Parameters<typeof restore>[0]): Progress {
    const { optimizer, schedule } = this;
    this.progress = restore(checkpoint, { model: this.job.model, optimizer, schedule }, PATHS.last);
    this.saved = { epoch: this.progress.epoch, step: this.progress.step, at: performance.now() };
    return this.progress;
  }

  async run(): Promise<TrainResult> {
    const { training } = this.config;
    let status: TrainResult['status'] = 'done';
    try {
      while (this.progress.epoch < training.epochs) {
        if ((await this.trainEpoch()) && (await this.finishEpoch())) continue;
        status = 'stopped';
        await this.save();
        break;
      }
    } finally {
      this.optimizer.zeroGrad();
      this.optimizer.dispose();
    }
    const { epoch, step, best } = this.progress;
    return { status, epoch, step, metrics: this.metrics, best, config: this.config, preprocess: this.preprocess };
  }

  /** The steps that the epoch under way still lacks. False when the signal stopped it. */
  private async trainEpoch(): Promise<boolean> {
    const { job, progress } = this;
    const { seed, batchSize } = this.config.training;
    const split = job.dataset.splits.train;
    const order = epochOrder(split.length, { seed, epoch: progress.epoch + 1 });
    const reading = { batchSize, from: progress.cursor, ahead: job.readAhead, onBroken: this.onBroken };
    job.model.train();
    let before = performance.now();
    for await (const batch of readBatches(split, order, reading)) {
      if (job.signal?.aborted) return false;
      if (batch.examples.length > 0) await this.step(batch);
      progress.cursor = batch.cursor;
      await yieldToEvents();
      progress.sums.seconds += (performance.now() - before) / 1000;
      if (job.signal?.aborted) return false;
      if (this.checkpointIsDue()) await this.save();
      before = performance.now();
    }
    return true;
  }

  private async step({ examples, cursor }: Batch): Promise<void> {
    const { job, config, progress, optimizer } = this;
    const { seed, augment, epochs } = config.training;
    const { inputSize, channels } = config.preprocess;
    const data = this.preprocess.training(examples, { augment, seed, epoch: progress.epoch + 1 });
    const images = fromHost(data, [examples.length, channels, inputSize, inputSize]);
    const labels = fromHost(
      Int32Array.from(examples, ({ label }) => label),
      [examples.length],
    );
    const random = getRandomState();
    try {
      const { loss, errors } = await this.learn(images, labels, random);
      progress.sums.loss += loss * examples.length;
      progress.sums.errors += errors;
      progress.sums.examples += examples.length;
      progress.step++;
      job.onStep?.({
        epoch: progress.epoch + 1,
        epochs,
        step: progress.step,
        done: cursor,
        total: job.dataset.splits.train.length,
        loss,
        lr: optimizer.lr,
      });
    } finally {
      images.dispose();
      labels.dispose();
    }
  }

  /** Forward, backward, update. The update happens only if the loss is a number. */
  private async learn(
    images: Tensor,
    labels: Tensor,
    random: ReturnType<typeof getRandomState>,
  ): Promise<{ loss: number; errors: number }> {
    const { model } = this.job;
    let logits: Tensor;
    let loss: Tensor;
    try {
      logits = model.forward(images);
      loss = crossEntropy(logits, labels);
    } catch (error) {
      if (error instanceof NonFiniteError) this.failNonFinite(images, labels, random, error);
      throw error;
    }
    const values = await logits.data();
    const value = await loss.item();
    if (!Number.isFinite(value)) this.failNonFinite(images, labels, random);
    loss.backward();
    this.optimizer.step();
    this.optimizer.zeroGrad();
    logits.dispose();
    loss.dispose();
    return { loss: value, errors: countErrors(values, labels.dataSync(), logits.shape[1], 1) };
  }

  private failNonFinite(images: Tensor, labels: Tensor, random: ReturnType<typeof getRandomState>, cause?: unknown): never {
    const culprit = findNonFinite(this.job.model, images, labels, random);
    this.fail(`the loss became NaN or infinite: ${culprit.text}`, culprit, cause);
  }

  private fail(what: string, culprit: { layer?: string; op?: string }, cause?: unknown): never {
    const { progress, saved, optimizer } = this;
    const at = { epoch: progress.epoch + 1, step: progress.step + 1 };
    const batch = Math.floor(progress.cursor / this.config.training.batchSize) + 1;
    const kept = saved ? ` ${PATHS.last} is whole: it holds step ${saved.step}, after ${epochs(saved.epoch)}.` : '';
    throw new TrainingError(
      `train: epoch ${at.epoch}, batch ${batch} (step ${at.step}): ${what}.${kept} Try a lower learning rate (it is ${optimizer.lr}), a limit on the filters' size, or look at the images`,
      at,
      culprit,
      cause,
    );
  }

  /** Validation, the line in the metrics, the checkpoints. False when the signal stopped it; it is then done again on resume. */
  private async finishEpoch(): Promise<boolean> {
    const { job, progress, optimizer, store } = this;
    const val = job.dataset.splits.val;
    const validation = val && val.length > 0 ? await this.validate(val) : null;
    if (validation === 'stopped') return false;
    if (validation && !Number.isFinite(validation.loss)) this.fail('the validation loss is NaN or infinite', {});
    this.warnAboutDeadFilters(await this.someImages());

    const { loss, errors, examples, seconds } = progress.sums;
    const metrics: EpochMetrics = {
      epoch: progress.epoch + 1,
      step: progress.step,
      lr: optimizer.lr,
      trainLoss: loss / Math.max(examples, 1),
      trainTop1Error: errors / Math.max(examples, 1),
      valTop1Error: validation?.top1Error ?? null,
      valTop5Error: validation?.top5Error ?? null,
      imagesPerSecond: seconds > 0 ? Number((examples / seconds).toFixed(1)) : 0,
    };
    this.schedule.step(metrics.valTop1Error ?? metrics.trainLoss);
    const top1Error = metrics.valTop1Error ?? metrics.trainTop1Error;
    const better = !progress.best || top1Error < progress.best.top1Error;
    this.progress = {
      epoch: metrics.epoch,
      step: progress.step,
      cursor: 0,
      sums: noSums(),
      best: better ? { epoch: metrics.epoch, top1Error } : progress.best,
    };
    // The line comes first: a resume drops lines beyond its checkpoint, but could not write one that is missing.
    const bytes = this.checkpoint();
    await store.append(PATHS.metrics, JSON.stringify(metrics));
    await store.write(PATHS.epoch(metrics.epoch), bytes);
    if (better) await store.write(PATHS.best, bytes);
    await this.save(bytes);
    this.metrics.push(metrics);
    job.onEpoch?.(metrics, this.progress.best);
    return true;
  }

  private async validate(split: Split): Promise<Evaluation | 'stopped'> {
    const { job, preprocess } = this;
    try {
      return await evaluate({ model: job.model, preprocess, classes: this.config.data.classes }, split, {
        batchSize: this.config.training.batchSize,
        readAhead: job.readAhead,
        signal: job.signal,
        onBroken: this.onBroken,
        onProgress: (done, total) => job.onProgress?.('validation', done, total),
      });
    } catch (error) {
      if (job.signal?.aborted) return 'stopped';
      throw error;
    }
  }

  /** Writes `last.safetensors`. */
  async save(bytes = this.checkpoint()): Promise<void> {
    await this.store.write(PATHS.last, bytes);
    this.saved = { epoch: this.progress.epoch, step: this.progress.step, at: performance.now() };
  }

  private checkpoint(): Uint8Array {
    const { config, optimizer, schedule, preprocess, progress } = this;
    const captured = capture({ config, model: this.job.model, optimizer, schedule, preprocess, progress });
    // The numbers of the step just taken have met no loss yet.
    const bad = firstNonFinite(captured.weights);
    if (bad) this.fail(`${bad} became NaN or infinite (op sgd)`, { layer: bad.split('.')[0], op: 'sgd' });
    return encodeCheckpoint(captured);
  }

  private checkpointIsDue(): boolean {
    const { checkpointMinutes = 5, checkpointSteps = Number.POSITIVE_INFINITY } = this.job;
    const { saved, progress } = this;
    if (!saved) return true;
    return progress.step - saved.step >= checkpointSteps || performance.now() - saved.at >= checkpointMinutes * 60_000;
  }

  /** A few images as the network sees them, to look at its responses. */
  private async someImages(): Promise<Tensor> {
    const { splits } = this.job.dataset;
    const split = splits.val && splits.val.length > 0 ? splits.val : splits.train;
    const order = Array.from({ length: Math.min(64, split.length) }, (_, i) => Math.floor((i * split.length) / Math.min(64, split.length)));
    const { inputSize, channels } = this.config.preprocess;
    for await (const { examples } of readBatches(split, order, { batchSize: order.length, onBroken: this.onBroken })) {
      const images = examples.map(({ image }) => image);
      return fromHost(this.preprocess.evaluation(images), [images.length, channels, inputSize, inputSize]);
    }
    throw new RangeOfValueError(`train: ${this.job.dataset.name} has no images to look at`);
  }

  private warnAboutDeadFilters(images: Tensor): void {
    const { layer, maps, of } = deadFilters(this.job.model, images);
    images.dispose();
    if (maps.length > this.dead)
      this.job.onWarning?.(
        `${layer}: ${maps.length} of ${of} filters respond to none of ${images.shape[0]} images (${maps.slice(0, 8).join(', ')}${maps.length > 8 ? ', …' : ''}); a lower learning rate may keep them alive`,
      );
    this.dead = maps.length;
  }

  private readonly onBroken = (error: DataError): void => {
    if (this.broken.has(error.message)) return;
    this.broken.add(error.message);
    this.job.onWarning?.(`left out: ${error.message}`);
  };
}

const epochs = (count: number): string => `${count} epoch${count === 1 ? '' : 's'}`;

/** The parameters tell where the network runs. */
function engineRecord(model: ZfNet): EngineRecord {
  const { backend, mode } = model.parameters()[0].backend.info();
  return { backend, mode };
}

function checkChannels({ model, dataset }: TrainJob): void {
  const { channels, classes } = model.architecture;
  if (channels !== dataset.channels)
    throw new StateError(`train: the network takes ${channels} channels, the images of ${dataset.name} have ${dataset.channels}`);
  if (classes !== dataset.classes.length)
    throw new StateError(`train: the network has ${classes} classes, ${dataset.name} has ${dataset.classes.length}`);
}

function warnAboutClasses({ dataset, onWarning }: TrainJob, split: Split): void {
  const counts = new Int32Array(dataset.classes.length);
  for (const label of split.labels) counts[label]++;
  const missing = dataset.classes.filter((_, label) => counts[label] === 0);
  if (missing.length > 0)
    onWarning?.(
      `no training examples of ${missing.length === 1 ? 'class' : `${missing.length} classes:`} ${missing.slice(0, 8).join(', ')}${missing.length > 8 ? ', …' : ''}`,
    );
  if (dataset.classes.length === 1) onWarning?.(`there is one class alone, ${dataset.classes[0]}: every answer will be right`);
}
