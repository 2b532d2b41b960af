/** The options of the training recipe on the command line: optimiser, learning rate, loss and crops. */
import { type Command, InvalidArgumentError } from 'commander';
import {
  AUGMENTATIONS,
  type Augmentation,
  DEFAULT_TRAINING,
  type GivenTrainingOptions,
  OPTIMIZERS,
  type OptimizerOptions,
  type PartialOptimizerOptions,
  SCHEDULES,
  type ScheduleOptions,
  trainingOptions,
  ValueError,
} from 'zfnet';
import { decimal, oneOf, UsageError, whole } from '../../command.js';
import { batchSizeOption } from '../../options.js';

/** Values of the options, under commander's names. */
export interface RecipeOptions {
  epochs?: number;
  batchSize?: number;
  microBatch?: number;
  optimizer?: OptimizerOptions['kind'];
  lr?: number;
  momentum?: number;
  betas?: [number, number];
  alpha?: number;
  eps?: number;
  centered?: boolean;
  weightDecay?: number;
  maxFilterRms?: number;
  clipGradNorm?: number;
  labelSmoothing?: number;
  classWeights?: number[] | 'balanced';
  schedule?: ScheduleOptions['kind'];
  patience?: number;
  stepEpochs?: number;
  milestones?: number[];
  lrFactor?: number;
  rise?: number;
  warmup?: number;
  warmupFrom?: number;
  augment?: Augmentation;
}

/** Adds the options of the recipe to a command. */
export function addRecipeOptions(command: Command): Command {
  addUpdateOptions(command.optionsGroup('Training recipe (the defaults are those of the paper):'));
  addRateOptions(command.optionsGroup('Learning rate:'));
  return addLossOptions(command.optionsGroup('Loss and crops:'));
}

function addUpdateOptions(command: Command): Command {
  const { batchSize, momentum, maxFilterRms } = DEFAULT_TRAINING;
  return command
    .option('--epochs <n>', 'passes over the training images (default: 70; 20 for inputs below 64 pixels)', whole({ min: 0 }))
    .addOption(batchSizeOption(`images per step (default: ${batchSize})`))
    .option(
      '--micro-batch <n>',
      'images per forward and backward pass; gradients accumulate over a step, which saves memory (default: all images of a step)',
      whole({ min: 1 }),
    )
    .option('--optimizer <name>', `optimiser: ${OPTIMIZERS.join(', ')} (default: sgd)`, word(OPTIMIZERS, asOptimizer))
    .option(
      '--momentum <m>',
      `with sgd and rmsprop: momentum (default: ${momentum} with sgd, 0 with rmsprop)`,
      decimal({ min: 0, below: 1 }),
    )
    .option(
      '--betas <b1,b2>',
      'with adam and adamw: decay rates of the means of the gradient and of its square (default: 0.9,0.999)',
      twoRates,
    )
    .option('--alpha <a>', 'with rmsprop: decay rate of the mean of the squared gradient (default: 0.99)', decimal({ min: 0, below: 1 }))
    .option('--eps <e>', 'with adam, adamw and rmsprop: added to the root of the mean square (default: 1e-8)', decimal({ min: 0 }))
    .option('--centered', 'with rmsprop: divide by the root of the variance instead of the mean square')
    .option(
      '--weight-decay <d>',
      'weight decay: an L2 penalty, decoupled from the gradient with adamw (default: 0; 0.01 with adamw)',
      decimal({ min: 0 }),
    )
    .option(
      '--max-filter-rms <r>',
      `largest root mean square of a convolution filter; 0 for no limit (default: ${maxFilterRms})`,
      decimal({ min: 0 }),
    )
    .option('--clip-grad-norm <n>', 'largest norm of the gradient of all weights together (default: no limit)', decimal({ above: 0 }));
}

