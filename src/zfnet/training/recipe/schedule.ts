/** Creates the learning-rate schedule for `TrainingOptions.schedule` and `TrainingOptions.warmup`. */
import {
  CosineLR,
  ExponentialLR,
  type HasLearningRate,
  MultiStepLR,
  OneCycleLR,
  ReduceLROnPlateau,
  type ScheduleState,
  StepLR,
} from '../../../nn/index.js';
import type { ScheduleOptions, WarmupOptions } from './schedule_options.js';

/** Saved state of a schedule in training. */
export type SavedSchedule = Record<string, number | null>;

/** Interface of a schedule in training. */
export interface Schedule {
  /** Follows an update of the weights. */
  afterStep(): void;
  /** Ends an epoch with the measure that should fall, and updates the learning rate. Call it once per epoch. */
  step(measure: number): void;
  /** State for a checkpoint. */
  state(): SavedSchedule;
  /** Loads a saved state. Call it after the state of the optimiser is restored. */
  restore(state: SavedSchedule): void;
  /** Sets the learning rate by hand. */
  setLr(lr: number): void;
}

/** Length of a training run. */
export interface Length {
  epochs: number;
  stepsPerEpoch: number;
}

/** Returns a schedule that sets the learning rate of `optimizer`, whose present rate is the initial (`one-cycle`: the highest) one. */
export function makeSchedule(optimizer: HasLearningRate, options: ScheduleOptions, length: Length, warmup?: WarmupOptions): Schedule {
  return warmup ? new Warmup(optimizer, warmup, (base) => bySchedule(base, options, length)) : bySchedule(optimizer, options, length);
}

function bySchedule(optimizer: HasLearningRate, options: ScheduleOptions, { epochs, stepsPerEpoch }: Length): Schedule {
  const setLr = (lr: number) => {
    optimizer.lr = lr;
  };
  switch (options.kind) {
    case 'plateau':
      return adapt(new ReduceLROnPlateau(optimizer, { factor: options.factor, patience: options.patience, eps: 0 }), setLr);
    case 'step':
      return adapt(new StepLR(optimizer, { stepSize: options.every, gamma: options.factor }), setLr);
    case 'multi-step':
      return adapt(new MultiStepLR(optimizer, { milestones: options.milestones, gamma: options.factor }), setLr);
    case 'exponential':
      return adapt(new ExponentialLR(optimizer, { gamma: options.factor }), setLr);
    case 'cosine': {
      const cosine = new CosineLR(optimizer, { epochs });
      return adapt(cosine, (lr) => cosine.restart(lr));
    }
    case 'one-cycle':
      return new OneCycle(optimizer, options, Math.max(1, epochs * stepsPerEpoch));
    case 'constant':
      return { afterStep() {}, step() {}, state: () => ({}), restore() {}, setLr };
  }
}

interface Scheduler {
  step(measure: number): unknown;
  stateDict(): ScheduleState;
  loadStateDict(state: ScheduleState): void;
}

/** A schedule that changes the rate once per epoch. */
function adapt(scheduler: Scheduler, setLr: (lr: number) => void): Schedule {
  return {
    afterStep() {},
    step: (measure) => void scheduler.step(measure),
    state: () => scheduler.stateDict() as SavedSchedule,
    restore: (state) => scheduler.loadStateDict(state),
    setLr,
  };
}

/** The 1cycle schedule, with a highest rate that can be changed. */
class OneCycle implements Schedule {
  private maxLr: number;
  private cycle: OneCycleLR;

  constructor(
    private readonly optimizer: HasLearningRate,
    private readonly options: Extract<ScheduleOptions, { kind: 'one-cycle' }>,
    private readonly totalSteps: number,
  ) {
    this.maxLr = optimizer.lr;
    this.cycle = this.make();
  }

  afterStep(): void {
    this.cycle.step();
  }

  step(): void {}

  state(): SavedSchedule {
    return { ...this.cycle.stateDict(), maxLr: this.maxLr };
  }

  restore({ maxLr, ...state }: SavedSchedule): void {
    this.maxLr = maxLr as number;
    this.cycle = this.make();
    this.cycle.loadStateDict(state);
  }

  setLr(lr: number): void {
    this.restore({ ...this.state(), maxLr: lr });
  }

  private make(): OneCycleLR {
    const { rise, momentum } = this.options;
    return new OneCycleLR(this.optimizer, {
      maxLr: this.maxLr,
      totalSteps: this.totalSteps,
      pctStart: rise,
      cycleMomentum: momentum,
    });
  }
}

/** Multiplies the rate of another schedule by a factor that rises to 1. The other schedule never sees the factor. */
class Warmup implements Schedule {
  /** The rate without the factor. */
  private readonly base: { lr: number };
  private readonly inner: Schedule;
  private count = 0;

  constructor(
    private readonly optimizer: HasLearningRate,
    private readonly options: WarmupOptions,
    make: (base: HasLearningRate) => Schedule,
  ) {
    this.base = { lr: optimizer.lr };
    this.inner = make(this.base);
    this.apply();
  }

  afterStep(): void {
    this.count = Math.min(this.count + 1, this.options.steps);
    this.inner.afterStep();
    this.apply();
  }

  step(measure: number): void {
    this.inner.step(measure);
    this.apply();
  }

  state(): SavedSchedule {
    return { ...this.inner.state(), warmup: this.count, base: this.base.lr };
  }

  restore({ warmup, base, ...state }: SavedSchedule): void {
    this.base.lr = base as number;
    this.count = warmup as number;
    this.inner.restore(state);
    this.apply();
  }

  setLr(lr: number): void {
    this.inner.setLr(lr);
    this.apply();
  }

  private apply(): void {
    const { steps, from } = this.options;
    this.optimizer.lr = this.base.lr * (this.count >= steps ? 1 : from + ((1 - from) * this.count) / steps);
  }
}
