/** Learning-rate schedules. Each one sets `optimizer.lr`; its state can be saved and loaded. */
import { checkArgument, checkOptions, finite, integer, numeric, orNull, positive, type Rules, rule } from '../../backend/validate.js';

interface HasLr {
  lr: number;
}

/** Accepts NaN, which counts as no improvement. */
const anyNumber = rule('a number', (value) => typeof value === 'number');
const optimizerRule = rule('an optimiser', (value) => typeof (value as HasLr | null)?.lr === 'number');

/** Checks the optimiser and the options of a scheduler; `required` names an option without a default. */
function checkScheduler(op: string, optimizer: unknown, options: object | undefined, rules: Rules, required?: string): void {
  checkArgument(op, 'the optimiser', optimizer, optimizerRule);
  checkOptions(op, required && options === undefined ? null : options, rules);
  if (required) checkArgument(op, required, (options as Record<string, unknown>)[required], rules[required]);
}

/** Checks every value of a saved state by its rule. */
function checkState(op: string, state: unknown, rules: Rules): void {
  checkOptions(op, state ?? null, rules);
  for (const name of Object.keys(rules)) checkArgument(op, name, (state as Record<string, unknown>)[name], rules[name]);
}

/** Multiplies the learning rate by `gamma` (default 0.1) every `stepSize` epochs. PyTorch `StepLR`. */
export class StepLR {
  private epoch = 0;

  constructor(
    private readonly optimizer: HasLr,
    private readonly options: { stepSize: number; gamma?: number },
  ) {
    checkScheduler('StepLR', optimizer, options, { stepSize: integer(1), gamma: finite(0) }, 'stepSize');
  }

  /** Ends an epoch. Call it once per epoch. */
  step(): void {
    this.epoch++;
    if (this.epoch % this.options.stepSize === 0) this.optimizer.lr *= this.options.gamma ?? 0.1;
  }

  stateDict(): Record<string, number> {
    return { epoch: this.epoch };
  }

  loadStateDict(state: Record<string, number>): void {
    checkState('StepLR.loadStateDict', state, { epoch: integer() });
    this.epoch = state.epoch;
  }
}

/**
 * Lowers the learning rate from its initial value to `minLr` (default 0) along half a cosine: after epoch e of n it is
 * minLr + (lr − minLr) · (1 + cos(π·e/n)) / 2 (Loshchilov & Hutter 2017, without restarts). PyTorch `CosineAnnealingLR`.
 */
export class CosineLR {
  private epoch = 0;
  private first: number;

  constructor(
    private readonly optimizer: HasLr,
    private readonly options: { epochs: number; minLr?: number },
  ) {
    checkScheduler('CosineLR', optimizer, options, { epochs: finite(0), minLr: finite(0) }, 'epochs');
    this.first = optimizer.lr;
  }

  /** Ends an epoch. Call it once per epoch. */
  step(): void {
    this.epoch = Math.min(this.epoch + 1, this.options.epochs);
    this.apply();
  }

  /** Sets the current learning rate to `lr` and scales the rest of the cosine to it. */
  restart(lr: number): void {
    checkArgument('CosineLR.restart', 'lr', lr, finite(0));
    const { minLr = 0 } = this.options;
    this.first = minLr + (lr - minLr) / Math.max(this.share(), Number.EPSILON);
    this.apply();
  }

  stateDict(): Record<string, number> {
    return { epoch: this.epoch, first: this.first };
  }

  /** Also sets `optimizer.lr`, which differs from the saved one if the number of epochs has changed. */
  loadStateDict(state: Record<string, number>): void {
    checkState('CosineLR.loadStateDict', state, { epoch: finite(0), first: finite() });
    this.epoch = state.epoch;
    this.first = state.first;
    this.apply();
  }

  /** Factor of the cosine for the current epoch: 1 at the start, 0 at the end. */
  private share(): number {
    return (1 + Math.cos((Math.PI * this.epoch) / Math.max(this.options.epochs, 1))) / 2;
  }

  private apply(): void {
    const { minLr = 0 } = this.options;
    this.optimizer.lr = minLr + (this.first - minLr) * this.share();
  }
}

/** Options of `ReduceLROnPlateau`. */
export interface PlateauOptions {
  /** Factor by which the learning rate is multiplied. Default 0.1. */
  factor?: number;
  /** Number of epochs without improvement after which the rate is still unchanged. Default 10. */
  patience?: number;
  /** Smallest improvement that counts, relative to the best value. Default 1e-4. */
  threshold?: number;
  /** Lower bound of the learning rate. Default 0. */
  minLr?: number;
}

/**
 * Lowers the learning rate when a measure that should fall, such as the validation error, has stopped falling. The paper anneals
 * "when the validation error plateaus". PyTorch `ReduceLROnPlateau` with mode `min` and a relative threshold.
 */
export class ReduceLROnPlateau {
  private best = Number.POSITIVE_INFINITY;
  private bad = 0;

  constructor(
    private readonly optimizer: HasLr,
    private readonly options: PlateauOptions = {},
  ) {
    checkScheduler('ReduceLROnPlateau', optimizer, options, {
      factor: positive,
      patience: integer(),
      threshold: finite(0),
      minLr: finite(0),
    });
  }

  /** Ends an epoch with the given measure. Call it once per epoch. Returns whether the learning rate was lowered. */
  step(measure: number): boolean {
    checkArgument('ReduceLROnPlateau.step', 'the measure', measure, anyNumber);
    const { factor = 0.1, patience = 10, threshold = 1e-4, minLr = 0 } = this.options;
    if (measure < this.best * (1 - threshold)) {
      this.best = measure;
      this.bad = 0;
    } else this.bad++;
    if (this.bad <= patience) return false;
    this.bad = 0;
    const before = this.optimizer.lr;
    this.optimizer.lr = Math.max(before * factor, minLr);
    return this.optimizer.lr < before;
  }

  stateDict(): Record<string, number | null> {
    return { best: Number.isFinite(this.best) ? this.best : null, bad: this.bad };
  }

  loadStateDict(state: Record<string, number | null>): void {
    checkOptions('ReduceLROnPlateau.loadStateDict', state ?? null, { best: orNull(numeric), bad: orNull(integer()) });
    this.best = state.best ?? Number.POSITIVE_INFINITY;
    this.bad = state.bad ?? 0;
  }
}
