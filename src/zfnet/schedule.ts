/** The learning rate of each epoch, by one of the schedules of `training_options.ts`. */
import { CosineLR, ReduceLROnPlateau, StepLR } from '../nn/index.js';
import type { ScheduleOptions } from './training_options.js';

/** What training asks of a schedule. */
export interface Schedule {
  /** Call once an epoch, with the measure that should fall. Changes `optimizer.lr`. */
  step(measure: number): void;
  state(): Record<string, number | null>;
  restore(state: Record<string, number | null>): void;
}

export function makeSchedule(optimizer: { lr: number }, options: ScheduleOptions, epochs: number): Schedule {
  switch (options.kind) {
    case 'plateau':
      return adapt(new ReduceLROnPlateau(optimizer, { factor: options.factor, patience: options.patience }));
    case 'step':
      return adapt(new StepLR(optimizer, { stepSize: options.every, gamma: options.factor }));
    case 'cosine':
      return adapt(new CosineLR(optimizer, { epochs }));
    case 'constant':
      return { step() {}, state: () => ({}), restore() {} };
  }
}

interface Scheduler<S> {
  step(measure: number): unknown;
  stateDict(): S;
  loadStateDict(state: S): void;
}

function adapt<S extends Record<string, number | null>>(scheduler: Scheduler<S>): Schedule {
  return {
    step: (measure) => void scheduler.step(measure),
    state: () => scheduler.stateDict(),
    restore: (state) => scheduler.loadStateDict(state as S),
  };
}
