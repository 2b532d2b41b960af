/**
 * Training as in the paper (section 3.1): mini-batches, SGD with momentum, a limit on the root mean square of each filter, and a learning
 * rate that is lowered when the validation error stops falling. Every epoch appends a line to `metrics.jsonl` and writes a checkpoint.
 *
 * The result of a run depends only on its configuration. A run may be stopped or killed at any time and resumes from its last checkpoint
 * to the same bits.
 */

import {
  abortSignal,
  boolean,
  checkFields,
  finite,
  func,
  instanceOf,
  integer,
  isPlainObject,
  numeric,
  objectWith,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import type { Dataset, Example, Split } from '../../data/dataset.js';
import { DataError } from '../../data/errors.js';
import { epochOrder } from '../../data/loader.js';
import { type Batch, readBatches } from '../../data/read_batches.js';
import { dataset as datasetRule, split as splitRule } from '../../data/rules.js';
import { samplePlaces } from '../../data/subset.js';
import { encodeCheckpoint } from '../../formats/checkpoint.js';
import type { HostTensor } from '../../formats/safetensors.js';
import { countErrors, type InitScheme, type Network, SGD, StateError } from '../../nn/index.js';
import { yieldToEvents } from '../../nn/yield_to_events.js';
import {
  crossEntropy,
  fromHost,
  getRandomState,
  manualSeed,
  NonFiniteError,
  OutOfMemoryError,
  type Tensor,
  ValueError,
} from '../../tensor/index.js';
import { checkLabels, type Evaluation, evaluate } from '../evaluation/evaluate.js';
import { mirrors } from '../input/augment.js';
import { meanImage } from '../input/mean_image.js';
import { Preprocess, scaleFor, sideFor } from '../input/preprocess.js';
import { defaultInit, ZfNet } from '../model/model.js';
import { initScheme, preprocessing, runStore } from '../rules.js';
import { type EpochMetrics, truncateMetrics } from '../run/metrics.js';
import { findResumePoint } from '../run/resume_point.js';
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
} from '../run/run_config.js';
import { MemoryStore, PATHS, type RunStore } from '../run/run_store.js';
import { type Culprit, deadFilters, dominatingFilters, findNonFinite, LossWatch, TrainingError } from './diagnosis.js';
import { FrozenLayers, lastFrozenLayer } from './frozen_layers.js';
import { makeSchedule, type Schedule } from './schedule.js';
import { type TrainingOptions, trainingOptions } from './training_options.js';
import { type Best, capture, firstNonFinite, freshProgress, noSums, type Progress, restore } from './training_state.js';
import { checkResumable } from './training_state_check.js';

/** Progress of training after a step. */
export interface StepReport {
  /** Current epoch, from 1. */
  epoch: number;
  /** Number of epochs of the run. */
  epochs: number;
  /** Number of steps since the start of training. */
  step: number;
  /** Number of examples of this epoch that are done, and their total. */
  done: number;
  total: number;
  /** Mean loss of the mini-batch. */
  loss: number;
  lr: number;
}

/** Callbacks of training. */
export interface TrainingListener {
  onStep?: (report: StepReport) => void;
  /** Called after each epoch, when its files are written. */
  onEpoch?: (metrics: EpochMetrics, best: Best | null) => void;
  /** Called during the two long phases without steps: computing the mean image, and validation. */
  onProgress?: (phase: 'mean' | 'validation', done: number, total: number) => void;
  /** Called once before the first step; `resumedAt` is the position of a resumed run. */
  onStart?: (config: RunConfig, resumedAt: Readonly<Progress> | null) => void;
  onWarning?: (message: string) => void;
}

