/** Exports of ZFNet: the network, preprocessing, training, runs, evaluation and the experiments that train. */

export {
  CLASSIFIERS,
  type ClassifierKind,
  type FitOptions,
  type FitReport,
  fitLinear,
  type LinearClassifier,
  linearErrors,
} from '../analysis/linear_classifiers.js';
export { productsOf, type SvmOptions, type SvmSolution, solveSvm } from '../analysis/linear_svm.js';
export { type Matrix, selectRows } from '../analysis/matrix.js';
export { type SoftmaxOptions, type SoftmaxSolution, solveSoftmax } from '../analysis/softmax_regression.js';
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../formats/checkpoint.js';
export { FormatError } from '../formats/errors.js';
export { type LinearOnPixelsOptions, linearOnPixels, type NearestNeighbourOptions, nearestNeighbour } from './evaluation/baselines.js';
export type { Classifier } from './evaluation/class_probabilities.js';
export { type ClassEvaluation, type EvaluateOptions, type Evaluation, evaluate } from './evaluation/evaluate.js';
export {
  type Prediction,
  type PredictSplitOptions,
  predict,
  predictSplit,
  type SplitPrediction,
  type SplitPredictions,
} from './evaluation/predict.js';
export {
  ABLATIONS,
  type Ablation,
  type AblationJob,
  type AblationRow,
  ablate,
  type PublishedAblation,
} from './experiments/ablation.js';
export { analyseFeatures, type FeatureAnalysisOptions, type FeatureRow, type PublishedFeatures } from './experiments/feature_analysis.js';
export {
  type ExtractOptions,
  extractFeatures,
  type Features,
  type LayerFeatures,
  type Stage,
  stages,
} from './experiments/features.js';
export {
  isTransferFold,
  METHODS,
  type PublishedTransfer,
  type ScratchOptions,
  type TransferFold,
  type TransferJob,
  type TransferMethod,
  type TransferRow,
  transfer,
  transferRows,
} from './experiments/transfer.js';
export { AUGMENTATIONS, type Augmentation, type Crop, centreCrop, drawCrop, sampleCrop, tenCrops } from './input/augment.js';
export { examplesToTensor, type ImagesToTensorOptions, imagesToTensor } from './input/images_to_tensor.js';
export { type MeanOptions, meanImage } from './input/mean_image.js';
export { inCentreCrop, meanShade, plainImage } from './input/occluder.js';
export { Preprocess, type PreprocessOptions, scaleFor, sideFor } from './input/preprocess.js';
export {
  type Architecture,
  architectureOf,
  defaultInit,
  isClassifier,
  PRESETS,
  type PresetName,
  REMOVABLE_LAYERS,
  type RemovableLayer,
  type Variant,
  ZfNet,
  type ZfnetOptions,
  zfnet,
} from './model/model.js';
export { startFrom } from './model/start_from.js';
export { type CheckpointInfo, checkpointInfo } from './run/checkpoint_info.js';
export { type EpochMetrics, readMetrics } from './run/metrics.js';
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
} from './run/run.js';
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
} from './run/run_config.js';
export { epochCheckpoints, MemoryStore, PATHS, type RunStore } from './run/run_store.js';
export { type VerifiedFile, verifyRun } from './run/verify_run.js';
export { FrozenLayers, type FrozenOptions, lastFrozenLayer } from './training/frozen_layers.js';
export { networkRecipe } from './training/recipe/network_recipe.js';
export { OPTIMIZERS, type OptimizerOptions, type PartialOptimizerOptions } from './training/recipe/optimizer_options.js';
export { SCHEDULES, type ScheduleOptions, type WarmupOptions } from './training/recipe/schedule_options.js';
export {
  DEFAULT_TRAINING,
  type GivenTrainingOptions,
  type TrainingOptions,
  trainingOptions,
} from './training/recipe/training_options.js';
export { type StepReport, type TrainingListener, type TrainJob, type TrainResult, train } from './training/train.js';
export type { Best, Progress, TrainingState } from './training/training_state.js';
export { type DominatingFilters, deadFilters, dominatingFilters, TrainingError } from './training/watching/diagnosis.js';
