/** What must be kept so that training goes on as if it had never stopped, and how it becomes a checkpoint. */
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

/** Sums over the epoch so far. */
export interface RunningSums {
  loss: number;
  errors: number;
  examples: number;
  seconds: number;
}

export const noSums = (): RunningSums => ({ loss: 0, errors: 0, examples: 0, seconds: 0 });

export interface Best {
  epoch: number;
  /** Fraction; of the training set where there is no validation set. */
  top1Error: number;
}

/** Place in training. Everything in it is JSON. */
export interface Progress {
  /** Epochs done, their validation included. */
  epoch: number;
  /** Steps done in all. */
  step: number;
  /** How far the epoch under way has got in its order. */
  cursor: number;
  sums: RunningSums;
  best: Best | null;
}

/** A checkpoint's `training` metadata. */
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

/** Everything of a training under way, numbers copied to the host. */
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

/** The settings that a training state belongs to: what a resume must find unchanged in `config.json`. */
export interface Recipe {
  training: Omit<TrainingOptions, 'epochs'>;
  init: InitScheme;
  freeze?: string;
}

/** The recipe of a run's configuration. The number of epochs is left out, because a resume may change it. */
export function recipeOf({ training, init, freeze }: Pick<RunConfig, 'training' | 'init' | 'freeze'>): Recipe {
  const { epochs: _, ...rest } = training;
  return { training: rest, init, ...(freeze !== undefined && { freeze }) };
}

/** Puts a captured training back into its parts and returns its place. Nothing is changed unless everything fits. */
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

/** The first tensor that holds a NaN or an infinity, or undefined. */
export function firstNonFinite(tensors: Readonly<Record<string, HostTensor>>): string | undefined {
  return Object.entries(tensors).find(([, { data }]) => indexOfNonFinite(data) >= 0)?.[0];
}
