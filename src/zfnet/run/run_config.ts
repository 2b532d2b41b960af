/** `config.json`: everything needed to repeat a run, and the check that a run resumes with the same network, data and recipe. */
import { anything, arrayOf, checkArgument, isPlainObject, rule, show, text } from '../../backend/validate.js';
import type { Dataset } from '../../data/dataset.js';
import { FormatError } from '../../formats/errors.js';
import { parseJson } from '../../formats/json.js';
import { type InitScheme, StateError } from '../../nn/index.js';
import type { PreprocessOptions } from '../input/preprocess.js';
import { type Architecture, architectureOf } from '../model/model.js';
import { initScheme, runStore } from '../rules.js';
import { optimizerOptions } from '../training/recipe/optimizer_options.js';
import { type GivenTrainingOptions, type TrainingOptions, trainingOptions } from '../training/recipe/training_options.js';
import {
  ARCHITECTURE_RULES,
  CHANGE_RULES,
  checkedBy,
  checkField,
  checkFields,
  DATA_RULES,
  ENGINE_RULES,
  NETWORK_RULES,
  optional,
  PREPROCESS_RULES,
} from './run_rules.js';
import { PATHS, type RunStore, readText, writeText } from './run_store.js';

const VERSION = 1;

/** Source of the examples, and the fingerprint that identifies them. */
export interface DataRecord {
  /** The source as the user named it: `mnist`, `idx:DIR` or a folder. */
  source: string;
  /** The source with absolute paths, if it has a path, because a relative path depends on the working directory. */
  location?: string;
  /** `Dataset.fingerprint` of the training data. A resume refuses data with another one. */
  fingerprint: string;
  /** Class names in the order of the labels. */
  classes: string[];
  /** Number of examples of the training split. */
  trainExamples: number;
  /** Number of examples of the validation split; 0 without one. */
  valExamples: number;
  /** Options of `openDataset` that change the examples. */
  seed?: number;
  /** Number of examples per split, for `scenes`. */
  sizes?: Record<string, number>;
  /** Fraction of the images that was held out for validation. */
  valFraction?: number;
  /** Column of the images, for parquet files. */
  imageColumn?: string;
  /** Column of the labels, for parquet files. */
  labelColumn?: string;
  /** Largest number of pixels of an image that is decoded. */
  pixelLimit?: number;
}

/** An option that was changed on a resume. */
export interface Change {
  /** Number of epochs that were done at the time of the change. */
  epoch: number;
  /** Name of the training option, such as `epochs`. */
  option: string;
  /** Value before the resume, as in `config.json`. */
  from: unknown;
  /** Value from this epoch on. */
  to: unknown;
}

/** Configuration of a trained run, as in `config.json`. */
export interface RunConfig {
  /** The network, without its weights. */
  architecture: Architecture;
  /** Scheme of the initial weights. Their seed is that of the training options. */
  init: InitScheme;
  /** The training data and the fingerprint by which a resume recognises them. */
  data: DataRecord;
  /** Size, scale and channels of the network's input. */
  preprocess: PreprocessOptions;
  /** Name of the run from whose weights this one was started, if any. */
  from?: string;
  /** Range of frozen layers, if any: `conv1-fc7`. */
  freeze?: string;
  /** Options of the training with their defaults filled in. */
  training: TrainingOptions;
  /** Backend and mode of the run. Results of other backends and of the mode `fast` differ in rounding. */
  engine: EngineRecord;
  /** Options that were changed on resumes, in the order of the changes; empty for a run in one go. */
  changes: Change[];
}

/** Configuration of the run of an imported ONNX network, which can be evaluated and visualised but not trained further. */
export interface ImportedConfig {
  /** The imported file with its hash, and the tensors that are input and scores. */
  network: ImportedNetwork;
  /** Classes of the outputs; `source` is the imported file. */
  data: DataRecord;
  /** Preprocessing as given on the import; the file itself does not record it. */
  preprocess: PreprocessOptions;
}

/** How an imported model is read and run. */
export interface ImportedNetwork {
  /** Path of the model within the run. */
  file: string;
  /** Order of the colour channels of the input. */
  channelOrder: 'rgb' | 'bgr';
  /** Order of the input's axes, if it does not follow from the shape. */
  layout?: 'nchw' | 'nhwc';
  /** Name of the output with the class scores. Default: inferred from the graph. */
  output?: string;
  /** Function that converts the scores to probabilities. Default: inferred from the graph. */
  scores?: 'softmax' | 'log-softmax' | 'sigmoid' | 'none' | 'sigmoid-logits';
  /** The only batch size that the model supports, if its shapes do not tell. */
  batch?: number;
  /** Value subtracted from each channel (0 to 255), red first. */
  mean: readonly number[];
}