function addRateOptions(command: Command): Command {
  return command
    .option(
      '--lr <rate>',
      `initial learning rate; with one-cycle the highest one (default: ${DEFAULT_TRAINING.lr}; 0.001 with adam and adamw)`,
      decimal({ above: 0 }),
    )
    .option('--schedule <kind>', `schedule of the learning rate: ${SCHEDULES.join(', ')} (default: plateau)`, word(SCHEDULES, asSchedule))
    .option(
      '--patience <epochs>',
      'with plateau: epochs without a lower validation error before the rate is reduced (default: 3)',
      whole({ min: 0 }),
    )
    .option('--step-epochs <n>', 'with step: epochs between reductions of the rate (default: a third of all epochs)', whole({ min: 1 }))
    .option('--milestones <list>', 'with multi-step: epochs after which the rate is reduced, such as 30,60', milestones)
    .option(
      '--lr-factor <f>',
      'with plateau, step, multi-step and exponential: factor of each reduction (default: 0.1; 0.95 with exponential)',
      decimal({ above: 0, below: 1 }),
    )
    .option('--rise <share>', 'with one-cycle: share of all steps in which the rate rises (default: 0.3)', decimal({ above: 0, below: 1 }))
    .option('--warmup <steps>', 'steps in which the rate rises linearly at the start (default: none)', whole({ min: 1 }))
    .option('--warmup-from <f>', 'with --warmup: factor of the rate in the first step (default: 0.01)', decimal({ above: 0, below: 1 }));
}

function addLossOptions(command: Command): Command {
  return command
    .option(
      '--label-smoothing <s>',
      'share of each label that is spread over all classes in the training loss (default: 0)',
      decimal({ above: 0, below: 1 }),
    )
    .option(
      '--class-weights <list>',
      'weight of each class in the training loss: numbers in the order of the classes, such as 1,2,0.5, or balanced for weights that are inversely proportional to the numbers of images (default: all 1)',
      classWeights,
    )
    .option(
      '--augment <kind>',
      'crops in training: paper (one of ten: corners and centre, mirrored or not), random (any position, mirrored or not), shift (any position), none (default: paper; shift for grey images)',
      oneOf(AUGMENTATIONS),
    );
}

// Parsers ------------------------------------------------------------------------------------------------------------------------------

