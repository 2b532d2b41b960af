/** ZFNet: the network, its training and its evaluation. */
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../formats/checkpoint.js';
export { FormatError } from '../formats/errors.js';
export { AUGMENTATIONS, type Augmentation, type Crop, centreCrop, drawCrop, tenCrops } from './augment.js';
export { type NearestNeighbourOptions, nearestNeighbour } from './baselines.js';
export { deadFilters, TrainingError } from './diagnosis.js';
export {
  type ClassEvaluation,
  type Classifier,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type Prediction,
  predict,
} from './evaluate.js';
export { type EpochMetrics, readMetrics } from './metrics.js';
export { type Architecture, architectureOf, defaultInit, PRESETS, type PresetName, ZfNet, type ZfnetOptions, zfnet } from './model.js';
export { type MeanOptions, meanImage, Preprocess, type PreprocessOptions, scaleFor, sideFor } from './preprocess.js';
export {
  epochCheckpoints,
  isTrained,
  type LoadedModel,
  loadModel,
  type ModelLoader,
  type OpenRunOptions,
  openRun,
  openTrainedRun,
  type Run,
  type TrainedRun,
} from './run.js';
export {
  type Change,
  type DataOptions,
  type DataRecord,
  type ImportedConfig,
  type ImportedNetwork,
  isImported,
  type RunConfig,
  readConfig,
  readRunConfig,
  writeConfig,
} from './run_config.js';
export { MemoryStore, PATHS, type RunStore } from './run_store.js';
export { type StepReport, type TrainingListener, type TrainJob, type TrainResult, train } from './train.js';
export { DEFAULT_TRAINING, SCHEDULES, type ScheduleOptions, type TrainingOptions, trainingOptions } from './training_options.js';
export type { Best, Progress, TrainingState } from './training_state.js';
