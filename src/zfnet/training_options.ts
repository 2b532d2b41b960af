/** The training recipe: the paper's values (section 3.1) where it gives them, and the checks that each may be. */
import { ValueError } from '../tensor/index.js';
import { AUGMENTATIONS, type Augmentation } from './augment.js';

/**
 * How the learning rate falls.
 * - `plateau`: times `factor` after `patience` epochs without a lower validation error; the paper's annealing by hand
 * - `step`: times `factor` every `every` epochs
 * - `cosine`: from the first rate down towards 0 along half a cosine over all epochs
 * - `constant`: never
 */
export type ScheduleOptions =
  | { kind: 'plateau'; factor: number; patience: number }
  | { kind: 'step'; factor: number; every: number }
  | { kind: 'cosine' }
  | { kind: 'constant' };

export const SCHEDULES = ['plateau', 'step', 'cosine', 'constant'] as const satisfies readonly ScheduleOptions['kind'][];

export interface TrainingOptions {
  /** Passes over the training set. The paper's 70. */
  epochs: number;
  /** Images a step. 128 in the paper. */
  batchSize: number;
  /**
   * Images that go through the network at once: gradients add up over the parts of a mini-batch to those of its mean, in the memory
   * of one part. `null` for the whole mini-batch. Sums are rounded in another order and dropout draws part by part, so other
   * sizes give other bits; the same size gives the same.
   */
  microBatch: number | null;
  /** Learning rate at the start. 0.01 in the paper. */
  lr: number;
  /** 0.9 in the paper. */
  momentum: number;
  /** 0: the paper states none. */
  weightDecay: number;
  /** Root mean square that a convolution filter is held to after each step; 0.1 in the paper, `null` for no limit. */
  maxFilterRms: number | null;
  schedule: ScheduleOptions;
  /** Which crops training sees. */
  augment: Augmentation;
  /** Of the order of the data, dropout and augmentation; the model has its own. */
  seed: number;
}

export const DEFAULT_TRAINING: Readonly<TrainingOptions> = {
  epochs: 70,
  batchSize: 128,
  microBatch: null,
  lr: 0.01,
  momentum: 0.9,
  weightDecay: 0,
  maxFilterRms: 0.1,
  schedule: { kind: 'plateau', factor: 0.1, patience: 3 },
  augment: 'paper',
  seed: 0,
};

/** Fills in the defaults. Throws `ValueError` naming the option that is out of its range. */
export function trainingOptions(given: Partial<TrainingOptions> = {}): TrainingOptions {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options: TrainingOptions = { ...DEFAULT_TRAINING, ...defined };
  const { schedule } = options;
  check('epochs', options.epochs, Number.isInteger(options.epochs) && options.epochs >= 0, 'a whole number of at least 0');
  check('batchSize', options.batchSize, Number.isInteger(options.batchSize) && options.batchSize >= 1, 'a whole number of at least 1');
  const { microBatch } = options;
  check(
    'microBatch',
    microBatch,
    microBatch === null || (Number.isInteger(microBatch) && microBatch >= 1),
    'a whole number of at least 1, or null',
  );
  check('lr', options.lr, options.lr > 0, 'more than 0');
  check('momentum', options.momentum, options.momentum >= 0 && options.momentum < 1, 'at least 0 and below 1');
  check('weightDecay', options.weightDecay, options.weightDecay >= 0, 'at least 0');
  check('maxFilterRms', options.maxFilterRms, options.maxFilterRms === null || options.maxFilterRms > 0, 'more than 0, or null');
  check('augment', options.augment, AUGMENTATIONS.includes(options.augment), `one of ${AUGMENTATIONS.join(', ')}`);
  check('seed', options.seed, Number.isSafeInteger(options.seed) && options.seed >= 0, 'a whole number from 0 to 2^53 - 1');
  check('schedule', schedule?.kind, SCHEDULES.includes(schedule?.kind), `one of ${SCHEDULES.join(', ')}`);
  if ('factor' in schedule) check('schedule.factor', schedule.factor, schedule.factor > 0 && schedule.factor < 1, 'above 0 and below 1');
  if ('patience' in schedule) check('schedule.patience', schedule.patience, schedule.patience >= 0, 'at least 0');
  if ('every' in schedule) check('schedule.every', schedule.every, schedule.every >= 1, 'at least 1');
  return options;
}

function check(name: string, value: unknown, good: boolean, expected: string): void {
  if (!good) throw new ValueError(`train: ${name} is ${value}, expected ${expected}`);
}
