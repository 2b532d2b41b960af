/** What must be kept so that training goes on as if it had never stopped, and how it becomes a checkpoint. */
import type { Checkpoint } from '../formats/checkpoint.js';
import { FormatError } from '../formats/errors.js';
import type { HostTensor } from '../formats/safetensors.js';
import type { SGD } from '../nn/index.js';
import { getRandomState, setRandomState } from '../tensor/index.js';
import type { ZfNet } from './model.js';
import type { Preprocess } from './preprocess.js';
import type { RunConfig } from './run_config.js';
import type { Schedule } from './schedule.js';

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
    info: { architecture, init, classes: data.classes, fingerprint: data.fingerprint, preprocess: preparation, training },
  };
}

/** Puts a captured training back into its parts and returns its place. Throws `StateError` where the weights do not fit. */
export function restore(checkpoint: Checkpoint, parts: Omit<Parts, 'progress' | 'config' | 'preprocess'>, name: string): Progress {
  const state = checkpoint.info.training as TrainingState | undefined;
  if (!isTrainingState(state)) throw new FormatError(`${name}: holds a model but no training to go on with`);
  parts.model.loadStateDict(checkpoint.weights);
  const velocities = parts.model.namedParameters().map(([key, tensor]) => {
    const velocity = checkpoint.velocities[key];
    if (velocity && velocity.shape.join() !== tensor.shape.join())
      throw new FormatError(`${name}: the velocity of ${key} has shape [${velocity.shape}], expected [${tensor.shape}]`);
    return velocity?.data ?? null;
  });
  parts.optimizer.loadStateDict({ lr: state.lr, velocities });
  parts.schedule.restore(state.schedule);
  setRandomState(state.random);
  const { epoch, step, cursor, sums, best } = state;
  return { epoch, step, cursor, sums: { ...sums }, best };
}

function isTrainingState(state: TrainingState | undefined): state is TrainingState {
  if (typeof state !== 'object' || state === null) return false;
  const numbers = [state.epoch, state.step, state.cursor, state.lr, state.sums?.loss, state.sums?.examples, state.random?.dropout?.counter];
  return numbers.every((value) => typeof value === 'number') && typeof state.schedule === 'object';
}

/** The first tensor that holds a NaN or an infinity, or undefined. */
export function firstNonFinite(tensors: Readonly<Record<string, HostTensor>>): string | undefined {
  return Object.entries(tensors).find(([, { data }]) => !allFinite(data))?.[0];
}

function allFinite(data: ArrayLike<number>): boolean {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}
