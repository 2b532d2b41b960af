/** Starts a new run, or resumes one from its last checkpoint. */
import type { HostTensor } from '../../formats/safetensors.js';
import { manualSeed } from '../../tensor/index.js';
import { mirrors } from '../input/augment.js';
import { meanImage } from '../input/mean_image.js';
import { scaleFor, sideFor } from '../input/preprocess.js';
import { defaultInit, type ZfNet } from '../model/model.js';
import { truncateMetrics } from '../run/metrics.js';
import { findResumePoint } from '../run/resume_point.js';
import { type Change, checkSameRecipe, checkSameRun, type EngineRecord, type RunConfig, recordOf, writeConfig } from '../run/run_config.js';
import { PATHS, type RunStore } from '../run/run_store.js';
import { lastFrozenLayer } from './frozen_layers.js';
import { trainingOptions } from './recipe/training_options.js';
import type { TrainJob } from './train_job.js';
import { Trainer } from './trainer.js';
import { checkResumable } from './training_state_check.js';

/** Starts a new run: writes its configuration, computes the mean image and writes a checkpoint of step 0. */
export async function begun(job: TrainJob, store: RunStore): Promise<Trainer> {
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
export async function resumed(job: TrainJob, store: RunStore, recorded: RunConfig): Promise<Trainer> {
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

/** Backend and mode of the network, read from its parameters. */
function engineRecord(model: ZfNet): EngineRecord {
  const { backend, mode } = model.parameters()[0].backend.info();
  return { backend, mode };
}
