/** The arguments and the result of `train`, and the checks of the arguments. */
import {
  abortSignal,
  boolean,
  finite,
  func,
  instanceOf,
  integer,
  isPlainObject,
  numeric,
  objectWith,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import type { Dataset, Split } from '../../data/dataset.js';
import type { DataError } from '../../data/errors.js';
import { dataset as datasetRule, split as splitRule } from '../../data/rules.js';
import type { InitScheme } from '../../nn/index.js';
import type { Preprocess } from '../input/preprocess.js';
import { ZfNet } from '../model/model.js';
import { initScheme, preprocessing, runStore } from '../rules.js';
import type { EpochMetrics } from '../run/metrics.js';
import type { DataOptions, RunConfig } from '../run/run_config.js';
import type { RunStore } from '../run/run_store.js';
import type { GivenTrainingOptions } from './recipe/training_options.js';
import type { Best, Progress } from './training_state.js';

/** Progress of training after a step. */
export interface StepReport {
  /** Current epoch, from 1. */
  epoch: number;
  /** Number of epochs of the run. */
  epochs: number;
  /** Number of steps since the start of training. */
  step: number;
  /** Number of examples of this epoch that are done, and their total. */
  done: number;
  /** Number of examples per epoch. */
  total: number;
  /** Mean loss of the mini-batch. */
  loss: number;
  /** Learning rate that the step used, warm-up and schedule included. */
  lr: number;
}

/** Callbacks of training. */
export interface TrainingListener {
  /** Called after each update of the weights. It must be fast: training waits for it. */
  onStep?: (report: StepReport) => void;
  /** Called after each epoch, when its files are written. */
  onEpoch?: (metrics: EpochMetrics, best: Best | null) => void;
  /** Called during the two long phases without steps: computing the mean image, and validation. */
  onProgress?: (phase: 'mean' | 'validation', done: number, total: number) => void;
  /** Called once before the first step; `resumedAt` is the position of a resumed run. */
  onStart?: (config: RunConfig, resumedAt: Readonly<Progress> | null) => void;
  /** Called with a sentence for each event that does not end training, such as an image that cannot be read. */
  onWarning?: (message: string) => void;
}

/** Arguments of `train`. */
export interface TrainJob extends TrainingListener {
  /** The network with its initial weights. On `resume`, the weights are overwritten. */
  model: ZfNet;
  /** Data set, opened with `imageSize: sideFor(inputSize)`. Split `train` is for training, `val`, if present, for validation. */
  dataset: Dataset;
  /** Options with which the data set was opened, to record them in `config.json`. */
  dataOptions?: DataOptions;
  /** Store for the files of the run. Default: in memory. */
  store?: RunStore;
  /** Training options; defaults are those of the paper. On `resume`, the recorded options apply. */
  options?: GivenTrainingOptions;
  /** Scheme with which the model was initialised, to record it in `config.json`. Default: the default of `zfnet`. */
  init?: InitScheme;
  /** Factor by which pixels are multiplied. Default: `scaleFor(init)`. */
  scale?: number;
  /** Number of examples that the mean image is computed from, sampled at random. Default: all of them. */
  meanExamples?: number;
  /** Split that the mean image is computed from, if not `train`, for example because `train` repeats images. */
  meanSplit?: Split;
  /** The run whose weights the model has received by `startFrom`, and its preprocessing, which is used here too. */
  from?: { run: string; preprocess: Preprocess };
  /**
   * Frozen layers, a range from the first layer on: `conv1-fc7`, or `fc7` for short. If `augment` is `none`, their outputs are computed
   * once per image, otherwise in every epoch. On `resume`, the recorded value applies.
   */
  freeze?: string;
  /** Size in bytes of the cache for the outputs of frozen layers. Default 1 GiB. */
  keepBytes?: number;
  /** Whether to resume the run in `store`. Only the options `epochs` and `lr` may then differ from the recorded ones. Default false. */
  resume?: boolean;
  /** Whether to write only the configuration, the mean image and the initial weights, to train the run elsewhere. Default false. */
  prepareOnly?: boolean;
  /** Stops training after the current step and writes a checkpoint. */
  signal?: AbortSignal;
  /** Minutes between checkpoints within an epoch (default 5). */
  checkpointMinutes?: number;
  /** Steps between checkpoints within an epoch (default: no limit). */
  checkpointSteps?: number;
  /** Number of batches to read ahead. Default 2. */
  readAhead?: number;
  /**
   * Decides whether an image that cannot be read counts as lost, for example because its file was removed. A lost image ends training,
   * because the data differ from those at the start. Other unreadable images are skipped with a warning. Default: no image counts as lost.
   */
  isLost?: (error: DataError) => boolean;
}

const anObject = rule('an object', isPlainObject);

export const JOB: RulesFor<TrainJob> = {
  model: rule('a ZfNet; zfnet(preset, options) makes one', instanceOf(ZfNet).test),
  dataset: datasetRule,
  dataOptions: anObject,
  store: runStore,
  options: anObject,
  init: initScheme,
  scale: finite(),
  meanExamples: integer(1),
  meanSplit: splitRule,
  from: objectWith('an object { run, preprocess }', { run: text, preprocess: preprocessing }),
  freeze: text,
  keepBytes: numeric,
  resume: boolean,
  prepareOnly: boolean,
  signal: abortSignal,
  checkpointMinutes: numeric,
  checkpointSteps: integer(1),
  readAhead: integer(),
  isLost: func,
  onStep: func,
  onEpoch: func,
  onProgress: func,
  onStart: func,
  onWarning: func,
};

/** Result of `train`. */
export interface TrainResult {
  /** `stopped` by the signal, or `prepared` with the option `prepareOnly`. */
  status: 'done' | 'stopped' | 'prepared';
  /** Number of epochs and steps since the start of training. */
  epoch: number;
  /** Number of updates since the start of training, those before a resume included. */
  step: number;
  /** Metrics of all epochs, including those before a resume. */
  metrics: EpochMetrics[];
  /** The epoch with the lowest error, whose weights are in `best.safetensors`; null before the first epoch has ended. */
  best: Best | null;
  /** The configuration that was written to `config.json`. */
  config: RunConfig;
  /** The preprocessing with the mean image of the training data, for predictions. */
  preprocess: Preprocess;
}