/** Arguments of `train`. */
export interface TrainJob extends TrainingListener {
  /** The network with its initial weights. On `resume`, the weights are overwritten. */
  model: ZfNet;
  /** Data set, opened with `imageSize: sideFor(inputSize)`. Split `train` is for training, `val`, if present, for validation. */
  dataset: Dataset;
  /** Options with which the data set was opened, to record them in `config.json`. */
  dataOptions?: DataOptions;
  /** Store for the files of the run. Default: in memory. */
  store?: RunStore;
  /** Training options; defaults are those of the paper. On `resume`, the recorded options apply. */
  options?: Partial<TrainingOptions>;
  /** Scheme with which the model was initialised, to record it in `config.json`. Default: the default of `zfnet`. */
  init?: InitScheme;
  /** Factor by which pixels are multiplied. Default: `scaleFor(init)`. */
  scale?: number;
  /** Number of examples that the mean image is computed from, sampled at random. Default: all of them. */
  meanExamples?: number;
  /** Split that the mean image is computed from, if not `train`, for example because `train` repeats images. */
  meanSplit?: Split;
  /** The run whose weights the model has received by `startFrom`, and its preprocessing, which is used here too. */
  from?: { run: string; preprocess: Preprocess };
  /**
   * Frozen layers, a range from the first layer on: `conv1-fc7`, or `fc7` for short. If `augment` is `none`, their outputs are computed
   * once per image, otherwise in every epoch. On `resume`, the recorded value applies.
   */
  freeze?: string;
  /** Size in bytes of the cache for the outputs of frozen layers. Default 1 GiB. */
  keepBytes?: number;
  /** Whether to resume the run in `store`. Only the options `epochs` and `lr` may then differ from the recorded ones. Default false. */
  resume?: boolean;
  /** Whether to write only the configuration, the mean image and the initial weights, to train the run elsewhere. Default false. */
  prepareOnly?: boolean;
  /** Stops training after the current step and writes a checkpoint. */
  signal?: AbortSignal;
  /** Minutes between checkpoints within an epoch (default 5). */
  checkpointMinutes?: number;
  /** Steps between checkpoints within an epoch (default: no limit). */
  checkpointSteps?: number;
  /** Number of batches to read ahead. Default 2. */
  readAhead?: number;
  /**
   * Decides whether an image that cannot be read counts as lost, for example because its file was removed. A lost image ends training,
   * because the data differ from those at the start. Other unreadable images are skipped with a warning. Default: no image counts as lost.
   */
  isLost?: (error: DataError) => boolean;
}

const anObject = rule('an object', isPlainObject);

const JOB: RulesFor<TrainJob> = {
  model: rule('a ZfNet; zfnet(preset, options) makes one', instanceOf(ZfNet).test),
  dataset: datasetRule,
  dataOptions: anObject,
  store: runStore,
  options: anObject,
  init: initScheme,
  scale: finite(),
  meanExamples: integer(1),
  meanSplit: splitRule,
  from: objectWith('an object { run, preprocess }', { run: text, preprocess: preprocessing }),
  freeze: text,
  keepBytes: numeric,
  resume: boolean,
  prepareOnly: boolean,
  signal: abortSignal,
  checkpointMinutes: numeric,
  checkpointSteps: integer(1),
  readAhead: integer(),
  isLost: func,
  onStep: func,
  onEpoch: func,
  onProgress: func,
  onStart: func,
  onWarning: func,
};

/** Result of `train`. */
export interface TrainResult {
  /** `stopped` by the signal, or `prepared` with the option `prepareOnly`. */
  status: 'done' | 'stopped' | 'prepared';
  /** Number of epochs and steps since the start of training. */
  epoch: number;
  step: number;
  /** Metrics of all epochs, including those before a resume. */
  metrics: EpochMetrics[];
  best: Best | null;
  config: RunConfig;
  preprocess: Preprocess;
}

/**
 * Trains a network, or resumes its training. The model has the trained weights afterwards.
 *
 * ```ts
 * const { best } = await train({ model, dataset, store, options: { epochs: 10 }, onEpoch: console.log });
 * ```
 *
 * @throws TrainingError if training cannot continue: the loss became NaN or infinite (the message names the operation), an image is lost,
 *   memory does not suffice, or the store cannot write a file. The last checkpoint is intact and from before the failure
 * @throws StateError if a run is resumed with another network or other data, or if the store contains a run and `resume` is false
 * @throws FormatError if the checkpoint to resume from is damaged
 */
export async function train(job: TrainJob): Promise<TrainResult> {
  checkFields('train', job, JOB, ['model', 'dataset']);
  trainingOptions(job.options);
  const store = job.store ?? new MemoryStore();
  const { dataset } = job;
  const split = dataset.splits.train;
  if (!split || split.length === 0) throw new ValueError(`train: ${dataset.name} has no training examples`);
  checkChannels(job);
  for (const each of [split, dataset.splits.val]) if (each) checkLabels(each.labels, dataset.classes);
  warnAboutClasses(job, split);
  const recorded = await readConfig(store);
  if (recorded && !job.resume) throw new StateError('train: the store contains a run already; resume it, or use another store');
  if (!recorded && job.resume) throw new StateError(`train: there is no run to resume: ${PATHS.config} is missing`);
  const trainer = recorded ? await resumed(job, store, recorded) : await begun(job, store);
  return trainer.run();
}

