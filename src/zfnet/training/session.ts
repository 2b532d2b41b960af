/** The objects that the parts of a training run share: network, optimiser, schedule, preprocessing and position. */
import type { HostTensor } from '../../formats/safetensors.js';
import type { Network, Optimizer } from '../../nn/index.js';
import type { Backend } from '../../tensor/index.js';
import type { Augmentation } from '../input/augment.js';
import { Preprocess } from '../input/preprocess.js';
import type { RunConfig } from '../run/run_config.js';
import type { RunStore } from '../run/run_store.js';
import { FrozenLayers } from './frozen_layers.js';
import { makeOptimizer } from './recipe/optimizer.js';
import { makeSchedule, type Schedule } from './recipe/schedule.js';
import type { TrainJob } from './train_job.js';
import { freshProgress, type Progress } from './training_state.js';

/** State of a training run. */
export interface Session {
  readonly job: TrainJob;
  readonly store: RunStore;
  readonly config: RunConfig;
  /** Backend of the network. */
  readonly backend: Backend;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly preprocess: Preprocess;
  readonly frozen: FrozenLayers | null;
  /** The layers that are trained: the whole network, or those above the frozen layers. */
  readonly learning: Network;
  progress: Progress;
  /** Position of the last checkpoint, and when it was written. */
  saved: { epoch: number; step: number; at: number } | null;
}

/** @param mean mean image of the training data, if one is subtracted */
export function openSession(job: TrainJob, store: RunStore, config: RunConfig, mean: HostTensor | undefined): Session {
  const { model, dataset } = job;
  const { training } = config;
  const parameters = model.parameters();
  const optimizer = makeOptimizer(parameters, training);
  const stepsPerEpoch = Math.ceil(dataset.splits.train.length / training.batchSize);
  const preprocess = new Preprocess(config.preprocess, mean);
  const frozen = config.freeze === undefined ? null : freeze(job, config.freeze, preprocess, training.augment);
  return {
    job,
    store,
    config,
    backend: parameters[0].backend,
    optimizer,
    schedule: makeSchedule(optimizer, training.schedule, { epochs: training.epochs, stepsPerEpoch }, training.warmup),
    preprocess,
    frozen,
    learning: frozen?.head ?? model,
    progress: freshProgress(),
    saved: null,
  };
}

function freeze({ model, keepBytes, onWarning }: TrainJob, range: string, preprocess: Preprocess, augment: Augmentation): FrozenLayers {
  if (augment !== 'none')
    onWarning?.(
      `augment is '${augment}', so the frozen layers run in every epoch; with 'none' they run once per image, and epochs are much faster`,
    );
  const onFull = () =>
    onWarning?.(
      'the outputs of the frozen layers do not all fit into their cache (keepBytes); those of the other images are computed in every epoch',
    );
  return new FrozenLayers(model, range, preprocess, { keepBytes, onFull });
}

/** Images per forward pass. */
export const rowsOf = ({ config: { training } }: Session): number => training.microBatch ?? training.batchSize;
