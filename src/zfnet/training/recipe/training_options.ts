/** The options of training (the recipe), their defaults from the paper (section 3.1), and their checks. */
import {
  arrayOf,
  checkOptions,
  either,
  finite,
  integer,
  isPlainObject,
  oneOf,
  orNull,
  positive,
  type RulesFor,
  rule,
} from '../../../backend/validate.js';
import { ValueError } from '../../../tensor/index.js';
import { AUGMENTATIONS, type Augmentation } from '../../input/augment.js';
import { OPTIMIZER_DEFAULTS, type OptimizerOptions, optimizerOptions, type PartialOptimizerOptions } from './optimizer_options.js';
import { checkSchedule, checkWarmup, type ScheduleOptions, type WarmupOptions } from './schedule_options.js';

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
  /** Optimiser. Default (absent): SGD, as in the paper. */
  optimizer?: OptimizerOptions;
  /** Initial learning rate; with the schedule `one-cycle`, the highest one. Default 0.01, as in the paper; 0.001 with `adam` and `adamw`. */
  lr: number;
  /** Momentum of SGD. Default 0.9, as in the paper. Other optimisers have their own. */
  momentum: number;
  /** L2 penalty on the weights (`adamw`: decoupled weight decay). Default 0, as the paper states none; 0.01 with `adamw`. */
  weightDecay: number;
  /** Limit on the root mean square of each convolution filter after each step; `null` for no limit. Default 0.1, as in the paper. */
  maxFilterRms: number | null;
  /** Schedule of the learning rate. Default: `plateau` with a factor of 0.1 and a patience of 3. */
  schedule: ScheduleOptions;
  /** Warm-up of the learning rate. Default (absent): none. */
  warmup?: WarmupOptions;
  /** Limit on the norm of the gradient of all parameters together. Default (absent): no limit. */
  clipGradNorm?: number;
  /** Share of each label that is spread evenly over all classes in the training loss, above 0 and below 1. Default (absent): none. */
  labelSmoothing?: number;
  /**
   * Weight of each class in the training loss, in the order of the classes, or `balanced` for weights that are inversely proportional to
   * the numbers of training images per class. Default (absent): all 1.
   */
  classWeights?: readonly number[] | 'balanced';
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

const plain = (expected: string) => rule(expected, isPlainObject);

const OPTIONS: RulesFor<TrainingOptions> = {
  epochs: integer(),
  batchSize: integer(1),
  microBatch: orNull(integer(1)),
  optimizer: plain("an optimiser such as { kind: 'adamw' }"),
  lr: positive,
  momentum: rule('a number of at least 0 and below 1', (value) => finite(0, 1).test(value) && value !== 1),
  weightDecay: finite(0),
  maxFilterRms: orNull(positive),
  schedule: plain("a schedule such as { kind: 'step', factor: 0.1, every: 30 }"),
  warmup: plain('a warm-up { steps, from }'),
  clipGradNorm: positive,
  labelSmoothing: rule('a number above 0 and below 1', (value) => positive.test(value) && (value as number) < 1),
  classWeights: either(
    oneOf('balanced'),
    rule(
      'an array of numbers of at least 0, one per class, one of them above 0',
      (value) => arrayOf(finite(0), 1).test(value) && (value as number[]).some((weight) => weight > 0),
    ),
  ),
  augment: oneOf(...AUGMENTATIONS),
  seed: integer(),
};

/** Training options as they are given: the optimiser may leave out its defaults. */
export type GivenTrainingOptions = Partial<Omit<TrainingOptions, 'optimizer'> & { optimizer: PartialOptimizerOptions }>;

/**
 * Given options in the form in which they are recorded: the optimiser with its defaults, or left out if it is SGD.
 *
 * @throws ValueError naming the option that is unknown or out of range
 */
export function normalised(given: GivenTrainingOptions): Partial<TrainingOptions> {
  checkOptions('train', given, OPTIONS);
  const { optimizer, ...rest } = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as GivenTrainingOptions;
  const complete = optimizer && optimizerOptions(optimizer);
  return { ...rest, ...(complete && complete.kind !== 'sgd' && { optimizer: complete }) };
}

/**
 * Training options with the defaults filled in.
 *
 * @example const { momentum } = trainingOptions({ epochs: 10 }); // the defaults filled in
 * @throws ValueError naming the option that is unknown or out of range
 */
export function trainingOptions(given: GivenTrainingOptions = {}): TrainingOptions {
  checkOptions('train', given, OPTIONS);
  const { optimizer, ...rest } = normalised(given);
  const { kind } = optimizer ?? { kind: 'sgd' as const };
  const options: TrainingOptions = { ...DEFAULT_TRAINING, ...OPTIMIZER_DEFAULTS[kind], ...rest, ...(optimizer && { optimizer }) };
  const { schedule, warmup } = options;
  checkSchedule(schedule);
  if (warmup) checkWarmup(warmup);
  if (warmup && schedule.kind === 'one-cycle')
    throw new ValueError('train: warmup is given with the schedule one-cycle, which raises the rate itself; leave out one of them');
  if (schedule.kind === 'one-cycle' && schedule.momentum && kind === 'sgd' && options.momentum === 0)
    throw new ValueError(
      'train: schedule.momentum is true and momentum is 0, expected a momentum that the cycle can change; set it to false',
    );
  return options;
}
