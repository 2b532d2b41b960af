/** Opening what training left: the network with its weights, what its input looks like and what its outputs mean. */
import { type Checkpoint, decodeCheckpoint } from '../formats/checkpoint.js';
import { FormatError } from '../formats/errors.js';
import type { InitScheme } from '../nn/index.js';
import type { Classifier } from './evaluate.js';
import { type EpochMetrics, readMetrics } from './metrics.js';
import { type Architecture, type ZfNet, zfnet } from './model.js';
import { Preprocess, type PreprocessOptions } from './preprocess.js';
import { type RunConfig, readConfig } from './run_config.js';
import { PATHS, type RunStore } from './run_store.js';
import type { TrainingState } from './training_state.js';

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

export interface Run extends LoadedModel {
  config: RunConfig;
  metrics: EpochMetrics[];
  /** The file that the weights are from: `best.safetensors`, or `last.safetensors` where there is no best yet. */
  checkpoint: string;
}

/**
 * Opens a run: its best weights, or its last where no epoch has ended yet. The model is the caller's to dispose.
 *
 * @param options.checkpoint another file of the run instead: `last.safetensors`, `checkpoints/epoch-0003.safetensors`
 * @throws FormatError where there is no run, or it is damaged
 */
export async function openRun(store: RunStore, options: { checkpoint?: string } = {}): Promise<Run> {
  const config = await readConfig(store);
  if (!config) throw new FormatError(`this is no run: it has no ${PATHS.config}`);
  const candidates = options.checkpoint ? [options.checkpoint] : [PATHS.best, PATHS.last];
  for (const path of candidates) {
    const bytes = await store.read(path);
    if (bytes) return { ...loadModel(bytes, path), config, metrics: await readMetrics(store), checkpoint: path };
  }
  throw new FormatError(`this run has no ${candidates.join(' and no ')}`);
}

/** The checkpoints that a run keeps of its epochs, in order. */
export async function epochCheckpoints(store: RunStore): Promise<{ epoch: number; path: string }[]> {
  const paths = await store.list();
  return paths
    .flatMap((path) => {
      const epoch = Number(/^checkpoints\/epoch-(\d+)\.safetensors$/.exec(path)?.[1]);
      return Number.isNaN(epoch) ? [] : [{ epoch, path }];
    })
    .sort((a, b) => a.epoch - b.epoch);
}

/**
 * The network in a checkpoint's bytes, in evaluation mode.
 *
 * @param name what to call the file in errors
 */
export function loadModel(bytes: Uint8Array, name: string): LoadedModel {
  const checkpoint = decodeCheckpoint(bytes, name);
  const { architecture, init, classes, fingerprint, preprocess, training } = readInfo(checkpoint, name);
  const model = zfnet(architecture.preset, { ...architecture, init });
  model.loadStateDict(checkpoint.weights);
  model.eval();
  return { model, preprocess: new Preprocess(preprocess, checkpoint.mean), classes, init, fingerprint, training };
}

interface Info {
  architecture: Architecture;
  init: InitScheme;
  classes: string[];
  fingerprint: string;
  preprocess: PreprocessOptions;
  training?: TrainingState;
}

function readInfo({ info }: Checkpoint, name: string): Info {
  for (const key of ['architecture', 'init', 'classes', 'preprocess']) {
    if (info[key] === undefined) throw new FormatError(`${name}: its metadata lacks '${key}'`);
  }
  return info as unknown as Info;
}
