/** Runs as folders: opening one for whatever looks into it, and training one. */
import { existsSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { DataOptions, InitScheme, PresetName, Run, RunConfig, TrainingOptions, TrainResult } from 'zfnet';
import * as engine from 'zfnet';
import { type Dataset, inChannels } from 'zfnet/data';
import { Interrupted, UsageError } from '../command.js';
import { loadImportedFrom } from '../importing/imported.js';
import { TrainingPageWriter } from '../report/training_page.js';
import { duration, percent, type Reporter } from '../terminal/reporter.js';
import { openData, recordedOptions, recordedSource } from './data.js';
import { defaultNetwork, defaultTraining, knownSide, naturalSide } from './defaults.js';
import { dropReplaced, isRunFile, putBack, recoverReplaced, setAside } from './replaced_run.js';
import { FolderStore, isEmptyPlace } from './run_folder.js';
import { lockRun } from './run_lock.js';

/**
 * Opens the run in a folder: `{ config, model, preprocess, classes, metrics, checkpoint }`. The weights are the best ones, or
 * the last where no epoch has ended yet, or those of the checkpoint named; or those of an imported network. Call
 * `context.engine()` before.
 */
export const openRun = (path: string, options: { checkpoint?: string } = {}): Promise<Run> =>
  opening(path, (store) => engine.openRun(store, { ...options, loadModel: loadImportedFrom(path) }));

/** As `openRun`, for what only runs trained here have: an architecture, a recipe, checkpoints. */
export const openTrainedRun = (path: string, options: { checkpoint?: string } = {}): Promise<engine.TrainedRun> =>
  opening(path, (store) => engine.openTrainedRun(store, options));

async function opening<T>(path: string, open: (store: FolderStore) => Promise<T>): Promise<T> {
  if (!(await isRun(path)))
    throw new UsageError(`${path} is no run: there is no config.json in it. Train one with: npx zfnet train --data SOURCE --out ${path}`);
  return await naming(path, () => open(new FolderStore(path)));
}

/** Whether there is a run at a path. */
export async function isRun(path: string): Promise<boolean> {
  if (await recoverReplaced(path))
    process.stderr.write(`${path}: a new run was stopped before its first step; the run that it was to replace is back in its place\n`);
  return await stat(`${path}/config.json`).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Puts the run's folder in front of what is wrong with its files. */
async function naming<T>(path: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    if (error instanceof engine.FormatError) throw new engine.FormatError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** What `trainRun` is told. What is left out follows the data; see `defaults.ts`. */
export interface TrainRunOptions {
  /** As `--data` takes it. With `resume` it may be left out: the run knows. */
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
  training?: Partial<TrainingOptions>;
  /** A run whose network and weights this one begins with, as far as they fit the classes. */
  from?: string;
  /** Layers that stay as they are: see `TrainJob.freeze`. */
  freeze?: string;
  /** Bytes of frozen layers' outputs that are kept in memory. */
  keepBytes?: number;
  resume?: boolean;
  /** Write what training begins with, and take no step. */
  prepareOnly?: boolean;
  /** Train anew in a folder that is not empty; a run in it is overwritten. */
  force?: boolean;
  checkpointMinutes?: number;
  checkpointSteps?: number;
  meanExamples?: number;
  /** Threads that read and decode images; as many as the cores suggest unless given. */
  workers?: number;
  signal?: AbortSignal;
}

/** What came of it, besides what the library tells. The model is the caller's to dispose. */
export interface TrainRunResult extends TrainResult {
  out: string;
  seconds: number;
  model: engine.ZfNet;
  dataset: Dataset;
}

/**
 * Trains a run in a folder, or resumes the one that is there, with bars and one line per epoch. Get the engine ready first.
 * When `signal` stops it, the result's status is `stopped` and the run can be resumed. A run that is replaced is put back where the new
 * one ends before its first step.
 */
export async function trainRun(options: TrainRunOptions, reporter: Reporter): Promise<TrainRunResult> {
  const { out, resume } = options;
  if (await recoverReplaced(out)) {
    const what = `${out}: a new run was stopped before its first step; the run that it was to replace is back in its place`;
    if (resume) throw new Error(`${what}. Give the command again to resume that one`);
    reporter.warn(what);
  }
  const store = new FolderStore(out);
  if (!resume) await checkSource(options);
  const taken = resume ? await checkRun(options) : await checkPlace(store, options);
  const lock = await lockRun(out);
  store.guard = lock.check;
  try {
    await store.removeLeftovers();
    return taken.length > 0 ? await replaceRun(store, taken, options, reporter) : await trainLocked(store, options, reporter);
  } finally {
    await lock.release();
  }
}

/** Trains a new run in the place of another, which is dropped with the first step of the new one and put back if there is none. */
async function replaceRun(
  store: FolderStore,
  taken: readonly string[],
  options: TrainRunOptions,
  reporter: Reporter,
): Promise<TrainRunResult> {
  const { out } = options;
  let dropped: Promise<void> | null = null;
  const drop = () => {
    dropped ??= dropReplaced(out).catch((error: Error) => reporter.warn(`the run that was replaced cannot be removed: ${error.message}`));
  };
  const place = { clear: () => setAside(out, taken), firstStep: drop };
  try {
    const result = await trainLocked(store, options, reporter, place);
    if (result.status === 'stopped' && !dropped) {
      result.model.dispose();
      throw new Interrupted('stopped before the first step', Number(options.signal?.reason) || 130);
    }
    drop();
    return result;
  } catch (error) {
    if (!dropped && (await putBack(out)))
      reporter.warn(`the new run ended before its first step; the run that was in ${out} is back in its place`);
    throw error;
  } finally {
    await dropped;
  }
}

/** Makes room for a new run once everything that it needs is open, and is told of its first step. */
interface TakenPlace {
  clear(): Promise<void>;
  firstStep(): void;
}

async function trainLocked(store: FolderStore, options: TrainRunOptions, reporter: Reporter, place?: TakenPlace): Promise<TrainRunResult> {
  const { out } = options;
  const recorded = options.resume ? await recordedConfig(store, options) : null;
  const started = performance.now();
  const start = await startOf(store, recorded, options);
  const { dataset, dataOptions, ...network } = recorded
    ? await dataOfRun(recorded, options, reporter)
    : await dataOfNew(options, start, reporter);
  for (const [name, split] of Object.entries(dataset.splits)) reporter.detail(`${name}: ${split.length} examples`);
  const model = recorded
    ? engine.zfnet(recorded.architecture.preset, { ...recorded.architecture, init: recorded.init, seed: recorded.training.seed })
    : start
      ? modelLike(start, options, dataset)
      : newModel(options, dataset, network);
  const { inputSize } = model.architecture;
  const training = recorded
    ? options.training
    : { ...defaultTraining(dataset.channels, inputSize, options.freeze), ...defined(options.training) };
  const init = start?.init ?? options.init;
  const before = recorded ? await engine.readMetrics(store) : [];
  const page = options.prepareOnly ? null : new TrainingPageWriter(store, options.checkpointMinutes ?? PAGE_MINUTES, reporter);
  const listener = listen(reporter, page, before);
  const onStep: typeof listener.onStep = (report) => {
    place?.firstStep();
    listener.onStep?.(report);
  };
  let status: TrainResult['status'] | 'failed' = 'failed';
  try {
    await place?.clear();
    const result = await naming(out, () =>
      engine.train({
        model,
        dataset,
        dataOptions,
        store,
        options: training,
        init,
        scale: options.scale,
        meanExamples: options.meanExamples,
        ...(start && begin(model, start, recorded ?? options, dataset.classes, reporter)),
        freeze: options.freeze,
        keepBytes: options.keepBytes,
        resume: recorded !== null,
        prepareOnly: options.prepareOnly,
        signal: options.signal,
        checkpointMinutes: options.checkpointMinutes,
        checkpointSteps: options.checkpointSteps,
        // A file that is gone was there when the data were opened; one that cannot be decoded never could.
        isLost: ({ file }) => file !== undefined && !existsSync(file),
        ...listener,
        onStep,
      }),
    );
    status = result.status;
    return { ...result, out, seconds: (performance.now() - started) / 1000, model, dataset };
  } catch (error) {
    model.dispose();
    if (options.signal?.aborted)
      throw new Interrupted(
        place ? 'stopped before the first step' : `stopped before the first step; go on with: npx zfnet train --out ${out} --resume`,
        Number(options.signal.reason) || 130,
      );
    throw error;
  } finally {
    reporter.stop();
    start?.model.dispose();
    if (status !== 'prepared') await page?.end(status);
  }
}

/** The run to begin from; on a resume only where the new run was stopped before it had a checkpoint of its own. */
async function startOf(store: FolderStore, recorded: RunConfig | null, options: TrainRunOptions): Promise<engine.TrainedRun | null> {
  if (!recorded) return options.from === undefined ? null : await openTrainedRun(options.from);
  const begun = (await store.list()).some((path) => path.endsWith('.safetensors'));
  return recorded.from === undefined || begun ? null : await openTrainedRun(recorded.from);
}

/** The same network for other classes, with weights of its own. Throws `UsageError` for layers that cannot be frozen. */
function modelLike(start: engine.TrainedRun, options: TrainRunOptions, dataset: Dataset): engine.ZfNet {
  const { architecture } = start.model;
  const { dropout = architecture.dropout, freeze, training } = options;
  const like = { ...architecture, classes: dataset.classes.length, dropout, init: start.init, seed: training?.seed };
  return namingWrongSize(() => {
    const model = engine.zfnet(architecture.preset, like);
    if (freeze !== undefined) engine.lastFrozenLayer(model, freeze);
    return model;
  });
}

/** Gives the model the weights to begin with. Above frozen layers the softmax is always a new one, as in the paper. */
function begin(
  model: engine.ZfNet,
  start: engine.TrainedRun,
  { from, freeze }: Pick<RunConfig, 'from' | 'freeze'>,
  classes: readonly string[],
  reporter: Reporter,
): { from: engine.TrainJob['from'] } {
  const run = from as string;
  const taken = engine.startFrom(model, start, { sameClasses: freeze === undefined && classes.join('\n') === start.classes.join('\n') });
  reporter.say(`${taken.join(', ')} begin with the weights of ${run}`);
  return { from: { run, preprocess: start.preprocess } };
}

type RunData = { dataset: Dataset; dataOptions: DataOptions; preset?: PresetName; inputSize?: number };

async function dataOfRun(recorded: RunConfig, options: TrainRunOptions, reporter: Reporter): Promise<RunData> {
  const { data, preprocess } = recorded;
  const dataOptions = recordedOptions(data);
  const dataset = await openData(
    options.data ?? recordedSource(data),
    preprocess.side,
    { ...dataOptions, workers: options.workers },
    reporter,
  );
  return { dataset: inChannels(dataset, preprocess.channels), dataOptions };
}

/** Opens a new run's data at the size that its network wants; to know that, it looks at the images first where no size was given. */
async function dataOfNew(options: TrainRunOptions, start: engine.TrainedRun | null, reporter: Reporter): Promise<RunData> {
  const { data, dataOptions = {}, workers } = options;
  const opening = { ...dataOptions, workers };
  if (!data) throw new UsageError('there are no images to train on: give --data SOURCE');
  if (start) {
    const { side, channels } = start.preprocess.options;
    return { dataset: inChannels(await openData(data, side, opening, reporter), channels), dataOptions };
  }
  const looked = options.inputSize === undefined && knownSide(data) === undefined;
  const side = looked ? await naturalSide(await openData(data, undefined, opening, reporter)) : knownSide(data);
  const { preset, inputSize } = defaultNetwork(side, options);
  const dataset = await openData(data, engine.sideFor(inputSize), opening, reporter);
  return { dataset, dataOptions, preset, inputSize };
}

function newModel(options: TrainRunOptions, dataset: Dataset, network: { preset?: PresetName; inputSize?: number }): engine.ZfNet {
  const { width, dropout, init, training } = options;
  const { channels, classes } = dataset;
  const preset = network.preset ?? 'a';
  if (engine.PRESETS[preset].units.length === 0)
    throw new UsageError(`preset ${preset} ends with its convolutions: it has no classes to learn. Take another preset`);
  const { inputSize } = network;
  return namingWrongSize(() =>
    engine.zfnet(preset, { classes: classes.length, inputSize, channels, width, dropout, init, seed: training?.seed }),
  );
}

/** A size that the layers cannot take came from the command line: it is wrong usage. */
export function namingWrongSize<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof engine.ShapeError || error instanceof engine.ValueError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** Makes sure that there is a run to go on with. Nothing of it is to be removed. */
async function checkRun({ out }: TrainRunOptions): Promise<string[]> {
  if (!(await isRun(out)))
    throw new UsageError(`${out} is no run to go on with: there is no config.json in it. Leave --resume out to begin one`);
  return [];
}

/** The configuration of the run to go on with. Throws `UsageError` where options contradict it. */
async function recordedConfig(store: FolderStore, options: TrainRunOptions): Promise<RunConfig> {
  const { out } = options;
  const config = (await naming(out, () => engine.readConfig(store))) as RunConfig;
  const { epochs: _, lr: __, ...recipe } = options.training ?? {};
  const { preset, width, inputSize, dropout, init, scale } = options;
  const given: Record<string, unknown> = {
    ...recipe,
    preset,
    width,
    inputSize,
    dropout,
    init,
    scale,
    from: options.from,
    // A range may be given by its end alone.
    freeze: options.freeze !== undefined && config.freeze?.endsWith(`-${options.freeze}`) ? config.freeze : options.freeze,
    valFraction: options.dataOptions?.valFraction,
    imageColumn: options.dataOptions?.imageColumn,
    labelColumn: options.dataOptions?.labelColumn,
    pixelLimit: options.dataOptions?.pixelLimit,
  };
  const known: Record<string, unknown> = {
    ...config.training,
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
      `--resume goes on with the run's own settings, and these differ: ${other.map(([key, value]) => `${key} is ${JSON.stringify(known[key])} in ${out}, not ${JSON.stringify(value)}`).join('; ')}. Leave them out (only --epochs and --lr may change), or begin a new run`,
    );
  return config;
}

/** A run cannot begin with the weights of the run that it replaces. */
async function checkSource({ out, from }: TrainRunOptions): Promise<void> {
  if (from === undefined) return;
  const [source, target] = await Promise.all([from, out].map((path) => realpath(path).catch(() => resolve(path))));
  if (source === target)
    throw new UsageError(`--from and --out are the same run, ${out}: take another folder for --out, or go on with the run by --resume`);
}

/** Makes sure that a new run does not fall among the files of something else. Returns what it takes the place of. */
async function checkPlace(store: FolderStore, { out, force }: TrainRunOptions): Promise<string[]> {
  if (await isEmptyPlace(out)) return [];
  const files = await store.list();
  if (files.length === 0) return [];
  const runHere = await isRun(out);
  if (!force)
    throw new UsageError(
      runHere
        ? `${out} holds a run already: go on with it by --resume, or train anew in its place by --force`
        : `${out} is not empty: take another folder for --out, or use this one by --force`,
    );
  return files.filter(isRunFile);
}

/** Minutes between two pages within an epoch, unless checkpoints come at others. */
const PAGE_MINUTES = 5;

/**
 * Training's reports as bars, lines and a page of curves.
 *
 * @param before the metrics of a run that goes on
 */
function listen(reporter: Reporter, page: TrainingPageWriter | null, before: readonly engine.EpochMetrics[]): engine.TrainingListener {
  let epochBar: { epoch: number; bar: ReturnType<Reporter['bar']> } | null = null;
  let phase = '';
  let phaseBar: ReturnType<Reporter['bar']> | null = null;
  let epochStarted = performance.now();
  let total = 0;
  return {
    onStart(config, at) {
      phase = '';
      total = config.training.epochs;
      const { preset, inputSize, channels, width, classes } = config.architecture;
      reporter.say(
        `${at ? 'going on with' : 'training'} ${preset} (width ${width}, input ${channels}×${inputSize}×${inputSize}, ${classes} classes) on ${config.data.source}: ` +
          `${config.data.trainExamples} images, ${total} ${total === 1 ? 'epoch' : 'epochs'}${at ? `, from epoch ${at.epoch + 1}, step ${at.step + 1}` : ''}`,
      );
      page?.start(
        config,
        before.filter(({ epoch }) => epoch <= (at?.epoch ?? 0)),
      );
      epochStarted = performance.now();
    },
    onProgress(now, done, of) {
      if (now !== phase || done === 0 || !phaseBar) phaseBar = reporter.bar(now === 'mean' ? 'mean image' : 'validation', of, 'images');
      phase = now;
      phaseBar.update(done);
    },
    onStep({ epoch, epochs, done, total, loss }) {
      phaseBar = null;
      if (epochBar?.epoch !== epoch) epochBar = { epoch, bar: reporter.bar(`epoch ${epoch}/${epochs}`, total, 'images', done) };
      epochBar.bar.update(done, `loss ${loss.toFixed(3)}`);
      page?.step(epoch, done / total, loss);
    },
    onEpoch(metrics, best) {
      phaseBar = null;
      const { epoch, trainLoss, trainTop1Error, valTop1Error, valTop5Error, lr, imagesPerSecond } = metrics;
      const val = valTop1Error === null ? '' : `, validation error ${percent(valTop1Error)} (top-5 ${percent(valTop5Error ?? 0)})`;
      reporter.say(
        `epoch ${epoch}/${total}: loss ${trainLoss.toFixed(4)}, training error ${percent(trainTop1Error)}${val}, lr ${Number(lr.toPrecision(3))}, ` +
          `${imagesPerSecond} images/s, ${duration((performance.now() - epochStarted) / 1000)}${best?.epoch === epoch ? ', best so far' : ''}`,
      );
      epochStarted = performance.now();
      page?.epoch(metrics);
    },
    onWarning(message) {
      reporter.warn(message);
      page?.warning(message);
    },
  };
}

/** Without the entries that are undefined. */
const defined = <T extends object>(value: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(value ?? {}).filter(([, each]) => each !== undefined)) as Partial<T>;
