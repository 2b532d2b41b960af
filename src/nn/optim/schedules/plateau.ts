/** A schedule that follows a measure, such as the validation error. */
import { checkArgument, checkOptions, finite, integer, numeric, oneOf, orNull, positive, rule } from '../../../backend/validate.js';
import {
  checkSchedule,
  type HasLearningRate,
  type IntervalOption,
  ratesOf,
  type Schedule,
  type ScheduleInterval,
  type ScheduleState,
} from './schedule.js';

/** Accepts NaN, which counts as no improvement. */
const anyNumber = rule('a number', (value) => typeof value === 'number');

/** Options of `ReduceLROnPlateau`. */
export interface PlateauOptions extends IntervalOption {
  /** Whether the measure should fall (`min`, the default) or rise (`max`). */
  mode?: 'min' | 'max';
  /** Factor by which the learning rate is multiplied. Default 0.1. */
  factor?: number;
  /** Number of epochs without improvement after which the rate is still unchanged. Default 10. */
  patience?: number;
  /** Smallest improvement that counts, relative to the best value unless `thresholdMode` is `abs`. Default 1e-4. */
  threshold?: number;
  /** Whether `threshold` is relative (`rel`, the default) or absolute (`abs`). */
  thresholdMode?: 'rel' | 'abs';
  /** Number of epochs after a change in which epochs without improvement are not counted. Default 0. */
  cooldown?: number;
  /** Lower bound of the learning rate. Default 0. */
  minLr?: number;
  /** A change of a learning rate by this much or less is not made. Default 1e-8. */
  eps?: number;
}

const PLATEAU_RULES = {
  mode: oneOf('min', 'max'),
  factor: positive,
  patience: integer(),
  threshold: finite(0),
  thresholdMode: oneOf('rel', 'abs'),
  cooldown: integer(),
  minLr: finite(0),
  eps: finite(0),
};

/**
 * Lowers the learning rate when a measure that should fall, such as the validation error, has stopped falling. The paper anneals
 * "when the validation error plateaus". PyTorch `ReduceLROnPlateau`.
 *
 * @example
 * const schedule = new ReduceLROnPlateau(optimizer, { patience: 3 });
 * const lowered = schedule.step(0.25); // the validation error of the epoch
 * @throws ValueError for invalid options
 */
export class ReduceLROnPlateau implements Schedule {
  readonly interval: ScheduleInterval;
  private best: number;
  private bad = 0;
  /** Number of epochs of the cooldown that are left. */
  private cooling = 0;

  constructor(
    private readonly optimizer: HasLearningRate,
    private readonly options: PlateauOptions = {},
  ) {
    checkSchedule('ReduceLROnPlateau', optimizer, options, PLATEAU_RULES);
    this.interval = options.interval ?? 'epoch';
    this.best = this.worst();
  }

  /** Ends an epoch with the given measure. Call it once per epoch. Returns whether a learning rate was lowered. */
  step(measure: number): boolean {
    checkArgument('ReduceLROnPlateau.step', 'the measure', measure, anyNumber);
    const { patience = 10, cooldown = 0 } = this.options;
    if (this.isBetter(measure)) {
      this.best = measure;
      this.bad = 0;
    } else this.bad++;
    if (this.cooling > 0) {
      this.cooling--;
      this.bad = 0;
    }
    if (this.bad <= patience) return false;
    this.bad = 0;
    this.cooling = cooldown;
    return this.lower();
  }

  stateDict(): Record<string, number | null> {
    return {
      best: Number.isFinite(this.best) ? this.best : null,
      bad: this.bad,
      ...(this.options.cooldown && { cooling: this.cooling }),
    };
  }

  loadStateDict(state: ScheduleState): void {
    checkOptions('ReduceLROnPlateau.loadStateDict', state ?? null, {
      best: orNull(numeric),
      bad: orNull(integer()),
      cooling: orNull(integer()),
    });
    this.best = (state.best as number | null) ?? this.worst();
    this.bad = (state.bad as number | null) ?? 0;
    this.cooling = (state.cooling as number | null | undefined) ?? 0;
  }

  private worst(): number {
    return this.options.mode === 'max' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }

  private isBetter(measure: number): boolean {
    const { mode = 'min', threshold = 1e-4, thresholdMode = 'rel' } = this.options;
    const sign = mode === 'min' ? -1 : 1;
    const bar = thresholdMode === 'rel' ? this.best * (1 + sign * threshold) : this.best + sign * threshold;
    return mode === 'min' ? measure < bar : measure > bar;
  }

  /** Multiplies the learning rate of every group by the factor. Returns whether one was lowered. */
  private lower(): boolean {
    const { factor = 0.1, minLr = 0, eps = 1e-8 } = this.options;
    let lowered = false;
    for (const group of ratesOf(this.optimizer)) {
      const next = Math.max(group.lr * factor, minLr);
      if (group.lr - next <= eps) continue;
      group.lr = next;
      lowered = true;
    }
    return lowered;
  }
}
