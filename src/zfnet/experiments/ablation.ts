/**
 * Ablation study (paper, section 5, Table 3): trains networks without some layers, or with other layer sizes, by the same recipe on the
 * same images.
 */
import {
  abortSignal,
  arrayOf,
  checkFields,
  finite,
  func,
  integer,
  isPlainObject,
  objectWith,
  oneOf,
  positive,
  type RulesFor,
  rule,
  text,
} from '../../backend/validate.js';
import type { Dataset } from '../../data/dataset.js';
import { dataset as datasetRule } from '../../data/rules.js';
import { sampleSubset } from '../../data/subset.js';
import type { InitScheme } from '../../nn/index.js';
import { ValueError } from '../../tensor/index.js';
import { type Evaluation, evaluate } from '../evaluation/evaluate.js';
import { type Architecture, architectureOf, PRESETS, type PresetName, type Variant, zfnet } from '../model/model.js';
import { initScheme } from '../rules.js';
import { openRun, type Run } from '../run/run.js';
import { readConfig } from '../run/run_config.js';
import { type RunStore, readText, writeText } from '../run/run_store.js';
import { type TrainingOptions, trainingOptions } from '../training/recipe/training_options.js';
import { type TrainingListener, train } from '../training/train.js';

/** Errors published in the paper for ImageNet 2012, in per cent: training top-1, validation top-1 and validation top-5. */
export interface PublishedAblation {
  /** Top-1 error on the training images, in per cent. */
  train: number;
  /** Top-1 error on the validation images, in per cent. */
  val1: number;
  /** Top-5 error on the validation images, in per cent. */
  val5: number;
}

/** One network of the ablation study: a preset and its differences from it. */
export interface Ablation {
  /** Name for folders and options, such as `alexnet-without-7`. */
  name: string;
  /** Description for tables. */
  title: string;
  /** Preset that the network starts from: `a` or `alexnet`, as in the paper's Table 3. */
  preset: PresetName;
  /** Layers that are left out or resized; an empty object for the unchanged network. */
  variant: Variant;
  /** Errors that the paper reports for this network on ImageNet 2012. */
  paper: PublishedAblation;
}

const paper = (train: number, val1: number, val5: number): PublishedAblation => ({ train, val1, val5 });
const row = (name: string, title: string, preset: PresetName, variant: Variant, published: PublishedAblation): Ablation => ({
  name,
  title,
  preset,
  variant,
  paper: published,
});

const WIDER = [96, 256, 512, 1024, 512];

/** The rows of Table 3. For the full networks, the errors of the paper's own training. */
export const ABLATIONS: readonly Ablation[] = [
  row('alexnet', 'AlexNet as the paper trained it', 'alexnet', {}, paper(35.1, 40.5, 18.1)),
  row('alexnet-without-3-4', 'without layers 3 and 4', 'alexnet', { without: ['conv3', 'conv4'] }, paper(41.8, 45.4, 22.1)),
  row('alexnet-without-7', 'without layer 7', 'alexnet', { without: ['fc7'] }, paper(27.4, 40.0, 18.4)),
  row('alexnet-without-6-7', 'without layers 6 and 7', 'alexnet', { without: ['fc6', 'fc7'] }, paper(27.4, 44.8, 22.4)),
  row(
    'alexnet-without-3-4-6-7',
    'without layers 3, 4, 6 and 7',
    'alexnet',
    { without: ['conv3', 'conv4', 'fc6', 'fc7'] },
    paper(71.1, 71.3, 50.1),
  ),
  row('alexnet-fc-2048', '2048 units in layers 6, 7', 'alexnet', { units: [2048, 2048] }, paper(40.3, 41.7, 18.8)),
  row('alexnet-fc-8192', '8192 units in layers 6, 7', 'alexnet', { units: [8192, 8192] }, paper(26.8, 40.0, 18.1)),
  row('zfnet', 'ZFNet', 'a', {}, paper(33.1, 38.4, 16.5)),
  row('zfnet-fc-2048', '2048 units in layers 6, 7', 'a', { units: [2048, 2048] }, paper(38.2, 40.2, 17.6)),
  row('zfnet-fc-8192', '8192 units in layers 6, 7', 'a', { units: [8192, 8192] }, paper(22.0, 38.8, 17.0)),
  row('zfnet-maps', '512, 1024, 512 maps in layers 3, 4, 5', 'a', { maps: WIDER }, paper(18.8, 37.5, 16.0)),
  row('zfnet-fc-8192-maps', '8192 units and 512, 1024, 512 maps', 'a', { units: [8192, 8192], maps: WIDER }, paper(10.0, 38.3, 16.9)),
];

