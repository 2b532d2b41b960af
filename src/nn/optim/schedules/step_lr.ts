/** Schedules that multiply the learning rate by a constant factor at certain epochs. */
import { arrayOf, integer } from '../../../backend/validate.js';
import { CountingSchedule, checkSchedule, factorRule, type HasLearningRate, type IntervalOption } from './schedule.js';

/** Options of `StepLR`. */
export interface StepLROptions extends IntervalOption {
  /** Number of steps between two changes. */
  stepSize: number;
  /** Factor of the learning rate. Default 0.1. */
  gamma?: number;
}

/**
 * Multiplies the learning rate by `gamma` (default 0.1) every `stepSize` epochs. PyTorch `StepLR`.
 *
 * @example const schedule = new StepLR(optimizer, { stepSize: 30 });
 * @throws ValueError for invalid options
 */
export class StepLR extends CountingSchedule {
  constructor(
    optimizer: HasLearningRate,
    private readonly options: StepLROptions,
  ) {
    checkSchedule('StepLR', optimizer, options, { stepSize: integer(1), gamma: factorRule }, 'stepSize');
    super('StepLR', optimizer, options.interval ?? 'epoch');
  }

  protected override apply(): void {
    if (this.count % this.options.stepSize === 0) this.multiply(this.options.gamma ?? 0.1);
  }
}

/** Options of `MultiStepLR`. */
export interface MultiStepLROptions extends IntervalOption {
  /** Numbers of steps after which the rate changes. One that occurs twice changes it twice. */
  milestones: readonly number[];
  /** Factor of the learning rate. Default 0.1. */
  gamma?: number;
}

/**
 * Multiplies the learning rate by `gamma` (default 0.1) after each of the given numbers of epochs. PyTorch `MultiStepLR`.
 *
 * @example const schedule = new MultiStepLR(optimizer, { milestones: [30, 80] });
 * @throws ValueError for invalid options
 */
export class MultiStepLR extends CountingSchedule {
  constructor(
    optimizer: HasLearningRate,
    private readonly options: MultiStepLROptions,
  ) {
    checkSchedule('MultiStepLR', optimizer, options, { milestones: arrayOf(integer()), gamma: factorRule }, 'milestones');
    super('MultiStepLR', optimizer, options.interval ?? 'epoch');
  }

  protected override apply(): void {
    const { milestones, gamma = 0.1 } = this.options;
    const reached = milestones.filter((milestone) => milestone === this.count).length;
    if (reached > 0) this.multiply(gamma ** reached);
  }
}

/** Options of `ExponentialLR`. */
export interface ExponentialLROptions extends IntervalOption {
  /** Factor of the learning rate. */
  gamma: number;
}

/**
 * Multiplies the learning rate by `gamma` every epoch. PyTorch `ExponentialLR`.
 *
 * @example const schedule = new ExponentialLR(optimizer, { gamma: 0.95 });
 * @throws ValueError for invalid options
 */
export class ExponentialLR extends CountingSchedule {
  constructor(
    optimizer: HasLearningRate,
    private readonly options: ExponentialLROptions,
  ) {
    checkSchedule('ExponentialLR', optimizer, options, { gamma: factorRule }, 'gamma');
    super('ExponentialLR', optimizer, options.interval ?? 'epoch');
  }

  protected override apply(): void {
    this.multiply(this.options.gamma);
  }
}
