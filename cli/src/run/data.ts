/** Opens the images for a command: those that a run was trained on, or those of `--data`. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { DataOptions, RunConfig } from 'zfnet';
import { type Dataset, inChannels, locate, openDataset, parseSource } from 'zfnet/data';
import { UsageError } from '../command.js';
import type { Reporter } from '../terminal/reporter.js';

/** Options of every command with `--data`. */
export interface DataChoice {
  data?: string;
  imageColumn?: string;
  labelColumn?: string;
  maxPixels?: number;
}

/** Converts the options of a command to those of `openDataset`. */
export const dataOptionsOf = ({ imageColumn, labelColumn, maxPixels }: DataChoice): DataOptions => ({
  ...(imageColumn !== undefined && { imageColumn }),
  ...(labelColumn !== undefined && { labelColumn }),
  ...(maxPixels !== undefined && { pixelLimit: maxPixels }),
});

/** Returns the options for `openDataset` that a run recorded. */
export function recordedOptions({ seed, sizes, valFraction, imageColumn, labelColumn, pixelLimit }: RunConfig['data']): DataOptions {
  const all = { seed, sizes, valFraction, imageColumn, labelColumn, pixelLimit };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Returns the source of a run's data: its absolute location if that still exists, otherwise the name given to train. */
export const recordedSource = ({ source, location }: RunConfig['data']): string =>
  location !== undefined && isThere(location) ? location : source;

function isThere(location: string): boolean {
  return parseSource(location).paths.every((part) => existsSync(/[*?]/.test(part) ? dirname(part) : part));
}

/**
 * Opens a data set in the form that a run's network needs: squares of `preprocess.side` pixels, grey or in colour.
 *
 * @param choice `choice.data` is the value of `--data`; default: the data that the run was trained on. Other data without splits become
 *   `val` as a whole, unless `divide` is true: then a part of them becomes `train`
 * @throws UsageError if the data of the run are missing and other data have their name
 */
export async function openRunData(
  run: { config: Pick<RunConfig, 'data' | 'preprocess'> },
  choice: DataChoice,
  reporter: Reporter,
  { divide = false }: { divide?: boolean } = {},
): Promise<Dataset> {
  const { data, preprocess } = run.config;
  const own = choice.data === undefined || (await isOwn(choice.data, data));
  const dataset = own ? await openOwn(run.config, choice, reporter) : await openOther(run.config, choice.data!, choice, divide, reporter);
  return inChannels(dataset, preprocess.channels);
}

async function isOwn(source: string, data: RunConfig['data']): Promise<boolean> {
  return data.location === undefined ? source === data.source : (await locate(source)) === data.location;
}

/** Opens the data of the run as in training: with the same seed, sizes and division into splits. */
async function openOwn(
  { data, preprocess }: Pick<RunConfig, 'data' | 'preprocess'>,
  choice: DataChoice,
  reporter: Reporter,
): Promise<Dataset> {
  const source = choice.data ?? recordedSource(data);
  const dataset = await openData(source, preprocess.side, { ...recordedOptions(data), ...dataOptionsOf(choice) }, reporter);
  const { val } = dataset.splits;
  if (choice.data !== undefined && data.location !== undefined && val)
    reporter.say(`${source} is what the run was trained on: val consists of the ${val.length} images that it was not trained on`);
  if (dataset.fingerprint === data.fingerprint) return dataset;
  const differ = `${source}: its images, labels or splits are not those that the run was trained on (fingerprint ${data.fingerprint}, now ${dataset.fingerprint})`;
  if (choice.data === undefined && source !== data.location)
    throw new UsageError(
      `${differ}${data.location === undefined ? '' : `, which were at ${data.location}`}; select the images with --data`,
    );
  reporter.warn(differ);
  return dataset;
}

async function openOther(
  { data, preprocess }: Pick<RunConfig, 'data' | 'preprocess'>,
  source: string,
  choice: DataChoice,
  divide: boolean,
  reporter: Reporter,
): Promise<Dataset> {
  if (source === data.source) reporter.warn(`${source} is not what the run was trained on: that was ${data.location ?? 'another source'}`);
  const options = dataOptionsOf(choice);
  const dataset = await openData(source, preprocess.side, { ...options, divide }, reporter);
  const { splits } = dataset;
  if (divide || splits.val) return dataset;
  if (splits.all && splits.all.length === data.trainExamples + data.valExamples) {
    // The same number of images as in the run: this may be a copy of its training data, so open it with the run's division.
    const divided = await openData(source, preprocess.side, { ...recordedOptions(data), ...options }, reporter).catch(() => undefined);
    if (divided?.fingerprint === data.fingerprint) {
      reporter.say(
        `${source} contains the images that the run was trained on: val consists of the ${divided.splits.val.length} of ${splits.all.length} images that it was not trained on`,
      );
      return divided;
    }
  }
  const [name, whole] = Object.entries(splits).find(([each]) => each === 'test') ?? Object.entries(splits)[0];
  reporter.say(
    name === 'all'
      ? `${source} is not divided into splits: all ${whole.length} images are used`
      : `${source} has no split val: using ${name}, ${whole.length} images`,
  );
  const { all: _, ...others } = splits;
  return { ...dataset, splits: { ...others, val: whole } };
}

/**
 * Default number of threads that read images: few, because the engine uses all cores and one thread decodes faster than one core trains.
 */
const defaultWorkers = (): number => Math.min(4, Math.ceil(availableParallelism() / 2));

/** Warnings already shown; a source may be opened several times. */
const shown = new Set<string>();

/** Opens a data source, with a progress bar and warnings. */
export async function openData(
  source: string,
  imageSize: number | undefined,
  options: DataOptions & { workers?: number; divide?: boolean },
  reporter: Reporter,
): Promise<Dataset> {
  const { workers = defaultWorkers(), divide, ...recorded } = options;
  const others = recordedOptions(recorded as RunConfig['data']);
  let phase = '';
  let bar: ReturnType<Reporter['bar']> | null = null;
  try {
    return await openDataset(source, {
      imageSize,
      workers,
      ...others,
      ...(divide !== undefined && { divide }),
      onWarning: (message) => {
        if (!shown.has(message)) reporter.warn(message);
        shown.add(message);
      },
      onProgress: (progress) => {
        if (progress.phase !== phase) bar = reporter.bar(`${progress.phase} images`, progress.total, 'images', progress.done);
        phase = progress.phase;
        bar?.update(progress.done);
      },
    });
  } finally {
    reporter.stop();
  }
}