/** Returns a parser for one of several words, which takes its message, with the most similar word, from the library. */
function word<T extends string>(words: readonly T[], asOptions: (text: T) => GivenTrainingOptions): (text: string) => T {
  return (text) => {
    if (words.includes(text as T)) return text as T;
    try {
      trainingOptions(asOptions(text as T));
    } catch (error) {
      if (error instanceof ValueError)
        throw new InvalidArgumentError(error.message.replace(/^.* is '/, "'").replace(/^'.*', expected/, 'Expected'));
    }
    throw new InvalidArgumentError(`Expected one of ${words.join(', ')}.`);
  };
}

const asOptimizer = (kind: OptimizerOptions['kind']): GivenTrainingOptions => ({ optimizer: { kind } });
const asSchedule = (kind: ScheduleOptions['kind']): GivenTrainingOptions => ({ schedule: { kind } as ScheduleOptions });

/** Returns a parser for numbers that are separated by commas. */
const list =
  (parse: (text: string) => number, expected: string) =>
  (text: string): number[] => {
    try {
      return text.split(',').map((part) => parse(part.trim()));
    } catch {
      throw new InvalidArgumentError(`Expected ${expected}.`);
    }
  };

function twoRates(text: string): [number, number] {
  const expected = 'two numbers of at least 0 and below 1, such as 0.9,0.999';
  const rates = list(decimal({ min: 0, below: 1 }), expected)(text);
  if (rates.length !== 2) throw new InvalidArgumentError(`Expected ${expected}.`);
  return [rates[0], rates[1]];
}

function milestones(text: string): number[] {
  const expected = 'epochs in ascending order, such as 30,60';
  const epochs = list(whole({ min: 1 }), expected)(text);
  if (epochs.some((epoch, i) => i > 0 && epoch <= epochs[i - 1])) throw new InvalidArgumentError(`Expected ${expected}.`);
  return epochs;
}

const classWeights = (text: string): number[] | 'balanced' =>
  text === 'balanced' ? text : list(decimal({ above: 0 }), 'numbers above 0, such as 1,2,0.5, or balanced')(text);

// Options of training -----------------------------------------------------------------------------------------------------------------

/** Converts the values to options of training. Throws `UsageError` for an option that does not belong to the optimiser or the schedule. */
export function recipeOf(options: RecipeOptions, seed: number | undefined): GivenTrainingOptions {
  const { epochs, batchSize, microBatch, lr, weightDecay, maxFilterRms, clipGradNorm, labelSmoothing, augment } = options;
  const optimizer = optimizerOf(options);
  const onRmsprop = optimizer?.kind === 'rmsprop';
  return {
    epochs,
    batchSize,
    microBatch,
    optimizer,
    lr,
    momentum: onRmsprop ? undefined : options.momentum,
    weightDecay,
    maxFilterRms: maxFilterRms === 0 ? null : maxFilterRms,
    schedule: scheduleOf(options),
    warmup: warmupOf(options),
    clipGradNorm,
    labelSmoothing,
    classWeights: options.classWeights,
    augment,
    seed,
  };
}

/** Throws `UsageError` if an option is given that belongs to other kinds. */
function belongs(option: string, value: unknown, to: readonly string[], kind: string | undefined, given: string): void {
  if (value !== undefined && !to.includes(kind ?? ''))
    throw new UsageError(`--${option} belongs to --${given} ${to.join(' or ')}, not ${kind}`);
}

function optimizerOf({ optimizer: kind, betas, alpha, eps, centered, momentum }: RecipeOptions): PartialOptimizerOptions | undefined {
  const own = kind ?? 'sgd';
  belongs('betas', betas, ['adam', 'adamw'], own, 'optimizer');
  belongs('alpha', alpha, ['rmsprop'], own, 'optimizer');
  belongs('eps', eps, ['adam', 'adamw', 'rmsprop'], own, 'optimizer');
  belongs('centered', centered, ['rmsprop'], own, 'optimizer');
  belongs('momentum', momentum, ['sgd', 'rmsprop'], own, 'optimizer');
  if (kind === undefined) return undefined;
  return { kind, betas, alpha, eps, centered, ...(kind === 'rmsprop' && { momentum }) };
}

function warmupOf({ warmup, warmupFrom }: RecipeOptions): GivenTrainingOptions['warmup'] {
  if (warmup === undefined && warmupFrom !== undefined) throw new UsageError('--warmup-from needs --warmup, the number of steps');
  return warmup === undefined ? undefined : { steps: warmup, from: warmupFrom ?? 0.01 };
}

/** The kind of schedule that options without `--schedule` mean. */
function impliedSchedule({ stepEpochs, milestones, rise, patience, lrFactor }: RecipeOptions): ScheduleOptions['kind'] | undefined {
  if (stepEpochs !== undefined) return 'step';
  if (milestones !== undefined) return 'multi-step';
  if (rise !== undefined) return 'one-cycle';
  return patience !== undefined || lrFactor !== undefined ? 'plateau' : undefined;
}

function scheduleOf(options: RecipeOptions): ScheduleOptions | undefined {
  const { patience, stepEpochs, lrFactor, rise, epochs, optimizer, momentum } = options;
  const kind = options.schedule ?? impliedSchedule(options);
  belongs('patience', patience, ['plateau'], kind, 'schedule');
  belongs('step-epochs', stepEpochs, ['step'], kind, 'schedule');
  belongs('milestones', options.milestones, ['multi-step'], kind, 'schedule');
  belongs('rise', rise, ['one-cycle'], kind, 'schedule');
  belongs('lr-factor', lrFactor, ['plateau', 'step', 'multi-step', 'exponential'], kind, 'schedule');
  const factor = lrFactor ?? 0.1;
  switch (kind) {
    case undefined:
      return undefined;
    case 'plateau':
      return { kind, factor, patience: patience ?? 3 };
    case 'step':
      return { kind, factor, every: stepEpochs ?? Math.max(1, Math.ceil((epochs ?? DEFAULT_TRAINING.epochs) / 3)) };
    case 'multi-step':
      if (!options.milestones) throw new UsageError('--schedule multi-step needs --milestones, the epochs after which the rate is reduced');
      return { kind, factor, milestones: options.milestones };
    case 'exponential':
      return { kind, factor: lrFactor ?? 0.95 };
    case 'one-cycle':
      // The momentum of Adam is its first beta. RMSprop without momentum, and SGD with momentum 0, have none to change.
      return { kind, rise: rise ?? 0.3, momentum: momentum === undefined ? optimizer !== 'rmsprop' : momentum > 0 };
    default:
      return { kind };
  }
}
