/** Creates the learning-rate schedule for `TrainingOptions.schedule`. */
import { CosineLR, ReduceLROnPlateau, StepLR } from '../../nn/index.js';
import type { ScheduleOptions } from './training_options.js';

/** Interface of a schedule in training. */
export interface Schedule {
  /** Ends an epoch with the measure that should fall, and updates `optimizer.lr`. Call it once per epoch. */
  step(measure: number): void;
  /** State for a checkpoint. */
  state(): Record<string, number | null>;
  /** Loads a saved state. Call it after the state of the optimiser is restored. */
  restore(state: Record<string, number | null>): void;
  /** Sets the learning rate by hand. */
  setLr(lr: number): void;
}

/** Returns a schedule that sets the learning rate of `optimizer`. */
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
