/** The settings of `fit`, their checks, and what `fit` reports. */
import {
  abortSignal,
  anything,
  arrayOf,
  either,
  func,
  integer,
  isPlainObject,
  objectWith,
  positive,
  type Rule,
  type RulesFor,
  rule,
} from '../../backend/validate.js';
import { NonFiniteError } from '../../tensor/index.js';
import type { Optimizer, Schedule } from '../optim/index.js';
import { dataRule, type FitData } from './batches.js';
import type { LossFunction } from './stepper.js';

/** One step of `fit`. */
export interface FitStep {
  /** Current epoch, from 1. */
  epoch: number;
  /** Number of all epochs, from `FitSettings.epochs`. */
  epochs: number;
  /** Number of steps since `fit` was called, this one included. */
  step: number;
  /** Mean loss of the step's examples. */
  loss: number;
  /** Number of examples of the step; smaller for a last batch that is not full. */
  examples: number;
  /** Learning rate of the step. */
  lr: number;
}

/** One epoch in the history of `fit`. */
export interface FitEpoch {
  /** Number of the epoch, from 1. */
  epoch: number;
  /** Number of steps since `fit` was called. */
  step: number;
  /** Learning rate at the end of the epoch, before an epoch schedule changes it. */
  lr: number;
  /** Mean loss over the examples of the epoch, each measured before its update. NaN if every step was skipped. */
  loss: number;
  /** Mean loss on the validation data. Absent without validation data. */
  valLoss?: number;
  /** Fraction of the validation examples whose label is not the largest output. Only for outputs [N, classes] with int32 labels [N]. */
  valTop1Error?: number;
  /** Number of steps that `onNonFinite` skipped. Absent if there are none. */
  skipped?: number;
}

/** Callbacks of `fit`. Each may be asynchronous; training waits for it. Answers other than those named here have no meaning. */
export interface FitCallbacks {
  /** Called after each step, in order; on a backend that queues its work one step late. Return `'stop'` to end training. */
  onStep?: (step: FitStep) => unknown;
  /** Called after each epoch. Return `'stop'` to end training. */
  onEpoch?: (epoch: FitEpoch) => unknown;
  /**
   * Called when a loss is NaN or infinite, before the update. Return `'skip'` to leave out the step, or `'stop'` to leave it out and end
   * training; otherwise `fit` throws a `NonFiniteError`. With this callback, every loss is read before its update.
   */
  onNonFinite?: (step: FitStep) => unknown;
}

/** Settings of `fit`. */
export interface FitSettings {
  /** Optimiser of the model's parameters. */
  optimizer: Optimizer;
  /** Number of passes over the data. */
  epochs: number;
  /**
   * Schedule of the learning rate, or several that are stepped one after the other, such as a warm-up beside a cosine. A schedule with
   * the interval `step` is stepped after every update; any other after every epoch, with the validation loss (without validation data
   * the training loss) as its measure.
   */
  schedule?: Schedule | readonly Schedule[];
  /** Computes the loss, one element, from the model's output and the labels. Default `crossEntropy`. */
  loss?: LossFunction;
  /** Data that the model is evaluated on after every epoch. */
  validation?: FitData;
  /** Limit on the norm of the gradient of all parameters together. Default: no limit. PyTorch `clip_grad_norm_`. */
  clipGradNorm?: number;
  /** Number of batches per update. Their gradients accumulate to the gradient of the mean loss over all their examples. Default 1. */
  accumulate?: number;
  /** Seed of the global random generators (dropout), set before the first step. Default: the generators keep their state. */
  seed?: number;
  /** Ends training after the current step; `fit` then returns the history of the finished epochs. */
  signal?: AbortSignal;
  /** Functions that are called after steps and epochs, such as for progress or early stopping. */
  callbacks?: FitCallbacks;
}

const CALLBACKS: RulesFor<FitCallbacks> = { onStep: func, onEpoch: func, onNonFinite: func };

const optimizerRule: Rule = objectWith('an optimiser, such as new SGD(model.parameters(), { lr: 0.01 })', {
  step: func,
  zeroGrad: func,
  lr: rule('a number', (value) => typeof value === 'number'),
  groups: arrayOf(objectWith('a parameter group', { params: arrayOf(anything) })),
});

const scheduleRule: Rule = objectWith('a schedule, such as new StepLR(optimizer, { stepSize: 30 })', { step: func });

export const FIT_RULES: RulesFor<FitSettings> = {
  optimizer: optimizerRule,
  epochs: integer(),
  schedule: either(scheduleRule, arrayOf(scheduleRule)),
  loss: func,
  validation: dataRule,
  clipGradNorm: positive,
  accumulate: integer(1),
  seed: integer(),
  signal: abortSignal,
  callbacks: rule('an object of callbacks { onStep, onEpoch, onNonFinite }', isPlainObject),
};

export const CALLBACK_RULES = CALLBACKS;

/** Thrown by `fit` when the loss of a step is NaN or infinite. */
export class NonFiniteLossError extends NonFiniteError {
  constructor(
    /** Position of the step, both counted from 1. */
    readonly at: { epoch: number; step: number },
    loss: number,
    lr: number,
    cause?: unknown,
  ) {
    super('fit', 1, 1);
    const what = cause instanceof Error ? cause.message : `the loss is ${loss}, expected a finite number`;
    this.message = `fit: epoch ${at.epoch}, step ${at.step}: ${what}; try a lower learning rate (it is ${lr}) or clipGradNorm, check the input, or give callbacks.onNonFinite`;
    if (cause !== undefined) this.cause = cause;
  }
}
