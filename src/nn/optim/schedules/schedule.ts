/** The interface of learning-rate schedules, and their common part. */
import { checkArgument, checkOptions, finite, integer, oneOf, type Rule, type Rules, rule } from '../../../backend/validate.js';

/** The part of an optimiser that a schedule changes: the learning rate of every group, or of the object itself without `groups`. */
export interface HasLearningRate {
  /** Learning rate of the first group; the next step of the optimiser uses the current value. */
  lr: number;
  /** Parameter groups with rates of their own; a schedule changes the rate of each. */
  readonly groups?: readonly { lr: number; momentum?: number }[];
}

/** How often a schedule is to be stepped: after every epoch, or after every update of the parameters. */
export type ScheduleInterval = 'epoch' | 'step';

/** State of a schedule: plain JSON. */
export type ScheduleState = Record<string, number | null | readonly number[]>;

/** A learning-rate schedule. Training loops accept any object of this form. */
export interface Schedule {
  /** How often a training loop calls `step()`. Default: after every epoch. */
  readonly interval?: ScheduleInterval;
  /** Sets the learning rates for what follows. @param measure a value that should fall, for schedules that follow one */
  step(measure?: number): unknown;
  /** Returns the state as plain JSON. The learning rates are part of the optimiser's state. */
  stateDict(): ScheduleState;
  /** Restores a saved state. Restore the optimiser's state between the creation of the schedule and this call. */
  loadStateDict(state: ScheduleState): void;
}

const optimizerRule = rule('an optimiser', (value) => typeof (value as HasLearningRate | null)?.lr === 'number');
const intervalRule: Rule = oneOf('epoch', 'step');

/** Checks the optimiser and the options of a schedule; `required` names options without a default. */
export function checkSchedule(op: string, optimizer: unknown, options: object | undefined, rules: Rules, ...required: string[]): void {
  checkArgument(op, 'the optimiser', optimizer, optimizerRule);
  checkOptions(op, required.length > 0 ? (options ?? null) : options, { ...rules, interval: intervalRule });
  for (const name of required) checkArgument(op, name, (options as Record<string, unknown>)[name], rules[name]);
}

/** Checks every value of a saved state by its rule. */
export function checkState(op: string, state: unknown, rules: Rules): void {
  checkOptions(op, state ?? null, rules);
  for (const name of Object.keys(rules)) checkArgument(op, name, (state as Record<string, unknown>)[name], rules[name]);
}

/** Returns the objects whose `lr` a schedule sets: the groups of an optimiser, or the object itself. */
export const ratesOf = (optimizer: HasLearningRate): readonly { lr: number; momentum?: number }[] => optimizer.groups ?? [optimizer];

/** Options of every schedule. */
export interface IntervalOption {
  /** How often a training loop calls `step()`: after every epoch, or after every update of the parameters (`step`). */
  interval?: ScheduleInterval;
}

/** Base class of the schedules whose only state is the number of steps. */
export abstract class CountingSchedule implements Schedule {
  readonly interval: ScheduleInterval;
  /** Number of calls of `step()`. */
  protected count = 0;

  protected constructor(
    private readonly kind: string,
    protected readonly optimizer: HasLearningRate,
    interval: ScheduleInterval,
  ) {
    this.interval = interval;
  }

  /** Sets the learning rates for what follows. Call it after every epoch, or after every update if `interval` is `step`. */
  step(): void {
    this.count++;
    this.apply();
  }

  stateDict(): Record<string, number> {
    return { epoch: this.count };
  }

  loadStateDict(state: ScheduleState): void {
    checkState(`${this.kind}.loadStateDict`, state, { epoch: integer() });
    this.count = state.epoch as number;
  }

  /** Sets the learning rates after `count` steps. */
  protected abstract apply(): void;

  /** Multiplies the learning rate of every group. */
  protected multiply(factor: number): void {
    for (const group of ratesOf(this.optimizer)) group.lr *= factor;
  }
}

/** Rule for a factor of the learning rate. */
export const factorRule: Rule = finite(0);