/** Starts a new run: writes its configuration, computes the mean image and writes a checkpoint of step 0. */
async function begun(job: TrainJob, store: RunStore): Promise<Trainer> {
  const { architecture } = job.model;
  const init = job.init ?? defaultInit(architecture);
  const training = trainingOptions(job.options);
  const { from, freeze } = job;
  const preparation = from?.preprocess.options ?? {
    inputSize: architecture.inputSize,
    side: sideFor(architecture.inputSize),
    channels: job.dataset.channels,
    scale: job.scale ?? scaleFor(init),
  };
  const config: RunConfig = {
    architecture,
    init,
    data: recordOf(job.dataset, job.dataOptions),
    preprocess: { ...preparation, mirror: mirrors(training.augment) },
    ...(from && { from: from.run }),
    ...(freeze !== undefined && { freeze: `${job.model.layerNames()[0]}-${lastFrozenLayer(job.model, freeze)}` }),
    training,
    engine: engineRecord(job.model),
    changes: [],
  };
  return fromStart(job, store, config);
}

async function fromStart(job: TrainJob, store: RunStore, config: RunConfig): Promise<Trainer> {
  await writeConfig(store, config);
  manualSeed(config.training.seed);
  const mean = job.from?.preprocess.meanTensor ?? (await meanOfTraining(job, config));
  const trainer = new Trainer(job, store, config, mean);
  await trainer.save();
  job.onStart?.(config, null);
  return trainer;
}

async function meanOfTraining(job: TrainJob, { preprocess: { side, channels } }: RunConfig): Promise<HostTensor> {
  return await meanImage(job.meanSplit ?? job.dataset.splits.train, side, channels, {
    examples: job.meanExamples,
    onProgress: (done, total) => job.onProgress?.('mean', done, total),
    onBroken: (error) => {
      if (job.isLost?.(error)) throw error;
      job.onWarning?.(error.message);
    },
    signal: job.signal,
  });
}

/** Resumes a run from its last checkpoint, after checking that the network and the data are the same. */
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
      `this run began on ${recorded.engine.backend} in mode ${recorded.engine.mode} and resumes on ${engine.backend} in mode ${engine.mode}: its results differ in rounding from an uninterrupted run`,
    );
  checkSameRecipe(recorded.training, options);
  const training = trainingOptions({ ...recorded.training, epochs: options.epochs ?? recorded.training.epochs });
  const config: RunConfig = { ...recorded, training };
  const found = await findResumePoint(
    store,
    (checkpoint, path) => checkResumable(checkpoint, recorded, dataset.splits.train.length, path),
    (message) => job.onWarning?.(message),
  );
  if (!found) return fromStart(job, store, config);
  const trainer = new Trainer(job, store, config, found.checkpoint.mean);
  const progress = trainer.restore(found.checkpoint);
  const changes: Change[] = [];
  const note = (option: string, from: unknown, to: unknown) => {
    if (from !== to) changes.push({ epoch: progress.epoch, option, from, to });
  };
  note('epochs', recorded.training.epochs, training.epochs);
  // Records a change only if the requested rate differs from the last requested one; the schedule may have lowered the rate since.
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
  if (trainer.metrics.length < progress.epoch)
    job.onWarning?.(
      `${PATHS.metrics} has lines for only ${trainer.metrics.length} of the ${progress.epoch} epochs that are done; the others are lost`,
    );
  job.onStart?.(config, progress);
  return trainer;
}

