/** Opens runs and checkpoints: the network with its weights, its preprocessing and its classes. */
import { checkArgument, checkOptions, func, objectWith, type RulesFor, text } from '../../backend/validate.js';
import { bytes as bytesRule } from '../../data/rules.js';
import { decodeCheckpoint } from '../../formats/checkpoint.js';
import { FormatError } from '../../formats/errors.js';
import { type InitScheme, type Network, StateError } from '../../nn/index.js';
import type { Classifier } from '../evaluation/class_probabilities.js';
import { Preprocess, type PreprocessOptions } from '../input/preprocess.js';
import { type ZfNet, zfnet } from '../model/model.js';
import { runStore } from '../rules.js';
import type { TrainingState } from '../training/training_state.js';
import { checkTrainingState } from '../training/training_state_check.js';
import { checkpointInfo } from './checkpoint_info.js';
import { type EpochMetrics, readMetrics } from './metrics.js';
import { type ImportedConfig, type ImportedNetwork, isImported, type RunConfig, readRunConfig } from './run_config.js';
import { PATHS, type RunStore } from './run_store.js';

/** A network from a checkpoint, in evaluation mode. */
export interface LoadedModel extends Classifier {
  /** The network, with its architecture. The caller disposes of it. */
  model: ZfNet;
  /** Class names in the order of the network's outputs. */
  classes: string[];
  /** Scheme of the initial weights. */
  init: InitScheme;
  /** Fingerprint of the training data. */
  fingerprint: string;
  /** State of training when the checkpoint was written; absent if it has none. */
  training?: TrainingState;
}

/** An opened run: a network trained by `train`, or an imported one, with everything needed to evaluate and visualise it. */
export interface Run extends Classifier {
  /** Class names in the order of the network's outputs. */
  classes: string[];
  /** The configuration as in `config.json`. `'network' in config` tells an imported run from a trained one. */
  config: RunConfig | ImportedConfig;
  /** Fingerprint of the training data. */
  fingerprint: string;
  /** One entry per finished epoch; empty for an imported network. */
  metrics: EpochMetrics[];
  /** Path of the file with the weights: `best.safetensors`, `last.safetensors` if there is no best yet, or `model.onnx`. */
  checkpoint: string;
}

/** A run trained by `train`. */
export interface TrainedRun extends Run, LoadedModel {
  /** The network with the weights of the best epoch, in evaluation mode. */
  model: ZfNet;
  /** Class names in the order of the network's outputs. */
  classes: string[];
  /** The configuration, which repeats the training when it is passed on to it. */
  config: RunConfig;
}

/** Whether a run was trained by `train`, so that it has an architecture, a recipe and checkpoints. False for imported networks. */
export function isTrained(run: Run): run is TrainedRun {
  checkArgument('isTrained', 'run', run, objectWith('a run, such as await openRun(store)', {}));
  return !isImported(run.config);
}

/**
 * Creates a network from the bytes of an imported model, as `OnnxClassifier` of 'zfnet/onnx' does.
 *
 * @param read reads a file of external data next to the model
 */
export type ModelLoader = (
  bytes: Uint8Array,
  options: Omit<ImportedNetwork, 'file' | 'mean'>,
  read: (path: string) => Promise<Uint8Array>,
) => Promise<Network>;

/** Options of `openRun`. */
export interface OpenRunOptions {
  /** Path of the checkpoint to open, such as `checkpoints/epoch-0003.safetensors`. Default: the best one, else the last one. */
  checkpoint?: string;
  /** Required for runs of imported networks. It is an option so that programs without imported networks do not load the ONNX code. */
  loadModel?: ModelLoader;
}

const OPEN_OPTIONS: RulesFor<OpenRunOptions> = { checkpoint: text, loadModel: func };

/**
 * Opens a run: its network with the best weights (the last ones if no epoch has ended yet), or its imported network. The caller disposes of
 * the model.
 *
 * ```ts
 * const run = await openRun(store);
 * const { top1Error } = await evaluate(run, dataset.splits.val);
 * ```
 *
 * @throws FormatError if there is no run, or if it is damaged
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

/**
 * As `openRun`, but only for runs trained by `train`.
 *
 * @example const { model, config } = await openTrainedRun(store);
 * @throws StateError for the run of an imported network
 */
export async function openTrainedRun(store: RunStore, options: Pick<OpenRunOptions, 'checkpoint'> = {}): Promise<TrainedRun> {
  const run = await openRun(store, options);
  if (isTrained(run)) return run;
  throw new StateError('this run holds an imported network, expected a run that was trained by train()');
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
  if (mean.length !== channels) throw new FormatError(`${PATHS.config}: network.mean has ${mean.length} values, expected ${channels}`);
  return Float32Array.from({ length: channels * side * side }, (_, i) => mean[Math.floor(i / (side * side))]);
}

/**
 * The network of a checkpoint, in evaluation mode, with its preprocessing and classes.
 *
 * @example const { model, classes } = loadModel((await store.read('best.safetensors'))!, 'best.safetensors');
 * @param bytes of the checkpoint file
 * @param name of the file, for errors
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
