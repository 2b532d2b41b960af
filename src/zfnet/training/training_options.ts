/** The options of training (the recipe), their defaults from the paper (section 3.1), and their checks. */
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
 * Schedule of the learning rate.
 * - `plateau`: multiplied by `factor` after more than `patience` epochs without a lower validation error, as the paper does by hand
 * - `step`: multiplied by `factor` every `every` epochs
 * - `cosine`: lowered from the initial rate to 0 along half a cosine over all epochs
 * - `constant`: not changed
 */
export type ScheduleOptions =
  | { kind: 'plateau'; factor: number; patience: number }
  | { kind: 'step'; factor: number; every: number }
  | { kind: 'cosine' }
  | { kind: 'constant' };

/** Kinds of learning-rate schedules. */
export const SCHEDULES = ['plateau', 'step', 'cosine', 'constant'] as const satisfies readonly ScheduleOptions['kind'][];

/** Options of training (the recipe). The defaults are in `DEFAULT_TRAINING`. */
export interface TrainingOptions {
  /** Number of passes over the training set. Default 70, as in the paper. */
  epochs: number;
  /** Images per step (mini-batch). Default 128, as in the paper. */
  batchSize: number;
  /**
   * Images per forward and backward pass; `null` (default) for the whole mini-batch. Smaller values need less memory: the gradients of the
   * parts of a mini-batch are summed to the gradient of its mean loss. The result depends on this value in its rounding and its dropout
   * masks, but is the same in every run with the same value.
   */
  microBatch: number | null;
  /** Initial learning rate. Default 0.01, as in the paper. */
  lr: number;
  /** Momentum of SGD. Default 0.9, as in the paper. */
  momentum: number;
  /** L2 penalty on the weights. Default 0, as the paper states none. */
  weightDecay: number;
  /** Limit on the root mean square of each convolution filter after each step; `null` for no limit. Default 0.1, as in the paper. */
  maxFilterRms: number | null;
  /** Schedule of the learning rate. Default: `plateau` with a factor of 0.1 and a patience of 3. */
  schedule: ScheduleOptions;
  /** Augmentation of the training images. Default `paper`. */
  augment: Augmentation;
  /** Seed of the order of the examples, dropout and augmentation. Default 0. The initial weights have a seed of their own. */
  seed: number;
}

/** Default options of training, from section 3.1 of the paper where it states them. */
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

/** The fields of each kind of schedule, all of which are required. */
const SCHEDULE_FIELDS: Readonly<Record<ScheduleOptions['kind'], Rules>> = {
  plateau: { kind, factor, patience: integer() },
  step: { kind, factor, every: integer(1) },
  cosine: { kind },
  constant: { kind },
};

/**
 * Training options with the defaults filled in.
 *
 * @throws ValueError naming the option that is unknown or out of range
 */
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
