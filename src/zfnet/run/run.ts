/** Opening what training left: the network with its weights, what its input looks like and what its outputs mean. */
import { checkArgument, checkOptions, func, objectWith, type RulesFor, text } from '../../backend/validate.js';
import { bytes as bytesRule } from '../../data/rules.js';
import { decodeCheckpoint } from '../../formats/checkpoint.js';
import { FormatError } from '../../formats/errors.js';
import { type InitScheme, type Network, StateError } from '../../nn/index.js';
import type { Classifier } from '../evaluation/evaluate.js';
import { Preprocess, type PreprocessOptions } from '../input/preprocess.js';
import { type ZfNet, zfnet } from '../model/model.js';
import { runStore } from '../rules.js';
import type { TrainingState } from '../training/training_state.js';
import { checkTrainingState } from '../training/training_state_check.js';
import { checkpointInfo } from './checkpoint_info.js';
import { type EpochMetrics, readMetrics } from './metrics.js';
import { type ImportedConfig, type ImportedNetwork, isImported, type RunConfig, readRunConfig } from './run_config.js';
import { PATHS, type RunStore } from './run_store.js';

/** A network out of a checkpoint, in evaluation mode. */
export interface LoadedModel extends Classifier {
  model: ZfNet;
  classes: string[];
  /** The initial weights' scheme. */
  init: InitScheme;
  /** Of the data that it learnt from. */
  fingerprint: string;
  /** Where training was when it was written, if it was training. */
  training?: TrainingState;
}

/** What can be looked into, evaluated and reported on: a run trained here, or of a network from elsewhere. */
export interface Run extends Classifier {
  classes: string[];
  config: RunConfig | ImportedConfig;
  /** Of the data that it learnt from. */
  fingerprint: string;
  metrics: EpochMetrics[];
  /** The file that the weights are from: `best.safetensors`, or `last.safetensors` where there is no best yet, or `model.onnx`. */
  checkpoint: string;
}

/** A run trained here. */
export interface TrainedRun extends Run, LoadedModel {
  model: ZfNet;
  classes: string[];
  config: RunConfig;
}

/** Whether a run was trained here, so that it has an architecture of ours, a recipe and checkpoints. */
export function isTrained(run: Run): run is TrainedRun {
  checkArgument('isTrained', 'run', run, objectWith('a run, such as await openRun(store)', {}));
  return !isImported(run.config);
}

/**
 * Makes a network of an imported model's bytes, as `OnnxClassifier` of 'zfnet/onnx' does.
 *
 * @param read gives a file beside the model: external data
 */
export type ModelLoader = (
  bytes: Uint8Array,
  options: Omit<ImportedNetwork, 'file' | 'mean'>,
  read: (path: string) => Promise<Uint8Array>,
) => Promise<Network>;

export interface OpenRunOptions {
  /** Another file of the run: `last.safetensors`, `checkpoints/epoch-0003.safetensors`. */
  checkpoint?: string;
  /** Needed for runs of imported networks; kept out of the engine so that who does not import does not load it. */
  loadModel?: ModelLoader;
}

const OPEN_OPTIONS: RulesFor<OpenRunOptions> = { checkpoint: text, loadModel: func };

/**
 * Opens a run: its best weights, or its last where no epoch has ended yet; or its imported network. The model is the caller's to dispose.
 *
 * @throws FormatError where there is no run, or it is damaged
 * @throws StateError for an imported network without `loadModel`
 */
export async function openRun(store: RunStore, options: OpenRunOptions = {}): Promise<Run> {
  checkArgument('openRun', 'store', store, runStore);
  checkOptions('openRun', options, OPEN_OPTIONS);
  const config = await readRunConfig(store);
  if (!config) throw new FormatError(`this is no run: it has no ${PATHS.config}`);
  if (isImported(config)) return await openImported(store, config, options);
  const candidates = options.checkpoint ? [options.checkpoint] : [PATHS.best, PATHS.last];
  for (const path of candidates) {
    const bytes = await store.read(path);
    if (bytes) return { ...loadModel(bytes, path), config, metrics: await readMetrics(store), checkpoint: path };
  }
  throw new FormatError(`this run has no ${candidates.join(' and no ')}`);
}

/** As `openRun`, for runs that were trained here alone. Throws `StateError` for the run of an imported network. */
export async function openTrainedRun(store: RunStore, options: Pick<OpenRunOptions, 'checkpoint'> = {}): Promise<TrainedRun> {
  const run = await openRun(store, options);
  if (isTrained(run)) return run;
  throw new StateError('this run holds an imported network, where one is wanted that was trained here');
}

async function openImported(store: RunStore, config: ImportedConfig, { checkpoint, loadModel }: OpenRunOptions): Promise<Run> {
  const { network, data, preprocess } = config;
  if (checkpoint !== undefined && checkpoint !== network.file)
    throw new FormatError(`this run of an imported network has no ${checkpoint}, only ${network.file}`);
  if (!loadModel)
    throw new StateError(`this run holds an imported network: give openRun the option loadModel, which reads ${network.file}`);
  const bytes = await store.read(network.file);
  if (!bytes) throw new FormatError(`this run has no ${network.file}`);
  const model = await loadModel(bytes, network, async (path) => {
    const beside = await store.read(path);
    if (!beside) throw new FormatError(`this run has no ${path}, which ${network.file} needs`);
    return beside;
  });
  const mean = { shape: [preprocess.channels, preprocess.side, preprocess.side], data: meanPlanes(network.mean, preprocess) };
  const { classes, fingerprint } = data;
  return { config, model, preprocess: new Preprocess(preprocess, mean), classes, fingerprint, metrics: [], checkpoint: network.file };
}

function meanPlanes(mean: readonly number[], { channels, side }: PreprocessOptions): Float32Array {
  if (mean.length !== channels) throw new FormatError(`${PATHS.config}: network.mean has ${mean.length} numbers, expected ${channels}`);
  return Float32Array.from({ length: channels * side * side }, (_, i) => mean[Math.floor(i / (side * side))]);
}

/**
 * The network in a checkpoint's bytes, in evaluation mode.
 *
 * @param name what to call the file in errors
 */
export function loadModel(bytes: Uint8Array, name: string): LoadedModel {
  checkArgument('loadModel', 'bytes', bytes, bytesRule);
  checkArgument('loadModel', 'name', name, text);
  const checkpoint = decodeCheckpoint(bytes, name);
  const { architecture, init, classes, fingerprint, preprocess } = checkpointInfo(checkpoint, name);
  const { training } = checkpoint.info;
  if (training !== undefined) checkTrainingState(training, `${name}: its metadata 'training'`);
  const model = zfnet(architecture.preset, { ...architecture, init });
  model.loadStateDict(checkpoint.weights);
  model.eval();
  return { model, preprocess: new Preprocess(preprocess, checkpoint.mean), classes, init, fingerprint, training };
}