/** The training loop and its state. */
class Trainer {
  metrics: EpochMetrics[] = [];
  private readonly optimizer: SGD;
  private readonly schedule: Schedule;
  private readonly preprocess: Preprocess;
  private readonly frozen: FrozenLayers | null;
  /** The layers that are trained: the whole network, or those above the frozen layers. */
  private readonly learning: Network;
  private progress: Progress = freshProgress();
  private saved: { epoch: number; step: number; at: number } | null = null;
  /** Number of dead filters at the last check. */
  private dead = 0;
  /** Warnings already shown. */
  private readonly warned = new Set<string>();
  private readonly losses: LossWatch;

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
    this.losses = new LossWatch(config.architecture.classes);
    this.frozen = config.freeze === undefined ? null : this.freeze(config.freeze);
    this.learning = this.frozen?.head ?? job.model;
  }

  private freeze(range: string): FrozenLayers {
    const { model, keepBytes, onWarning } = this.job;
    const { augment } = this.config.training;
    if (augment !== 'none')
      onWarning?.(
        `augment is '${augment}', so the frozen layers run in every epoch; with 'none' they run once per image, and epochs are much faster`,
      );
    const onFull = () =>
      onWarning?.(
        'the outputs of the frozen layers do not all fit into their cache (keepBytes); those of the other images are computed in every epoch',
      );
    return new FrozenLayers(model, range, this.preprocess, { keepBytes, onFull });
  }

  get lr(): number {
    return this.optimizer.lr;
  }

  setLr(value: number): void {
    this.schedule.setLr(value);
  }

  restore(checkpoint: Parameters<typeof restore>[0]): Progress {
    const { optimizer, schedule } = this;
    this.progress = restore(checkpoint, { model: this.job.model, optimizer, schedule });
    this.saved = { epoch: this.progress.epoch, step: this.progress.step, at: performance.now() };
    return this.progress;
  }

  async run(): Promise<TrainResult> {
    const { training } = this.config;
    let status: TrainResult['status'] = this.job.prepareOnly ? 'prepared' : 'done';
    try {
      while (status !== 'prepared' && this.progress.epoch < training.epochs) {
        if ((await this.trainEpoch()) && (await this.finishEpoch())) continue;
        status = 'stopped';
        await this.save();
        break;
      }
    } catch (error) {
      if (error instanceof DataError)
        this.fail(`images are lost: ${error.message}`, {
          cause: error,
          advice: 'Restore them and resume, or start a new run without them; a run resumes only with the data with which it began',
        });
      throw error;
    } finally {
      this.optimizer.zeroGrad();
      this.optimizer.dispose();
    }
    const { epoch, step, best } = this.progress;
    return { status, epoch, step, metrics: this.metrics, best, config: this.config, preprocess: this.preprocess };
  }

  /** Takes the remaining steps of the current epoch. Returns false if the signal stopped it. */
  private async trainEpoch(): Promise<boolean> {
    const { job, progress } = this;
    const { seed, batchSize } = this.config.training;
    const split = job.dataset.splits.train;
    const order = epochOrder(split.length, { seed, epoch: progress.epoch + 1 });
    const reading = { batchSize, from: progress.cursor, ahead: job.readAhead, onBroken: this.onBroken };
    this.learning.train();
    let before = performance.now();
    for await (const batch of readBatches(this.source(split), order, reading)) {
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

  /** One update by the gradient of the mini-batch's mean loss. The parts of the mini-batch run one after the other. */
  private async step({ examples, cursor }: Batch): Promise<void> {
    const { job, config, progress, optimizer } = this;
    const { microBatch, epochs } = config.training;
    const count = examples.length;
    const each = microBatch ?? count;
    let loss = 0;
    for (let start = 0; start < count; start += each) {
      const part = examples.slice(start, start + each);
      const learnt = await this.learn(part, part.length / count);
      loss += learnt.loss * part.length;
      progress.sums.errors += learnt.errors;
    }
    optimizer.step();
    optimizer.zeroGrad();
    progress.sums.loss += loss;
    progress.sums.examples += count;
    progress.step++;
    const exploding = this.losses.see(loss / count);
    if (exploding) this.warnOnce('loss', `epoch ${progress.epoch + 1}, step ${progress.step}: ${exploding} (the rate is ${optimizer.lr})`);
    job.onStep?.({
      epoch: progress.epoch + 1,
      epochs,
      step: progress.step,
      done: cursor,
      total: job.dataset.splits.train.length,
      loss: loss / count,
      lr: optimizer.lr,
    });
  }

  /**
   * Forward and backward pass of a part of the mini-batch. The loss is weighted by `share`, the fraction of the mini-batch in this part, so
   * that the accumulated gradients are those of the mean loss. A non-finite loss throws before the update.
   */
  private async learn(examples: readonly Example[], share: number): Promise<{ loss: number; errors: number }> {
    const inputs = await this.inputs(examples);
    const labels = fromHost(
      Int32Array.from(examples, ({ label }) => label),
      [examples.length],
    );
    const random = getRandomState();
    try {
      const logits = this.learning.forward(inputs);
      const loss = crossEntropy(logits, labels);
      const values = await logits.data();
      const value = await loss.item();
      if (!Number.isFinite(value)) this.failNonFinite(inputs, labels, random);
      const weighted = share === 1 ? loss : loss.mul(share);
      weighted.backward();
      for (const each of [logits, loss, weighted]) each.dispose();
      return { loss: value, errors: countErrors(values, labels.dataSync(), logits.shape[1], 1) };
    } catch (error) {
      if (error instanceof NonFiniteError) this.failNonFinite(inputs, labels, random, error);
      if (error instanceof OutOfMemoryError) this.failMemory(error, examples.length);
      throw error;
    } finally {
      inputs.dispose();
      labels.dispose();
    }
  }

  /** The training split; images whose frozen outputs are cached are not read. */
  private source(split: Split): Split {
    return this.frozen && this.config.training.augment === 'none' ? this.frozen.skim(split) : split;
  }

  /** Input of the layers that are trained: crops, or the outputs of the frozen layers for them. */
  private async inputs(examples: readonly Example[]): Promise<Tensor> {
    const { seed, augment } = this.config.training;
    const { inputSize, channels } = this.config.preprocess;
    const draw = { augment, seed, epoch: this.progress.epoch + 1 };
    if (this.frozen) return await this.frozen.trainingOutputs(this.job.dataset.splits.train, examples, draw);
    return fromHost(this.preprocess.training(examples, draw), [examples.length, channels, inputSize, inputSize]);
  }

  private failNonFinite(inputs: Tensor, labels: Tensor, random: ReturnType<typeof getRandomState>, cause?: unknown): never {
    const culprit = findNonFinite(this.learning, inputs, labels, random);
    this.fail(`the loss became NaN or infinite: ${culprit.text}`, { culprit, cause, advice: this.calmer() });
  }

  private failMemory(cause: OutOfMemoryError, images: number): never {
    const { batchSize } = this.config.training;
    const advice =
      images > 1
        ? `Run fewer images at once: microBatch ${Math.ceil(images / 2)} (--micro-batch) sums the gradients of a mini-batch of ${batchSize} over smaller parts`
        : 'Use a smaller network or smaller images';
    this.fail(cause.message, { cause, advice });
  }

  /** Advice for values that have grown too large. */
  private calmer(): string {
    return `Try a lower learning rate (it is ${this.optimizer.lr}), a limit on the filters' root mean square (maxFilterRms), or check the images`;
  }

  private fail(what: string, { advice, culprit = {}, cause }: { advice: string; culprit?: Omit<Culprit, 'text'>; cause?: unknown }): never {
    const { progress, saved } = this;
    const at = { epoch: progress.epoch + 1, step: progress.step + 1 };
    const batch = Math.floor(progress.cursor / this.config.training.batchSize) + 1;
    const kept = saved ? ` ${PATHS.last} is whole: it holds step ${saved.step}, after ${epochs(saved.epoch)}.` : '';
    throw new TrainingError(
      `train: epoch ${at.epoch}, batch ${batch} (step ${at.step}): ${what}${/[.?!]$/.test(what) ? '' : '.'}${kept} ${advice}`,
      at,
      culprit,
      cause,
    );
  }

  /**
   * Validates, updates the schedule, and writes the line of metrics and the checkpoints. Returns false if the signal stopped validation,
   * which is then repeated on resume.
   */
  private async finishEpoch(): Promise<boolean> {
    const { job, progress, optimizer, store } = this;
    const val = job.dataset.splits.val;
    const validation = val && val.length > 0 ? await this.validate(val) : null;
    if (validation === 'stopped') return false;
    if (validation && !Number.isFinite(validation.loss)) this.fail('the validation loss is NaN or infinite', { advice: this.calmer() });
    // Frozen filters do not change, so they are not checked.
    if (!this.frozen) await this.warnAboutFilters();

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
      peakBytes: this.optimizer.parameters[0].backend.memory().peakBytes,
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
    // The line is written before the checkpoints: a resume drops surplus lines, but could not restore a missing one.
    const bytes = this.checkpoint();
    await this.keep(() => store.append(PATHS.metrics, JSON.stringify(metrics)));
    await this.keep(() => store.write(PATHS.epoch(metrics.epoch), bytes));
    if (better) await this.keep(() => store.write(PATHS.best, bytes));
    await this.save(bytes);
    this.metrics.push(metrics);
    job.onEpoch?.(metrics, this.progress.best);
    return true;
  }

  private async validate(split: Split): Promise<Evaluation | 'stopped'> {
    const { job, preprocess, frozen } = this;
    try {
      return await evaluate({ model: this.learning, preprocess, classes: this.config.data.classes }, frozen?.skim(split) ?? split, {
        ...(frozen && { inputs: (examples) => frozen.outputs(split, examples) }),
        batchSize: this.rows,
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
    await this.keep(() => this.store.write(PATHS.last, bytes));
    this.saved = { epoch: this.progress.epoch, step: this.progress.step, at: performance.now() };
  }

  /** Runs a write. A failure becomes a `TrainingError` that names the last intact checkpoint. */
  private async keep(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.fail(reason, { cause, advice: 'Fix the cause and resume: the steps since then are computed again, to the same bits' });
    }
  }

  private checkpoint(): Uint8Array {
    const { config, optimizer, schedule, preprocess, progress } = this;
    const captured = capture({ config, model: this.job.model, optimizer, schedule, preprocess, progress });
    // The last step may have produced non-finite weights that no loss has revealed yet.
    const bad = firstNonFinite(captured.weights) ?? firstNonFinite(captured.velocities);
    if (bad)
      this.fail(`${bad} became NaN or infinite (op sgd)`, { culprit: { layer: bad.split('.')[0], op: 'sgd' }, advice: this.calmer() });
    return encodeCheckpoint(captured);
  }

  private checkpointIsDue(): boolean {
    const { checkpointMinutes = 5, checkpointSteps = Number.POSITIVE_INFINITY } = this.job;
    const { saved, progress } = this;
    if (!saved) return true;
    return progress.step - saved.step >= checkpointSteps || performance.now() - saved.at >= checkpointMinutes * 60_000;
  }

  /** Images per forward pass. */
  private get rows(): number {
    const { batchSize, microBatch } = this.config.training;
    return microBatch ?? batchSize;
  }

  private async warnAboutFilters(): Promise<void> {
    await this.warnAboutDeadFilters();
    const { maxFilterRms } = this.config.training;
    for (const { layer, maps, of, median, largest } of dominatingFilters(this.job.model)) {
      const remedy =
        maxFilterRms === null
          ? 'limit the root mean square of each filter to 0.1 (maxFilterRms, --max-filter-rms)'
          : `the limit of ${maxFilterRms} is active; a lower one would restrict them further`;
      this.warnOnce(
        `dominating ${layer}`,
        `${layer}: ${maps.length} of ${of} filters (${some(maps)}) dominate: their root mean square reaches ${largest.toPrecision(2)}, that of the others ${median.toPrecision(2)}. The paper's remedy (section 3.1): ${remedy}`,
      );
    }
  }

  /** Warns if more filters than before respond to none of 64 randomly sampled images (validation images if there are any). */
  private async warnAboutDeadFilters(): Promise<void> {
    const { splits } = this.job.dataset;
    const split = splits.val && splits.val.length > 0 ? splits.val : splits.train;
    const order = samplePlaces(split.length, 64);
    const { inputSize, channels } = this.config.preprocess;
    let found: { layer: string; maps: number[]; of: number } | null = null;
    let seen = 0;
    for await (const { examples } of readBatches(split, order, { batchSize: this.rows, onBroken: this.onBroken })) {
      if (examples.length === 0) continue;
      const input = this.preprocess.evaluation(examples.map(({ image }) => image));
      const images = fromHost(input, [examples.length, channels, inputSize, inputSize]);
      const { layer, maps, of } = deadFilters(this.job.model, images);
      images.dispose();
      const silent: readonly number[] = found?.maps ?? maps;
      found = { layer, of, maps: silent.filter((map) => maps.includes(map)) };
      seen += examples.length;
    }
    if (!found) return;
    const { layer, maps, of } = found;
    if (maps.length > this.dead)
      this.job.onWarning?.(
        `${layer}: ${maps.length} of ${of} filters respond to none of ${seen} images (${some(maps)}); a lower learning rate may keep them alive`,
      );
    this.dead = maps.length;
  }

  private warnOnce(what: string, message: string): void {
    if (this.warned.has(what)) return;
    this.warned.add(what);
    this.job.onWarning?.(message);
  }

  private readonly onBroken = (error: DataError): void => {
    if (this.job.isLost?.(error)) throw error;
    this.warnOnce(error.message, `left out: ${error.message}`);
  };
}

const some = (maps: readonly number[]): string => `${maps.slice(0, 8).join(', ')}${maps.length > 8 ? ', …' : ''}`;

const epochs = (count: number): string => `${count} epoch${count === 1 ? '' : 's'}`;

/** Backend and mode of the network, read from its parameters. */
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
  if (dataset.classes.length === 1) onWarning?.(`there is only one class, ${dataset.classes[0]}: every prediction will be correct`);
}
