/** Schedules along half a cosine (Loshchilov & Hutter 2017, without restarts). */
import { checkArgument, finite, integer } from '../../../backend/validate.js';
import {
  CountingSchedule,
  checkSchedule,
  checkState,
  type HasLearningRate,
  type IntervalOption,
  ratesOf,
  type Schedule,
  type ScheduleInterval,
  type ScheduleState,
} from './schedule.js';

/** Name of the initial rate of group `i` in a state. */
const firstKey = (i: number): string => (i === 0 ? 'first' : `first${i}`);
const namedRates = (rates: readonly number[]): Record<string, number> => Object.fromEntries(rates.map((lr, i) => [firstKey(i), lr]));

/** Options of `CosineAnnealingLR`. */
export interface CosineAnnealingLROptions extends IntervalOption {
  /** Number of steps until the rate is `etaMin`. PyTorch `T_max`. */
  tMax: number;
  /** Smallest learning rate. Default 0. */
  etaMin?: number;
}

/**
 * Lowers the learning rate along half a cosine: after step t it is etaMin + (lr − etaMin) · (1 + cos(π·t/tMax)) / 2; after `tMax` steps
 * it rises again. Each step changes the rate that it finds by the recursive form of this formula, so that another schedule can be
 * stepped beside it. PyTorch `CosineAnnealingLR`.
 *
 * @example const schedule = new CosineAnnealingLR(optimizer, { tMax: 90 });
 * @throws ValueError for invalid options
 */
export class CosineAnnealingLR extends CountingSchedule {
  private first: readonly number[];

  constructor(
    optimizer: HasLearningRate,
    private readonly options: CosineAnnealingLROptions,
  ) {
    checkSchedule('CosineAnnealingLR', optimizer, options, { tMax: integer(1), etaMin: finite(0) }, 'tMax');
    super('CosineAnnealingLR', optimizer, options.interval ?? 'epoch');
    this.first = ratesOf(optimizer).map(({ lr }) => lr);
  }

  /** The state: the number of steps, and the initial rates as `first` for the first group, `first1` for the second and so on. */
  override stateDict(): Record<string, number> {
    return { ...super.stateDict(), ...namedRates(this.first) };
  }

  override loadStateDict(state: ScheduleState): void {
    const rules = { epoch: integer(), ...Object.fromEntries(this.first.map((_, i) => [firstKey(i), finite()])) };
    checkState('CosineAnnealingLR.loadStateDict', state, rules);
    super.loadStateDict({ epoch: state.epoch });
    this.first = this.first.map((_, i) => state[firstKey(i)] as number);
  }

  protected override apply(): void {
    const { tMax, etaMin = 0 } = this.options;
    const cosine = (count: number) => 1 + Math.cos((Math.PI * count) / tMax);
    const atBottom = (this.count - 1 - tMax) % (2 * tMax) === 0;
    ratesOf(this.optimizer).forEach((group, i) => {
      // At the lowest point the factor of the recursive form would be 0 / 0.
      if (atBottom) group.lr += ((this.first[i] - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
      else group.lr = (cosine(this.count) / cosine(this.count - 1)) * (group.lr - etaMin) + etaMin;
    });
  }
}

/** Options of `CosineLR`. */
export interface CosineLROptions extends IntervalOption {
  /** Number of steps until the rate is `minLr`. */
  epochs: number;
  /** Smallest learning rate. Default 0. */
  minLr?: number;
}

/**
 * Lowers the learning rate from its initial value to `minLr` (default 0) along half a cosine and leaves it there: after epoch e of n it
 * is minLr + (lr − minLr) · (1 + cos(π·e/n)) / 2. Unlike `CosineAnnealingLR` it sets the rate, whatever it was, and can be restarted.
 *
 * @throws ValueError for invalid options
 */
export class CosineLR implements Schedule {
  readonly interval: ScheduleInterval;
  private epoch = 0;
  private first: readonly number[];

  constructor(
    private readonly optimizer: HasLearningRate,
    private readonly options: CosineLROptions,
  ) {
    checkSchedule('CosineLR', optimizer, options, { epochs: finite(0), minLr: finite(0) }, 'epochs');
    this.interval = options.interval ?? 'epoch';
    this.first = ratesOf(optimizer).map(({ lr }) => lr);
  }

  /** Ends an epoch. Call it once per epoch. */
  step(): void {
    this.epoch = Math.min(this.epoch + 1, this.options.epochs);
    this.apply();
  }

  /** Sets the current learning rate of every group to `lr` and scales the rest of the cosine to it. */
  restart(lr: number): void {
    checkArgument('CosineLR.restart', 'lr', lr, finite(0));
    const { minLr = 0 } = this.options;
    const first = minLr + (lr - minLr) / Math.max(this.share(), Number.EPSILON);
    this.first = this.first.map(() => first);
    this.apply();
  }

  /** The state: the number of epochs, and the initial rates as `first` for the first group, `first1` for the second and so on. */
  stateDict(): Record<string, number> {
    return { epoch: this.epoch, ...namedRates(this.first) };
  }

  /** Also sets the learning rates, which differ from the saved ones if the number of epochs has changed. */
  loadStateDict(state: ScheduleState): void {
    const keys = this.first.map((_, i) => firstKey(i));
    checkState('CosineLR.loadStateDict', state, { epoch: finite(0), ...Object.fromEntries(keys.map((key) => [key, finite()])) });
    this.epoch = state.epoch as number;
    this.first = keys.map((key) => state[key] as number);
    this.apply();
  }

  /** Factor of the cosine for the current epoch: 1 at the start, 0 at the end. */
  private share(): number {
    return (1 + Math.cos((Math.PI * this.epoch) / Math.max(this.options.epochs, 1))) / 2;
  }

  private apply(): void {
    const { minLr = 0 } = this.options;
    ratesOf(this.optimizer).forEach((group, i) => {
      group.lr = minLr + (this.first[i] - minLr) * this.share();
    });
  }
}
