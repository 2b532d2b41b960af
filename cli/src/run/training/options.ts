/** The options and the result of `trainRun`. */
import type { DataOptions, GivenTrainingOptions, InitScheme, PresetName, TrainResult, ZfNet } from 'zfnet';
import type { Dataset } from 'zfnet/data';

/** Options of `trainRun`. Defaults follow the data; see `../defaults.ts`. */
export interface TrainRunOptions {
  /** Value of `--data`. With `resume` it may be left out; the run has recorded it. */
  data?: string;
  dataOptions?: DataOptions;
  /** The run's folder. */
  out: string;
  preset?: PresetName;
  width?: number;
  inputSize?: number;
  dropout?: number;
  init?: InitScheme;
  scale?: number;
  training?: GivenTrainingOptions;
  /** Run whose network and weights the new run starts from; the last layer only if the classes are the same. */
  from?: string;
  /** Frozen layers: see `TrainJob.freeze`. */
  freeze?: string;
  /** Size in bytes of the cache for outputs of frozen layers. */
  keepBytes?: number;
  resume?: boolean;
  /** Write the initial state of training and stop before the first step. */
  prepareOnly?: boolean;
  /** Start a new run in a folder that is not empty; a run in it is replaced. */
  force?: boolean;
  checkpointMinutes?: number;
  checkpointSteps?: number;
  meanExamples?: number;
  /** Number of threads that read and decode images. Default: half the cores, at most 4. */
  workers?: number;
  signal?: AbortSignal;
}

/** Result of `trainRun`. The caller must dispose of the model. */
export interface TrainRunResult extends TrainResult {
  out: string;
  seconds: number;
  model: ZfNet;
  dataset: Dataset;
}
