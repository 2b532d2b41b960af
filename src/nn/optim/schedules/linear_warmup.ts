/** A schedule that raises the learning rate linearly at the start of training. */
import { finite, integer, rule } from '../../../backend/validate.js';
import { CountingSchedule, checkSchedule, type HasLearningRate, type IntervalOption } from './schedule.js';

/** Options of `LinearWarmup`. `interval` defaults to `step`. */
export interface LinearWarmupOptions extends IntervalOption {
  /** Number of steps until the factor is `endFactor`. Default 5. */
  totalIters?: number;
  /** Factor of the learning rate before the first step, above 0 and at most 1. Default 1/3. */
  startFactor?: number;
  /** Factor of the learning rate after `totalIters` steps, from 0 to 1. Default 1. */
  endFactor?: number;
}

const WARMUP_RULES = {
  totalIters: integer(1),
  startFactor: rule('a number above 0 and at most 1', (value) => typeof value === 'number' && value > 0 && value <= 1),
  endFactor: finite(0, 1),
};

/**
 * Multiplies the learning rate by a factor that changes linearly from `startFactor` to `endFactor` over `totalIters` updates; afterwards
 * the rate is unchanged. Creating the schedule applies `startFactor`. The schedule multiplies the rate that it finds, so another one can
 * be stepped beside it. PyTorch `LinearLR`.
 *
 * @example const warmup = new LinearWarmup(optimizer, { totalIters: 500, startFactor: 0.01 });
 * @throws ValueError for invalid options
 */
export class LinearWarmup extends CountingSchedule {
  constructor(
    optimizer: HasLearningRate,
    private readonly options: LinearWarmupOptions = {},
  ) {
    checkSchedule('LinearWarmup', optimizer, options, WARMUP_RULES);
    super('LinearWarmup', optimizer, options.interval ?? 'step');
    this.multiply(options.startFactor ?? 1 / 3);
  }

  protected override apply(): void {
    const { totalIters = 5, startFactor = 1 / 3, endFactor = 1 } = this.options;
    if (this.count > totalIters) return;
    const rise = endFactor - startFactor;
    this.multiply(1 + rise / (totalIters * startFactor + (this.count - 1) * rise));
  }
}
