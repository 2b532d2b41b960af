/** The options of the learning-rate schedule, and their checks. */
import { arrayOf, boolean, checkArgument, checkFields, integer, oneOf, positive, type Rules, rule } from '../../../backend/validate.js';

/**
 * Schedule of the learning rate.
 * - `plateau`: multiplied by `factor` after more than `patience` epochs without a lower validation error, as the paper does by hand
 * - `step`: multiplied by `factor` every `every` epochs
 * - `multi-step`: multiplied by `factor` after each of the epochs `milestones`
 * - `exponential`: multiplied by `factor` after every epoch
 * - `cosine`: lowered from the initial rate to 0 along half a cosine over all epochs
 * - `one-cycle`: raised to the given rate over the share `rise` of all steps and then lowered to almost 0 (Smith & Topin 2018). With
 *   `momentum`, the momentum falls from 0.95 to 0.85 and rises again
 * - `constant`: not changed
 */
export type ScheduleOptions =
  | { kind: 'plateau'; factor: number; patience: number }
  | { kind: 'step'; factor: number; every: number }
  | { kind: 'multi-step'; factor: number; milestones: readonly number[] }
  | { kind: 'exponential'; factor: number }
  | { kind: 'cosine' }
  | { kind: 'one-cycle'; rise: number; momentum: boolean }
  | { kind: 'constant' };

/** Kinds of learning-rate schedules. */
export const SCHEDULES = [
  'plateau',
  'step',
  'multi-step',
  'exponential',
  'cosine',
  'one-cycle',
  'constant',
] as const satisfies readonly ScheduleOptions['kind'][];

/** Warm-up: the rate of each step is multiplied by a factor that rises linearly from `from` to 1 over the first `steps` steps. */
export interface WarmupOptions {
  /** Number of steps (updates, not epochs) until the full rate is reached, from 1. */
  steps: number;
  /** Factor of the first step, above 0 and below 1. */
  from: number;
}

const below1 = rule('a number above 0 and below 1', (value) => typeof value === 'number' && value > 0 && value < 1);
const increasing = rule('epochs in ascending order, such as [30, 60]', (value) => {
  if (!arrayOf(integer(1), 1).test(value)) return false;
  return (value as number[]).every((epoch, i) => i === 0 || epoch > (value as number[])[i - 1]);
});
const kind = oneOf(...SCHEDULES);

/** The fields of each kind of schedule, all of which are required. */
const FIELDS: Readonly<Record<ScheduleOptions['kind'], Rules>> = {
  plateau: { kind, factor: below1, patience: integer() },
  step: { kind, factor: below1, every: integer(1) },
  'multi-step': { kind, factor: below1, milestones: increasing },
  exponential: { kind, factor: rule('a number above 0 and at most 1', (value) => positive.test(value) && (value as number) <= 1) },
  cosine: { kind },
  'one-cycle': { kind, rise: below1, momentum: boolean },
  constant: { kind },
};

const WARMUP: Rules = { steps: integer(1), from: below1 };

/** @throws ValueError naming the field that is missing, unknown or out of range */
export function checkSchedule(schedule: ScheduleOptions): void {
  checkArgument('train', 'schedule.kind', schedule.kind, kind);
  const fields = FIELDS[schedule.kind];
  checkFields('train: schedule', schedule, fields, Object.keys(fields));
}

/** @throws ValueError naming the field that is missing, unknown or out of range */
export function checkWarmup(warmup: WarmupOptions): void {
  checkFields('train: warmup', warmup, WARMUP, Object.keys(WARMUP));
}
