/** Opens a run in a folder, trains a new one, and resumes one. */
import { existsSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { DataOptions, InitScheme, PresetName, Run, RunConfig, TrainingOptions, TrainResult } from 'zfnet';
import * as engine from 'zfnet';
import { type Dataset, inChannels } from 'zfnet/data';
import type { Origin } from 'zfnet/report';
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
 * Opens the run in a folder: `{ config, model, preprocess, classes, metrics, checkpoint }`. The weights are those of the named checkpoint,
 * otherwise the best ones, or the last ones before the first epoch has ended; an imported network has its own. Call `context.engine()`
 * first.
 */
export const openRun = (path: string, options: { checkpoint?: string } = {}): Promise<Run> =>
  opening(path, (store) => engine.openRun(store, { ...options, loadModel: loadImportedFrom(path) }));

/** Like `openRun`, but only for runs trained with zfnet, which have an architecture, a recipe and checkpoints. */
export const openTrainedRun = (path: string, options: { checkpoint?: string } = {}): Promise<engine.TrainedRun> =>
  opening(path, (store) => engine.openTrainedRun(store, options));

/** How the weights of a run came about, for the pages about it. */
export const originOf = (run: Run): Origin =>
  !engine.isTrained(run) ? 'imported' : run.config.from === undefined ? 'random' : 'pretrained';

async function opening<T>(path: string, open: (store: FolderStore) => Promise<T>): Promise<T> {
  if (!(await isRun(path)))
    throw new UsageError(`${path} is not a run: it contains no config.json. Train one with: npx zfnet train --data SOURCE --out ${path}`);
  return await naming(path, () => open(new FolderStore(path)));
}

/** Whether there is a run at a path. */
export async function isRun(path: string): Promise<boolean> {
  if (await recoverReplaced(path))
    process.stderr.write(`${path}: a new run was stopped before its first step; the run that it would have replaced is restored\n`);
  return await stat(`${path}/config.json`).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Adds the folder of the run to the messages of format errors. */
async function naming<T>(path: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    if (error instanceof engine.FormatError) throw new engine.FormatError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Options of `trainRun`. Defaults follow the data; see `defaults.ts`. */
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
  training?: Partial<TrainingOptions>;
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
  model: engine.ZfNet;
  dataset: Dataset;
}

/**
 * Trains a new run in a folder, or resumes the run there, with progress bars and one line per epoch. The engine must be initialised. If
 * `signal` stops the training, the status of the result is `stopped` and the run can be resumed. A replaced run is restored if the new one
 * ends before its first step.
 */
export async function trainRun(options: TrainRunOptions, reporter: Reporter): Promise<TrainRunResult> {
  const { out, resume } = options;
  if (await recoverReplaced(out)) {
    const what = `${out}: a new run was stopped before its first step; the run that it would have replaced is restored`;
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

/**
 * Trains a new run in place of another. The old run is deleted at the first step of the new one, and restored if that step never happens.
 */
async function replaceRun(
  store: FolderStore,
  taken: readonly string[],
  options: TrainRunOptions,
  reporter: Reporter,
): Promise<TrainRunResult> {
  const { out } = options;
  let dropped: Promise<void> | null = null;
  const drop = () => {
    dropped ??= dropReplaced(out).catch((error: Error) => reporter.warn(`the replaced run cannot be removed: ${error.message}`));
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
    if (!dropped && (await putBack(out))) reporter.warn(`the new run ended before its first step; the run that was in ${out} is restored`);
    throw error;
  } finally {
    await dropped;
  }
}

/** Hooks for replacing a run: `clear` sets the old run aside before training, `firstStep` is called after each step. */
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
        // A missing file existed when the data were opened, so it was lost since; an undecodable file was always broken.
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
        place ? 'stopped before the first step' : `stopped before the first step; resume with: npx zfnet train --out ${out} --resume`,
        Number(options.signal.reason) || 130,
      );
    throw error;
  } finally {
    reporter.stop();
    start?.model.dispose();
    if (status !== 'prepared') await page?.end(status);
  }
}

/** Opens the run to start from; on a resume only if the resumed run has no checkpoint yet. */
async function startOf(store: FolderStore, recorded: RunConfig | null, options: TrainRunOptions): Promise<engine.TrainedRun | null> {
  if (!recorded) return options.from === undefined ? null : await openTrainedRun(options.from);
  const begun = (await store.list()).some((path) => path.endsWith('.safetensors'));
  return recorded.from === undefined || begun ? null : await openTrainedRun(recorded.from);
}

/** Builds the network of another run for new classes, with new initial weights. Throws `UsageError` for layers that cannot be frozen. */
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

/** Copies the weights of the run to start from. With frozen layers the last layer is always initialised anew, as in the paper. */
function begin(
  model: engine.ZfNet,
  start: engine.TrainedRun,
  { from, freeze }: Pick<RunConfig, 'from' | 'freeze'>,
  classes: readonly string[],
  reporter: Reporter,
): { from: engine.TrainJob['from'] } {
  const run = from as string;
  const taken = engine.startFrom(model, start, { sameClasses: freeze === undefined && classes.join('\n') === start.classes.join('\n') });
  reporter.say(`${taken.join(', ')} start from the weights of ${run}`);
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

/** Opens the data of a new run at the input size of its network. Without a given size, it derives the size from the images first. */
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
    throw new UsageError(`preset ${preset} ends with its convolutions and has no classes to learn: use another preset`);
  const { inputSize } = network;
  return namingWrongSize(() =>
    engine.zfnet(preset, { classes: classes.length, inputSize, channels, width, dropout, init, seed: training?.seed }),
  );
}

/** Runs `build` and turns shape and value errors into `UsageError`, because the sizes come from the command line. */
export function namingWrongSize<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof engine.ShapeError || error instanceof engine.ValueError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** Throws `UsageError` if there is no run to resume. Returns an empty list: no files are replaced. */
async function checkRun({ out }: TrainRunOptions): Promise<string[]> {
  if (!(await isRun(out)))
    throw new UsageError(
      `${out} is not a run: it contains no config.json, so there is nothing to resume. Leave out --resume to begin a new run`,
    );
  return [];
}

/** Reads the configuration of the run to resume. Throws `UsageError` if options contradict it. */
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
    // A range may be given by its last layer alone: `conv5` means `conv1-conv5`.
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
      `--resume uses the recorded settings of the run, and these differ: ${other.map(([key, value]) => `${key} is ${JSON.stringify(known[key])} in ${out}, not ${JSON.stringify(value)}`).join('; ')}. Leave them out (only --epochs and --lr may change), or begin a new run`,
    );
  return config;
}

/** Throws `UsageError` if a run would start from the run that it replaces. */
async function checkSource({ out, from }: TrainRunOptions): Promise<void> {
  if (from === undefined) return;
  const [source, target] = await Promise.all([from, out].map((path) => realpath(path).catch(() => resolve(path))));
  if (source === target)
    throw new UsageError(`--from and --out are the same run, ${out}: use another folder for --out, or resume the run with --resume`);
}

/** Throws `UsageError` if the folder of a new run is not empty, unless `force` is set. Returns the files of the run to replace. */
async function checkPlace(store: FolderStore, { out, force }: TrainRunOptions): Promise<string[]> {
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

/** Minutes between two versions of the page within an epoch, unless `checkpointMinutes` is given. */
const PAGE_MINUTES = 5;

/**
 * Returns a listener that shows the training as progress bars, lines and a page of curves.
 *
 * @param before metrics of earlier epochs if the run is resumed
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
        `${at ? 'resuming' : 'training'} ${preset} (width ${width}, input ${channels}×${inputSize}×${inputSize}, ${classes} classes) on ${config.data.source}: ` +
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

/** Returns the object without undefined entries. */
const defined = <T extends object>(value: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(value ?? {}).filter(([, each]) => each !== undefined)) as Partial<T>;
