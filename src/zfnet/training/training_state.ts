/** The state of training: everything a checkpoint must contain so that a run resumes to the same bits. */
import { indexOfNonFinite } from '../../backend/validate.js';
import type { Checkpoint } from '../../formats/checkpoint.js';
import type { HostTensor } from '../../formats/safetensors.js';
import type { InitScheme, Optimizer, OptimizerState } from '../../nn/index.js';
import { getRandomState, setRandomState, type TypedArray } from '../../tensor/index.js';
import type { Preprocess } from '../input/preprocess.js';
import type { ZfNet } from '../model/model.js';
import type { RunConfig } from '../run/run_config.js';
import type { SavedSchedule, Schedule } from './recipe/schedule.js';
import type { TrainingOptions } from './recipe/training_options.js';

/** Kind of the optimiser whose state has no description in checkpoints, and the name of its slot. */
export const SGD_KIND = 'SGD';
const VELOCITY = 'velocity';

/** The metadata `optimizer` of a checkpoint. */
export type SavedOptimizer = Pick<OptimizerState, 'kind' | 'groups' | 'steps'>;

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
  /** Number of the epoch, from 1. */
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
  /** Loss, errors, examples and seconds summed over the current epoch so far, from which its metrics are computed. */
  sums: RunningSums;
  /** The best finished epoch; null before the first one has ended. */
  best: Best | null;
}

/** The metadata `training` of a checkpoint. */
export interface TrainingState extends Progress {
  /** Learning rate of the next step. */
  lr: number;
  /** State of the learning-rate schedule, as plain JSON. */
  schedule: SavedSchedule;
  /** States of the global random generators, so that dropout continues with the same numbers. */
  random: ReturnType<typeof getRandomState>;
}

export const freshProgress = (): Progress => ({ epoch: 0, step: 0, cursor: 0, sums: noSums(), best: null });

interface Parts {
  config: RunConfig;
  model: ZfNet;
  optimizer: Optimizer;
  schedule: Schedule;
  preprocess: Preprocess;
  progress: Progress;
}

/** The current state of training as a checkpoint, with weights and the state of the optimiser copied to the host. */
export async function capture({ config, model, optimizer, schedule, preprocess, progress }: Parts): Promise<Checkpoint> {
  const named = model.namedParameters();
  const buffers = model.namedBuffers();
  const training: TrainingState = { ...progress, lr: optimizer.lr, schedule: schedule.state(), random: getRandomState() };
  const [{ kind, groups, steps, slots }, statistics, ...values] = await Promise.all([
    optimizer.stateDictData(),
    Promise.all(buffers.map(async ([name, { shape }], i) => [name, { shape, data: await buffers[i][1].data() }] as const)),
    ...named.map(([, tensor]) => tensor.data()),
  ]);
  const byName = (arrays: readonly (TypedArray | null)[] = []): Record<string, HostTensor> =>
    Object.fromEntries(named.flatMap(([name, { shape }], i) => (arrays[i] ? [[name, { shape, data: arrays[i] }]] : [])));
  const { [VELOCITY]: velocity, ...others } = slots;
  const { architecture, init, data, preprocess: preparation } = config;
  return {
    weights: { ...byName(values), ...Object.fromEntries(statistics) },
    velocities: byName(velocity),
    ...(kind !== SGD_KIND && { slots: Object.fromEntries(Object.entries(others).map(([slot, arrays]) => [slot, byName(arrays)])) }),
    mean: preprocess.meanTensor,
    info: {
      architecture,
      init,
      classes: data.classes,
      fingerprint: data.fingerprint,
      preprocess: preparation,
      recipe: recipeOf(config),
      training,
      ...(kind !== SGD_KIND && { optimizer: { kind, groups, steps } }),
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
  parts.optimizer.loadStateDict(optimizerState(checkpoint, parts.model, parts.optimizer));
  parts.schedule.restore(state.schedule);
  setRandomState(state.random);
  const { epoch, step, cursor, sums, best } = state;
  return { epoch, step, cursor, sums: { ...sums }, best };
}

/** The state of the optimiser in a checkpoint. SGD has no description there; its rate is part of the training state. */
function optimizerState({ velocities, slots = {}, info }: Checkpoint, model: ZfNet, optimizer: Optimizer): OptimizerState {
  const names = model.namedParameters().map(([key]) => key);
  const inOrder = (state: Record<string, HostTensor>) => names.map((key) => state[key]?.data ?? null);
  const { lr } = info.training as TrainingState;
  if (info.optimizer !== undefined) {
    const arrays = Object.entries(slots).map(([slot, state]) => [slot, inOrder(state)]);
    return { ...(info.optimizer as SavedOptimizer), lr, slots: Object.fromEntries(arrays) };
  }
  const groups = optimizer.groups.map(({ params, ...numbers }) => ({ ...numbers, lr, size: params.length }));
  return { kind: SGD_KIND, lr, groups, steps: names.map(() => 0), slots: { [VELOCITY]: inOrder(velocities) } };
}

/** Name of the first tensor with a NaN or an infinity, or undefined. */
export function firstNonFinite(tensors: Readonly<Record<string, HostTensor>>): string | undefined {
  return Object.entries(tensors).find(([, { data }]) => indexOfNonFinite(data) >= 0)?.[0];
}
