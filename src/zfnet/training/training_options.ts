/** The training recipe: the paper's values (section 3.1) where it gives them, and the checks that each may be. */
import {
  checkArgument,
  checkFields,
  checkOptions,
  finite,
  integer,
  isPlainObject,
  oneOf,
  orNull,
  positive,
  type Rules,
  type RulesFor,
  rule,
} from '../../backend/validate.js';
import { AUGMENTATIONS, type Augmentation } from '../input/augment.js';

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

const below1 = (least: string, test: (value: number) => boolean) =>
  rule(`a number ${least} and below 1`, (value) => Number.isFinite(value) && test(value as number) && (value as number) < 1);

const OPTIONS: RulesFor<TrainingOptions> = {
  epochs: integer(),
  batchSize: integer(1),
  microBatch: orNull(integer(1)),
  lr: positive,
  momentum: below1('of at least 0', (value) => value >= 0),
  weightDecay: finite(0),
  maxFilterRms: orNull(positive),
  schedule: rule("a schedule such as { kind: 'step', factor: 0.1, every: 30 }", isPlainObject),
  augment: oneOf(...AUGMENTATIONS),
  seed: integer(),
};

const factor = below1('above 0', (value) => value > 0);
const kind = oneOf(...SCHEDULES);

/** The fields of each kind of schedule, all of which must be there. */
const SCHEDULE_FIELDS: Readonly<Record<ScheduleOptions['kind'], Rules>> = {
  plateau: { kind, factor, patience: integer() },
  step: { kind, factor, every: integer(1) },
  cosine: { kind },
  constant: { kind },
};

/** Fills in the defaults. Throws `ValueError` naming the option that is out of its range. */
export function trainingOptions(given: Partial<TrainingOptions> = {}): TrainingOptions {
  checkOptions('train', given, OPTIONS);
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options: TrainingOptions = { ...DEFAULT_TRAINING, ...defined };
  const { schedule } = options;
  checkArgument('train', 'schedule.kind', schedule.kind, kind);
  const fields = SCHEDULE_FIELDS[schedule.kind];
  checkFields('train: schedule', schedule, fields, Object.keys(fields));
  return options;
}
