/** Checks the folder of a run before training: that it may be written, and that options agree with what a run to resume has recorded. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type GivenTrainingOptions, type OptimizerOptions, type RunConfig, readConfig, trainingOptions } from 'zfnet';
import { UsageError } from '../../command.js';
import { isRunFile } from '../replaced_run.js';
import { type FolderStore, isEmptyPlace } from '../run_folder.js';
import { isRun, naming } from '../runs.js';
import type { TrainRunOptions } from './options.js';

/** Throws `UsageError` if there is no run to resume. Returns an empty list: no files are replaced. */
export async function checkRun({ out }: TrainRunOptions): Promise<string[]> {
  if (!(await isRun(out)))
    throw new UsageError(
      `${out} is not a run: it contains no config.json, so there is nothing to resume. Leave out --resume to begin a new run`,
    );
  return [];
}

/** The optimiser of a recipe with its defaults filled in. */
const optimizerOf = (training: GivenTrainingOptions): OptimizerOptions => trainingOptions(training).optimizer ?? { kind: 'sgd' };

/** Reads the configuration of the run to resume. Throws `UsageError` if options contradict it. */
export async function recordedConfig(store: FolderStore, options: TrainRunOptions): Promise<RunConfig> {
  const { out } = options;
  const config = (await naming(out, () => readConfig(store))) as RunConfig;
  const { epochs: _, lr: __, optimizer, ...recipe } = options.training ?? {};
  const { preset, width, inputSize, dropout, init, scale } = options;
  const given: Record<string, unknown> = {
    ...recipe,
    optimizer: optimizer && optimizerOf({ optimizer }),
    preset,
    width,
    inputSize,
    dropout,
    init,
    scale,
    from: options.from,
    // A range may be given by its last layer alone: `conv5` means `conv1-conv5`.
    freeze: options.freeze !== undefined && config.freeze?.endsWith(`-${options.freeze}`) ? config.freeze : options.freeze,
    valFraction: options.dataOptions?.valFraction,
    imageColumn: options.dataOptions?.imageColumn,
    labelColumn: options.dataOptions?.labelColumn,
    pixelLimit: options.dataOptions?.pixelLimit,
  };
  const known: Record<string, unknown> = {
    ...config.training,
    optimizer: optimizerOf(config.training),
    ...config.data,
    ...config.preprocess,
    init: config.init,
    ...config.architecture,
    from: config.from,
    freeze: config.freeze,
    seed: config.training.seed,
  };
  const other = Object.entries(given).filter(([key, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(known[key]));
  if (other.length > 0)
    throw new UsageError(
      `--resume uses the recorded settings of the run, and these differ: ${other.map(([key, value]) => `${key} is ${JSON.stringify(known[key])} in ${out}, not ${JSON.stringify(value)}`).join('; ')}. Leave them out (only --epochs and --lr may change), or begin a new run`,
    );
  return config;
}

/** Throws `UsageError` if a run would start from the run that it replaces. */
export async function checkSource({ out, from }: TrainRunOptions): Promise<void> {
  if (from === undefined) return;
  const [source, target] = await Promise.all([from, out].map((path) => realpath(path).catch(() => resolve(path))));
  if (source === target)
    throw new UsageError(`--from and --out are the same run, ${out}: use another folder for --out, or resume the run with --resume`);
}

/** Throws `UsageError` if the folder of a new run is not empty, unless `force` is set. Returns the files of the run to replace. */
export async function checkPlace(store: FolderStore, { out, force }: TrainRunOptions): Promise<string[]> {
  if (await isEmptyPlace(out)) return [];
  const files = await store.list();
  if (files.length === 0) return [];
  const runHere = await isRun(out);
  if (!force)
    throw new UsageError(
      runHere
        ? `${out} already contains a run: continue it with --resume, or replace it with --force`
        : `${out} is not empty: use another folder for --out, or use this one with --force`,
    );
  return files.filter(isRunFile);
}