/** Result for one network of the ablation study. Errors are fractions. */
export interface AblationRow {
  /** `Ablation.name` of the network. */
  name: string;
  /** `Ablation.title` of the network, for tables. */
  title: string;
  /** Preset that the network was derived from. */
  preset: PresetName;
  /** Number of trainable elements of the network at the width of the job. */
  parameters: number;
  /** Number of epochs that the network was trained for. */
  epochs: number;
  /** Error on a sample of training images in evaluation mode (centre crop, no dropout), with the same weights as the validation errors. */
  trainTop1Error: number;
  /** Top-1 error on the whole validation split (centre crop). */
  valTop1Error: number;
  /** Top-5 error on the whole validation split. */
  valTop5Error: number;
  /** Errors of the paper, in per cent and for ImageNet: compare differences, not values. */
  paper: PublishedAblation;
}

/** Arguments of `ablate`. */
export interface AblationJob {
  /** Default: all of `ABLATIONS`. */
  ablations?: readonly Ablation[];
  /** Data set with the splits `train` and `val`, opened at the side that the input size needs. */
  dataset: Dataset;
  /** Network options that all variants share. */
  network: { inputSize: number; width: number; dropout?: number; init?: InitScheme };
  /** Training options for all variants. */
  training: Partial<TrainingOptions>;
  /** Returns the store for the run of a variant. The same name must return the same store, so that a later call can resume the run. */
  store: (name: string) => RunStore;
  /** Largest number of training images for the training error. Default 2000. */
  trainExamples?: number;
  /** Called before each variant with its index and the number of variants. */
  onVariant?: (ablation: Ablation, at: number, total: number) => void;
  /** Called after each variant with its row, and whether the row was found from an earlier call. */
  onRow?: (row: AblationRow, found: boolean) => void | Promise<void>;
  /** Callbacks of the training of every variant. */
  listener?: TrainingListener;
  /** Aborting it stops the training after its step. `ablate` returns the finished rows; a later call resumes. */
  signal?: AbortSignal;
}

const anObject = rule('an object', isPlainObject);

const JOB: RulesFor<AblationJob> = {
  ablations: arrayOf(
    objectWith('an ablation, such as those of ABLATIONS', { name: text, preset: oneOf(...Object.keys(PRESETS)), variant: anObject }),
  ),
  dataset: datasetRule,
  network: anObject,
  training: anObject,
  store: func,
  trainExamples: integer(1),
  onVariant: func,
  onRow: func,
  listener: anObject,
  signal: abortSignal,
};

const NETWORK: RulesFor<AblationJob['network']> = { inputSize: integer(1), width: positive, dropout: finite(0, 1), init: initScheme };

/** File in a variant's store with its row, so that a finished variant is not evaluated again. */
const ROW = 'ablation.json';

/**
 * Trains the variants one after the other. Variants that an earlier call has finished are not trained again; unfinished ones are resumed.
 *
 * @example
 * const runs = new Map<string, MemoryStore>();
 * const rows = await ablate({
 *   ablations: ABLATIONS.slice(0, 1),
 *   dataset,
 *   network: { inputSize: 64, width: 0.02 },
 *   training: { epochs: 1 },
 *   store: (name) => runs.get(name) ?? runs.set(name, new MemoryStore()).get(name)!,
 * });
 * @returns one row per variant; fewer if the signal stopped it
 * @throws StateError if a store contains a run with another recipe or other data
 */