/** Whether a configuration is that of an imported network. */
export function isImported(config: RunConfig | ImportedConfig): config is ImportedConfig {
  checkArgument('isImported', 'config', config, runConfig);
  return 'network' in config;
}

const runConfig = rule('the configuration of a run, such as await readRunConfig(store)', isPlainObject);

/** Backend and mode that a run was computed with. */
export interface EngineRecord {
  backend: string;
  mode: string;
}

/** Options of `openDataset` that the record contains. */
export type DataOptions = Pick<DataRecord, 'seed' | 'sizes' | 'valFraction' | 'imageColumn' | 'labelColumn' | 'pixelLimit'>;

/** The record of a data set for `config.json`. */
export function recordOf(dataset: Dataset, options: DataOptions = {}): DataRecord {
  return {
    source: dataset.name,
    ...(dataset.location !== undefined && { location: dataset.location }),
    fingerprint: dataset.fingerprint,
    classes: [...dataset.classes],
    trainExamples: dataset.splits.train?.length ?? 0,
    valExamples: dataset.splits.val?.length ?? 0,
    ...options,
  };
}

/** Writes the `config.json` of a run. */
export async function writeConfig(store: RunStore, config: RunConfig | ImportedConfig): Promise<void> {
  checkArgument('writeConfig', 'store', store, runStore);
  checkArgument('writeConfig', 'config', config, runConfig);
  await writeText(store, PATHS.config, `${JSON.stringify({ version: VERSION, ...config }, null, 2)}\n`);
}

/**
 * Reads the `config.json` of a trained run; null if there is none.
 *
 * @example const config = await readConfig(store); // null for an empty store
 * @throws FormatError for a file that is damaged or of another version
 * @throws StateError for the run of an imported network, which only `readRunConfig` reads
 */
export async function readConfig(store: RunStore): Promise<RunConfig | null> {
  const config = await readRunConfig(store);
  if (config && isImported(config))
    throw new StateError(
      `this run holds an imported network (${config.network.file}), which cannot be resumed; to train it further, use loadOnnx() of 'zfnet/onnx'`,
    );
  return config;
}

/**
 * Reads the `config.json` of a trained run or of an imported network; null if there is none.
 *
 * @throws FormatError for a file that is damaged or of another version
 */
export async function readRunConfig(store: RunStore): Promise<RunConfig | ImportedConfig | null> {
  checkArgument('readConfig', 'store', store, runStore);
  const written = await readText(store, PATHS.config);
  if (written === null) return null;
  let value: unknown;
  try {
    value = parseJson(written);
  } catch (error) {
    throw new FormatError(`${PATHS.config}: not JSON (${(error as Error).message}); restore the file from a copy`, { cause: error });
  }
  if (!isPlainObject(value)) throw new FormatError(`${PATHS.config}: got ${show(value)}, expected an object; restore the file from a copy`);
  checkVersion(value.version);
  const { version: _, ...config } = value;
  return Object.hasOwn(value, 'network') ? checkImported(config) : checkTrained(config);
}

function checkVersion(version: unknown): void {
  if (version === VERSION) return;
  if (typeof version === 'number' && version > VERSION)
    throw new FormatError(
      `${PATHS.config}: written by a newer zfnet (version ${version} of the file, this zfnet reads version ${VERSION}); update zfnet`,
    );
  throw new FormatError(`${PATHS.config}: version is ${show(version)}, this zfnet reads version ${VERSION}; restore the file from a copy`);
}

function checkTrained(config: Record<string, unknown>): RunConfig {
  const file = PATHS.config;
  const { changes = [] } = config;
  checkFields(`${file}:`, config, { init: initScheme, from: optional(text), freeze: optional(text) });
  checkArchitecture(`${file}: architecture`, config.architecture);
  checkFields(`${file}: data`, config.data, DATA_RULES);
  checkFields(`${file}: preprocess`, config.preprocess, PREPROCESS_RULES);
  checkFields(`${file}: engine`, config.engine, ENGINE_RULES);
  checkField(`${file}: changes`, changes, arrayOf(anything));
  for (const [i, change] of (changes as unknown[]).entries()) checkFields(`${file}: changes[${i}]`, change, CHANGE_RULES);
  if (!isPlainObject(config.training)) checkFields(`${file}: training`, config.training, {});
  const training = checkedBy(`${file}: training`, () => trainingOptions(config.training as Partial<TrainingOptions>));
  return { ...config, changes, training } as RunConfig;
}

