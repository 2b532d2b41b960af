/** The state of training: everything a checkpoint must contain so that a run resumes to the same bits. */
import { indexOfNonFinite } from '../../backend/validate.js';
import type { Checkpoint } from '../../formats/checkpoint.js';
import type { HostTensor } from '../../formats/safetensors.js';
import type { InitScheme, SGD } from '../../nn/index.js';
import { getRandomState, setRandomState } from '../../tensor/index.js';
import type { Preprocess } from '../input/preprocess.js';
import type { ZfNet } from '../model/model.js';
import type { RunConfig } from '../run/run_config.js';
import type { Schedule } from './schedule.js';
import type { TrainingOptions } from './training_options.js';

/** Sums over the examples of the current epoch. */
export interface RunningSums {
  loss: number;
  errors: number;
  examples: number;
  seconds: number;
}

export const noSums = (): RunningSums => ({ loss: 0, errors: 0, examples: 0, seconds: 0 });

/** The epoch with the lowest error so far. */
export interface Best {
  epoch: number;
  /** Top-1 error on the validation set, or on the training set if there is none, as a fraction. */
  top1Error: number;
}

/** Position in training. It consists of JSON values only. */
export interface Progress {
  /** Number of epochs that are done, including their validation. */
  epoch: number;
  /** Number of steps since the start of training. */
  step: number;
  /** Number of examples of the current epoch that are done. */
  cursor: number;
  sums: RunningSums;
  best: Best | null;
}

/** The metadata `training` of a checkpoint. */
export interface TrainingState extends Progress {
  lr: number;
  schedule: Record<string, number | null>;
  random: ReturnType<typeof getRandomState>;
}

export const freshProgress = (): Progress => ({ epoch: 0, step: 0, cursor: 0, sums: noSums(), best: null });

interface Parts {
  config: RunConfig;
  model: ZfNet;
  optimizer: SGD;
  schedule: Schedule;
  preprocess: Preprocess;
  progress: Progress;
}

/** The current state of training as a checkpoint, with weights and velocities copied to the host. */
export function capture({ config, model, optimizer, schedule, preprocess, progress }: Parts): Checkpoint {
  const named = model.namedParameters();
  const { lr, velocities } = optimizer.stateDict();
  const training: TrainingState = { ...progress, lr, schedule: schedule.state(), random: getRandomState() };
  const weights: Record<string, HostTensor> = {};
  const moving: Record<string, HostTensor> = {};
  named.forEach(([name, tensor], i) => {
    weights[name] = { shape: tensor.shape, data: tensor.dataSync() };
    const velocity = velocities[i];
    if (velocity) moving[name] = { shape: tensor.shape, data: velocity };
  });
  const { architecture, init, data, preprocess: preparation } = config;
  return {
    weights,
    velocities: moving,
    mean: preprocess.meanTensor,
    info: {
      architecture,
      init,
      classes: data.classes,
      fingerprint: data.fingerprint,
      preprocess: preparation,
      recipe: recipeOf(config),
      training,
    },
  };
}

/** The settings of a run that must not change on a resume. Checkpoints record them. */
export interface Recipe {
  training: Omit<TrainingOptions, 'epochs'>;
  init: InitScheme;
  freeze?: string;
}

/** The recipe of a run's configuration, without the number of epochs, which a resume may change. */
export function recipeOf({ training, init, freeze }: Pick<RunConfig, 'training' | 'init' | 'freeze'>): Recipe {
  const { epochs: _, ...rest } = training;
  return { training: rest, init, ...(freeze !== undefined && { freeze }) };
}

/** Loads a checkpoint into the model, the optimiser and the schedule, and returns the position in training. */
export function restore(checkpoint: Checkpoint, parts: Omit<Parts, 'progress' | 'config' | 'preprocess'>): Progress {
  const state = checkpoint.info.training as TrainingState;
  parts.model.loadStateDict(checkpoint.weights);
  const velocities = parts.model.namedParameters().map(([key]) => checkpoint.velocities[key]?.data ?? null);
  parts.optimizer.loadStateDict({ lr: state.lr, velocities });
  parts.schedule.restore(state.schedule);
  setRandomState(state.random);
  const { epoch, step, cursor, sums, best } = state;
  return { epoch, step, cursor, sums: { ...sums }, best };
}

/** Name of the first tensor with a NaN or an infinity, or undefined. */
export function firstNonFinite(tensors: Readonly<Record<string, HostTensor>>): string | undefined {
  return Object.entries(tensors).find(([, { data }]) => indexOfNonFinite(data) >= 0)?.[0];
}
