/** Entry point `zfnet/train`: the training loop for any network, optimisers, schedules, and the training of ZFNet with its run files. */
export * from './nn/optim/index.js';
export * from './nn/training/index.js';
export { epochCheckpoints, MemoryStore, PATHS, type RunStore } from './zfnet/run/run_store.js';
export { OPTIMIZERS, type OptimizerOptions, type PartialOptimizerOptions } from './zfnet/training/recipe/optimizer_options.js';
export { SCHEDULES, type ScheduleOptions, type WarmupOptions } from './zfnet/training/recipe/schedule_options.js';
export {
  DEFAULT_TRAINING,
  type GivenTrainingOptions,
  type TrainingOptions,
  trainingOptions,
} from './zfnet/training/recipe/training_options.js';
export { type StepReport, type TrainingListener, type TrainJob, type TrainResult, train } from './zfnet/training/train.js';
export { TrainingError } from './zfnet/training/watching/diagnosis.js';
