/** Opens the images that a command works on: those that a run was trained on, or those that `--data` names. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { DataOptions, RunConfig } from 'zfnet';
import { type Dataset, inChannels, locate, openDataset } from 'zfnet/data';
import { UsageError } from '../command.js';
import type { Reporter } from '../terminal/reporter.js';

/** The options of every command with `--data`. */
export interface DataChoice {
  data?: string;
  imageColumn?: string;
  labelColumn?: string;
  maxPixels?: number;
}

/** What of a command's options `openDataset` takes. */
export const dataOptionsOf = ({ imageColumn, labelColumn, maxPixels }: DataChoice): DataOptions => ({
  ...(imageColumn !== undefined && { imageColumn }),
  ...(labelColumn !== undefined && { labelColumn }),
  ...(maxPixels !== undefined && { pixelLimit: maxPixels }),
});

/** What of a run's record `openDataset` takes. */
export function recordedOptions({ seed, sizes, valFraction, imageColumn, labelColumn, pixelLimit }: RunConfig['data']): DataOptions {
  const all = { seed, sizes, valFraction, imageColumn, labelColumn, pixelLimit };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Where to look for the data of a run: where they were, or, should they be gone there, under their name in the working folder. */
export const recordedSource = ({ source, location }: RunConfig['data']): string =>
  location !== undefined && isThere(location) ? location : source;

function isThere(location: string): boolean {
  const paths = location.replace(/^(idx|cifar10|parquet):/, '');
  const parts = location.startsWith('parquet:') ? paths.split(',').map((part) => part.trim()) : [paths];
  return parts.every((part) => existsSync(/[*?]/.test(part) ? dirname(part) : part));
}

/**
 * Opens a data set as a network wants it: squares of `preprocess.side` pixels, grey or in colours.
 *
 * @param choice `data` as the command line gives it; default: the data that the run was trained on. Other data that are not
 *   divided into splits are `val` as a whole, unless `divide` asks for a part to learn from
 * @throws UsageError where the data of the run are gone and others have their name
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

/** The run's own data come out as they were: with its seed, its sizes and its division. */
async function openOwn(
  { data, preprocess }: Pick<RunConfig, 'data' | 'preprocess'>,
  choice: DataChoice,
  reporter: Reporter,
): Promise<Dataset> {
  const source = choice.data ?? recordedSource(data);
  const dataset = await openData(source, preprocess.side, { ...recordedOptions(data), ...dataOptionsOf(choice) }, reporter);
  const { val } = dataset.splits;
  if (choice.data !== undefined && data.location !== undefined && val)
    reporter.say(`${source} is what the run was trained on: val are the ${val.length} images that it did not learn from`);
  if (dataset.fingerprint === data.fingerprint) return dataset;
  const differ = `${source}: its images, labels or splits are not those that the run was trained on (fingerprint ${data.fingerprint}, now ${dataset.fingerprint})`;
  if (choice.data === undefined && source !== data.location)
    throw new UsageError(
      `${differ}${data.location === undefined ? '' : `, which were at ${data.location}`}; say by --data which images are meant`,
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
    // As many images as the run has: perhaps a copy of its own, of which it has learnt most.
    const divided = await openData(source, preprocess.side, { ...recordedOptions(data), ...options }, reporter).catch(() => undefined);
    if (divided?.fingerprint === data.fingerprint) {
      reporter.say(
        `${source} holds the images that the run was trained on: val are the ${divided.splits.val.length} of ${splits.all.length} that it did not learn from`,
      );
      return divided;
    }
  }
  const [name, whole] = Object.entries(splits).find(([each]) => each === 'test') ?? Object.entries(splits)[0];
  reporter.say(
    name === 'all'
      ? `${source} is not divided into splits: all ${whole.length} images are taken`
      : `${source} has no split val: ${name} is taken, ${whole.length} images`,
  );
  const { all: _, ...others } = splits;
  return { ...dataset, splits: { ...others, val: whole } };
}

/** Threads that read images unless told otherwise: the engine takes every core, and one decodes far more than one core learns from. */
const defaultWorkers = (): number => Math.min(4, Math.ceil(availableParallelism() / 2));

/** Warnings already shown: a source may be opened several times. */
const shown = new Set<string>();

/** Opens a data source with progress and warnings shown. */
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
