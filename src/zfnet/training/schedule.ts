/** The learning rate of each epoch, by one of the schedules of `training_options.ts`. */
import { CosineLR, ReduceLROnPlateau, StepLR } from '../../nn/index.js';
import type { ScheduleOptions } from './training_options.js';

/** What training asks of a schedule. */
export interface Schedule {
  /** Call once an epoch, with the measure that should fall. Changes `optimizer.lr`. */
  step(measure: number): void;
  state(): Record<string, number | null>;
  /** Call it after the optimizer's own state is back. */
  restore(state: Record<string, number | null>): void;
  /** Changes the rate by hand. */
  setLr(lr: number): void;
}

export function makeSchedule(optimizer: { lr: number }, options: ScheduleOptions, epochs: number): Schedule {
  const setLr = (lr: number) => {
    optimizer.lr = lr;
  };
  switch (options.kind) {
    case 'plateau':
      return adapt(new ReduceLROnPlateau(optimizer, { factor: options.factor, patience: options.patience }), setLr);
    case 'step':
      return adapt(new StepLR(optimizer, { stepSize: options.every, gamma: options.factor }), setLr);
    case 'cosine': {
      const cosine = new CosineLR(optimizer, { epochs });
      return adapt(cosine, (lr) => cosine.restart(lr));
    }
    case 'constant':
      return { step() {}, state: () => ({}), restore() {}, setLr };
  }
}

interface Scheduler<S> {
  step(measure: number): unknown;
  stateDict(): S;
  loadStateDict(state: S): void;
}

function adapt<S extends Record<string, number | null>>(scheduler: Scheduler<S>, setLr: (lr: number) => void): Schedule {
  return {
    step: (measure) => void scheduler.step(measure),
    state: () => scheduler.stateDict(),
    restore: (state) => scheduler.loadStateDict(state as S),
    setLr,
  };
}
