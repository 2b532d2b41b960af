/** `config.json`: everything needed to repeat a run, and the comparison that keeps a run from going on with something else. */
import { anything, arrayOf, checkArgument, isPlainObject, rule, show, text } from '../../backend/validate.js';
import type { Dataset } from '../../data/dataset.js';
import { FormatError } from '../../formats/errors.js';
import { parseJson } from '../../formats/json.js';
import { type InitScheme, StateError } from '../../nn/index.js';
import type { PreprocessOptions } from '../input/preprocess.js';
import { type Architecture, architectureOf } from '../model/model.js';
import { initScheme, runStore } from '../rules.js';
import { type TrainingOptions, trainingOptions } from '../training/training_options.js';
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

/** Where the examples come from, and how to tell that they are the same again. */
export interface DataRecord {
  /** As it was asked for: `mnist`, `idx:DIR`, a folder. */
  source: string;
  /** The source with absolute paths, where it has a path: the same name may lead elsewhere from another folder. */
  location?: string;
  fingerprint: string;
  classes: string[];
  trainExamples: number;
  valExamples: number;
  /** Options of `openDataset` that change the examples. */
  seed?: number;
  sizes?: Record<string, number>;
  valFraction?: number;
  imageColumn?: string;
  labelColumn?: string;
  pixelLimit?: number;
}

/** Something that was changed by hand when training went on. */
export interface Change {
  /** Epochs that were done. */
  epoch: number;
  option: string;
  from: unknown;
  to: unknown;
}

export interface RunConfig {
  architecture: Architecture;
  /** Initial weights: their scheme; their seed is the training's. */
  init: InitScheme;
  data: DataRecord;
  preprocess: PreprocessOptions;
  /** The run that it began from, as it was named, if it did. */
  from?: string;
  /** The layers that stayed as they were: `conv1-fc7`. */
  freeze?: string;
  training: TrainingOptions;
  /** What computed it: other backends and the mode `fast` give other bits. */
  engine: EngineRecord;
  changes: Change[];
}

/** What a run records of a network that came from an ONNX file. It is looked into and evaluated here; it was trained elsewhere. */
export interface ImportedConfig {
  network: ImportedNetwork;
  /** What its outputs mean; `source` is the file that it came from. */
  data: DataRecord;
  preprocess: PreprocessOptions;
}

export interface ImportedNetwork {
  /** The model's file within the run. */
  file: string;
  channelOrder: 'rgb' | 'bgr';
  /** The axes of its input, where they do not follow from its shape. */
  layout?: 'nchw' | 'nhwc';
  /** The output with the class scores, and how it becomes probabilities; without them both follow from the graph. */
  output?: string;
  scores?: 'softmax' | 'log-softmax' | 'sigmoid' | 'none' | 'sigmoid-logits';
  /** The only batch that it computes right, where its shapes do not tell. */
  batch?: number;
  /** What is subtracted from each channel of 0 to 255, red first. */
  mean: readonly number[];
}

export function isImported(config: RunConfig | ImportedConfig): config is ImportedConfig {
  checkArgument('isImported', 'config', config, runConfig);
  return 'network' in config;
}

const runConfig = rule('the configuration of a run, such as await readRunConfig(store)', isPlainObject);

export interface EngineRecord {
  backend: string;
  mode: string;
}

/** What of `openDataset`'s options belongs into the record. */
export type DataOptions = Pick<DataRecord, 'seed' | 'sizes' | 'valFraction' | 'imageColumn' | 'labelColumn' | 'pixelLimit'>;

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

export async function writeConfig(store: RunStore, config: RunConfig | ImportedConfig): Promise<void> {
  checkArgument('writeConfig', 'store', store, runStore);
  checkArgument('writeConfig', 'config', config, runConfig);
  await writeText(store, PATHS.config, `${JSON.stringify({ version: VERSION, ...config }, null, 2)}\n`);
}

/**
 * Reads the `config.json` of a run that was trained; null where there is none.
 *
 * @throws FormatError for one that is damaged or of another version
 * @throws StateError for the run of an imported network, which only `readRunConfig` reads
 */
export async function readConfig(store: RunStore): Promise<RunConfig | null> {
  const config = await readRunConfig(store);
  if (config && isImported(config))
    throw new StateError(
      `this run holds an imported network (${config.network.file}), which was trained elsewhere and cannot go on here; train it further with the library: loadOnnx() of 'zfnet/onnx'`,
    );
  return config;
}

/** Reads a run's `config.json`, of a network trained here or imported; null where there is none. Throws `FormatError` as `readConfig`. */
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

/** The checks that an architecture from a file must pass. Throws `FormatError`. */
export function checkArchitecture(where: string, value: unknown): asserts value is Architecture {
  checkFields(where, value, ARCHITECTURE_RULES);
  checkedBy(where, () => architectureOf(value.preset as Architecture['preset'], value as unknown as Architecture));
}

/** Throws `StateError` naming every difference that forbids going on: another network, other data, other preparation. */
export function checkSameRun(recorded: RunConfig, now: Pick<RunConfig, 'architecture' | 'data' | 'preprocess'>): void {
  const differences = [
    ...fieldDifferences('architecture', recorded.architecture, now.architecture),
    ...fieldDifferences('preprocess', recorded.preprocess, now.preprocess),
    ...dataDifferences(recorded.data, now.data),
  ];
  if (differences.length > 0)
    throw new StateError(
      `train: this run cannot go on with what it was given now: ${differences.join('; ')}. Give it what it began with, or start a new run`,
    );
}

/** Throws `StateError` naming every option that differs, but for those that may: `epochs` and `lr`. */
export function checkSameRecipe(recorded: TrainingOptions, given: Partial<TrainingOptions>): void {
  const { epochs: _, lr: __, ...recipe } = given;
  const before = new Map<string, unknown>(Object.entries(recorded));
  const differences = Object.entries(recipe)
    .filter(([key, value]) => value !== undefined && JSON.stringify(value) !== JSON.stringify(before.get(key)))
    .map(([key, value]) => `${key} was ${JSON.stringify(before.get(key))} and is ${JSON.stringify(value)}`);
  if (differences.length > 0)
    throw new StateError(
      `train: a run goes on with its own recipe; only epochs and lr may change: ${differences.join('; ')}. Leave them out, or start a new run`,
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