export async function ablate(job: AblationJob): Promise<AblationRow[]> {
  checkFields('ablate', job, JOB, ['dataset', 'network', 'training', 'store']);
  checkFields('ablate: network', job.network, NETWORK, ['inputSize', 'width']);
  trainingOptions(job.training);
  const { ablations = ABLATIONS } = job;
  const rows: AblationRow[] = [];
  for (const [i, ablation] of ablations.entries()) {
    if (job.signal?.aborted) break;
    job.onVariant?.(ablation, i, ablations.length);
    const store = job.store(ablation.name);
    const found = await finishedRow(store, ablation, job);
    const made = found ?? (await trainVariant(store, ablation, job));
    if (!made) break;
    rows.push(made);
    await job.onRow?.(made, found !== null);
  }
  return rows;
}

/** The row of a finished run with the same network, data and recipe, else null. `train` reports the differences. */
async function finishedRow(store: RunStore, ablation: Ablation, job: AblationJob): Promise<AblationRow | null> {
  const text = await readText(store, ROW);
  if (text === null) return null;
  const row = parseRow(text);
  if (!row) {
    job.listener?.onWarning?.(`${ablation.name}: ${ROW} is damaged; the errors are measured again`);
    return null;
  }
  const config = await readConfig(store);
  const wanted = [architectureFor(ablation, job), job.dataset.fingerprint, trainingOptions(job.training), row.epochs];
  const there = [config?.architecture, config?.data.fingerprint, config?.training, config?.training.epochs];
  return JSON.stringify(wanted) === JSON.stringify(there) ? { ...row, title: ablation.title, paper: ablation.paper } : null;
}

const rowRule = objectWith('a row of ablate()', {
  name: text,
  parameters: integer(1),
  epochs: integer(),
  trainTop1Error: finite(0, 1),
  valTop1Error: finite(0, 1),
  valTop5Error: finite(0, 1),
});

function parseRow(content: string): AblationRow | null {
  try {
    const row: unknown = JSON.parse(content);
    return rowRule.test(row) ? (row as AblationRow) : null;
  } catch {
    return null;
  }
}

function architectureFor({ preset, variant }: Ablation, { network, dataset }: AblationJob): Architecture {
  return architectureOf(preset, { ...network, ...variant, channels: dataset.channels, classes: dataset.classes.length });
}

async function trainVariant(store: RunStore, ablation: Ablation, job: AblationJob): Promise<AblationRow | null> {
  const { dataset, network, training, signal, listener } = job;
  const { name, title, preset, paper } = ablation;
  const model = zfnet(preset, { ...architectureFor(ablation, job), init: network.init, seed: training.seed });
  const parameters = model.parameters().reduce((sum, { size }) => sum + size, 0);
  const resume = (await readConfig(store)) !== null;
  try {
    const result = await train({ ...listener, model, dataset, store, options: training, init: network.init, resume, signal });
    if (result.status === 'stopped') return null;
  } finally {
    model.dispose();
  }
  const { train: known, val: unknown } = await errorsOf(await openRun(store), dataset, job);
  const { epochs } = trainingOptions(training);
  const row = {
    name,
    title,
    preset,
    parameters,
    epochs,
    trainTop1Error: known.top1Error,
    valTop1Error: unknown.top1Error,
    valTop5Error: unknown.top5Error,
    paper,
  };
  await writeText(store, ROW, `${JSON.stringify(row)}\n`);
  return row;
}

async function errorsOf(run: Run, dataset: Dataset, job: AblationJob): Promise<{ train: Evaluation; val: Evaluation }> {
  const { train: known, val } = dataset.splits;
  if (!val || val.length === 0) throw new ValueError(`ablate: ${dataset.name} has no validation images`);
  const { trainExamples = 2000, signal } = job;
  try {
    return { train: await evaluate(run, sampleSubset(known, trainExamples), { signal }), val: await evaluate(run, val, { signal }) };
  } finally {
    run.model.dispose();
  }
}
