/** Learning-rate schedules. Each one sets the learning rates of an optimiser; its state can be saved and loaded. */
export { CosineAnnealingLR, type CosineAnnealingLROptions, CosineLR, type CosineLROptions } from './cosine.js';
export { LinearWarmup, type LinearWarmupOptions } from './linear_warmup.js';
export { OneCycleLR, type OneCycleLROptions } from './one_cycle.js';
export { type PlateauOptions, ReduceLROnPlateau } from './plateau.js';
export type { HasLearningRate, Schedule, ScheduleInterval, ScheduleState } from './schedule.js';
export {
  ExponentialLR,
  type ExponentialLROptions,
  MultiStepLR,
  type MultiStepLROptions,
  StepLR,
  type StepLROptions,
} from './step_lr.js';
