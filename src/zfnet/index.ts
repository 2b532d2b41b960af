/** ZFNet: the network, its training and its evaluation. */
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../formats/checkpoint.js';
export { FormatError } from '../formats/errors.js';
export {
  ABLATIONS,
  type Ablation,
  type AblationJob,
  type AblationRow,
  ablate,
  type PublishedAblation,
} from './ablation.js';
export { AUGMENTATIONS, type Augmentation, type Crop, centreCrop, drawCrop, tenCrops } from './augment.js';
export { type LinearOnPixelsOptions, linearOnPixels, type NearestNeighbourOptions, nearestNeighbour } from './baselines.js';
export { type CheckpointInfo, checkpointInfo } from './checkpoint_info.js';
export { type DominatingFilters, deadFilters, dominatingFilters, TrainingError } from './diagnosis.js';
export {
  type ClassEvaluation,
  type Classifier,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type Prediction,
  predict,
} from './evaluate.js';
export { analyseFeatures, type FeatureAnalysisOptions, type FeatureRow, type PublishedFeatures } from './feature_analysis.js';
export {
  type ExtractOptions,
  extractFeatures,
  type Features,
  type LayerFeatures,
  type Matrix,
  type Stage,
  selectRows,
  stages,
} from './features.js';
export { FrozenLayers, type FrozenOptions, lastFrozenLayer } from './frozen_layers.js';
export {
  CLASSIFIERS,
  type ClassifierKind,
  type FitOptions,
  type FitReport,
  fitLinear,
  type LinearClassifier,
  linearErrors,
  linearScores,
} from './linear_classifiers.js';
export { productsOf, type SvmOptions, type SvmSolution, solveSvm } from './linear_svm.js';
export { type EpochMetrics, readMetrics } from './metrics.js';
export {
  type Architecture,
  architectureOf,
  defaultInit,
  PRESETS,
  type PresetName,
  REMOVABLE_LAYERS,
  type RemovableLayer,
  type Variant,
  ZfNet,
  type ZfnetOptions,
  zfnet,
} from './model.js';
export { inCentreCrop, meanShade, plainImage } from './occluder.js';
export { type MeanOptions, meanImage, Preprocess, type PreprocessOptions, scaleFor, sideFor } from './preprocess.js';
export {
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
export { epochCheckpoints, MemoryStore, PATHS, type RunStore } from './run_store.js';
export { type SoftmaxOptions, type SoftmaxSolution, solveSoftmax } from './softmax_regression.js';
export { startFrom } from './start_from.js';
export { type StepReport, type TrainingListener, type TrainJob, type TrainResult, train } from './train.js';
export { DEFAULT_TRAINING, SCHEDULES, type ScheduleOptions, type TrainingOptions, trainingOptions } from './training_options.js';
export type { Best, Progress, TrainingState } from './training_state.js';
export {
  METHODS,
  type PublishedTransfer,
  type ScratchOptions,
  type TransferFold,
  type TransferJob,
  type TransferMethod,
  type TransferRow,
  transfer,
  transferRows,
} from './transfer.js';
export { type VerifiedFile, verifyRun } from './verify_run.js';