function checkImported(config: Record<string, unknown>): ImportedConfig {
  const file = PATHS.config;
  checkFields(`${file}: network`, config.network, NETWORK_RULES);
  checkFields(`${file}: data`, config.data, DATA_RULES);
  checkFields(`${file}: preprocess`, config.preprocess, PREPROCESS_RULES);
  return config as unknown as ImportedConfig;
}

/** @throws FormatError unless the value from a file is a valid architecture */
export function checkArchitecture(where: string, value: unknown): asserts value is Architecture {
  checkFields(where, value, ARCHITECTURE_RULES);
  checkedBy(where, () => architectureOf(value.preset as Architecture['preset'], value as unknown as Architecture));
}

/** @throws StateError naming every difference in the network, the data or the preprocessing that prevents a resume */
export function checkSameRun(recorded: RunConfig, now: Pick<RunConfig, 'architecture' | 'data' | 'preprocess'>): void {
  const differences = [
    ...fieldDifferences('architecture', recorded.architecture, now.architecture),
    ...fieldDifferences('preprocess', recorded.preprocess, now.preprocess),
    ...dataDifferences(recorded.data, now.data),
  ];
  if (differences.length > 0)
    throw new StateError(
      `train: this run cannot resume, because its settings differ: ${differences.join('; ')}. Use the recorded settings, or start a new run`,
    );
}

/** @throws StateError naming every option that differs, except `epochs` and `lr`, which may change */
export function checkSameRecipe(recorded: TrainingOptions, given: GivenTrainingOptions): void {
  const { epochs: _, lr: __, optimizer, ...others } = given;
  const recipe = { ...others, ...(optimizer && { optimizer: optimizerOptions(optimizer) }) };
  const before = new Map<string, unknown>(Object.entries({ optimizer: { kind: 'sgd' }, ...recorded }));
  const differences = Object.entries(recipe)
    .filter(([key, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(before.get(key)))
    .map(([key, value]) => `${key} was ${JSON.stringify(before.get(key))} and is ${JSON.stringify(value)}`);
  if (differences.length > 0)
    throw new StateError(
      `train: a run resumes with its recorded options; only epochs and lr may change: ${differences.join('; ')}. Omit them, or start a new run`,
    );
}

function fieldDifferences(where: string, before: object, now: object): string[] {
  const [earlier, later] = [before, now].map(
    (fields) => new Map(Object.entries(fields).map(([key, value]) => [key, JSON.stringify(value)])),
  );
  return [...new Set([...later.keys(), ...earlier.keys()])]
    .filter((key) => earlier.get(key) !== later.get(key))
    .map((key) => `${where}.${key} was ${earlier.get(key)} and is ${later.get(key)}`);
}

function dataDifferences(before: DataRecord, now: DataRecord): string[] {
  if (before.fingerprint === now.fingerprint) return [];
  const named: string[] = [];
  if (before.classes.join('\n') !== now.classes.join('\n')) {
    const gone = before.classes.filter((name) => !now.classes.includes(name));
    const added = now.classes.filter((name) => !before.classes.includes(name));
    named.push(`classes were ${before.classes.length} and are ${now.classes.length}${list('gone', gone)}${list('new', added)}`);
  }
  if (before.trainExamples !== now.trainExamples) named.push(`training examples were ${before.trainExamples} and are ${now.trainExamples}`);
  if (before.valExamples !== now.valExamples) named.push(`validation examples were ${before.valExamples} and are ${now.valExamples}`);
  return [
    `the data have changed (fingerprint ${before.fingerprint}, now ${now.fingerprint}${named.length > 0 ? `: ${named.join(', ')}` : ''})`,
  ];
}

const list = (word: string, names: readonly string[]): string =>
  names.length === 0 ? '' : `, ${word}: ${names.slice(0, 5).join(' ')}${names.length > 5 ? ' …' : ''}`;
