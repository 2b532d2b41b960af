/**
 * Shared by the commands that analyse a network: choice of layers and maps, and the cached search for the strongest activations of a split.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import {
  isConvolution,
  type MapActivations,
  type Network,
  type Preprocess,
  type Run,
  summarize,
  type TopActivationsState,
  topActivations,
  ValueError,
} from 'zfnet';
import { type Dataset, type Example, samplePlaces } from 'zfnet/data';
import { inputOf } from 'zfnet/report';
import { type Context, Interrupted, UsageError } from './command.js';
import { experimentsFolder } from './report/experiment.js';
import { FolderStore } from './run/run_folder.js';

/** Collects the values of a repeatable option. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** Largest map number that `mapList` accepts. It bounds the memory of the list. */
const MOST_MAP = 999_999;

/** Parses a list such as `0-7` or `3,5,8-11`; returns the distinct numbers in ascending order. */
export function mapList(text: string): number[] {
  const maps = new Set<number>();
  for (const part of text.split(',')) {
    const [, from, to = from] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) throw new InvalidArgumentError('Expected maps such as 0-7 or 3,5,8-11.');
    if (Number(to) > MOST_MAP) throw new InvalidArgumentError(`Expected map numbers of at most ${MOST_MAP}.`);
    for (let map = Number(from); map <= Number(to); map++) maps.add(map);
  }
  return [...maps].sort((a, b) => a - b);
}

/** Formats map numbers as `mapList` parses them: `3,5,8-11`. */
export function mapsText(maps: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const map of maps) {
    const last = runs.at(-1);
    if (last && last[1] === map - 1) last[1] = map;
    else runs.push([map, map]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** Runs `fn` and turns a `ValueError` (an unknown layer, map or position) into a `UsageError` with the same message. */
export async function asUsage<T>(fn: () => T | Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    if (error instanceof ValueError) throw new UsageError(error.message.replace(/^\w+: /, ''), { cause: error });
    throw error;
  }
}

/** Runs `fn` until it ends or a signal stops it; then throws `Interrupted` with the message `stopped; ${whatNext}`. */
export async function stoppable<T>(context: Context, whatNext: string, fn: () => Promise<T>): Promise<T> {
  context.catchSignals();
  try {
    return await fn();
  } catch (error) {
    if (context.signal.aborted) throw new Interrupted(`stopped; ${whatNext}`, context.signalStatus());
    throw error;
  }
}

type Looked = Pick<Run, 'model' | 'preprocess'>;

/** Returns the number of maps (or units) of each named layer, in the order given; of all convolutions if none is named. */
export async function layersOf({ model, preprocess }: Looked, named: readonly string[] | undefined): Promise<Map<string, number>> {
  const { channels, inputSize } = preprocess.options;
  const rows = summarize(model, [1, channels, inputSize, inputSize]);
  const convolutions = rows.filter(isConvolution).map(({ name }) => name);
  const wanted = named ?? convolutions;
  if (wanted.length === 0) throw new UsageError('this network has no convolution: name a layer by --layer');
  return await asUsage(() => {
    for (const name of wanted) model.featureLayer(name);
    return new Map(wanted.map((name) => [name, rows.find((row) => row.name === name)!.outputShape[1]]));
  });
}

/** Throws `UsageError` if a layer has none of the requested maps. */
export function checkMaps(layers: ReadonlyMap<string, number>, maps: readonly number[] | undefined): void {
  for (const [layer, count] of layers)
    if (maps && !maps.some((map) => map < count))
      throw new UsageError(`layer ${layer} has maps 0 to ${count - 1}, none of ${maps.join(', ')}`);
}

export interface TopJob {
  /** The run's folder. */
  path: string;
  model: Network;
  preprocess: Preprocess;
  dataset: Dataset;
  split: string;
  layers: readonly string[];
  maps?: readonly number[];
  count: number;
  /** Largest number of images, sampled at random (the same ones in every call). Default: all. */
  examples?: number;
}

/** Folder of the cache, relative to the folder of the run's experiments. */
const CACHE = 'top9-cache';

/**
 * Returns the strongest activations of a split. Results for the same weights, images and options are read from a cache; an
 * interrupted search continues from its last cached state.
 */
export async function strongestOf(job: TopJob, context: Context): Promise<Record<string, MapActivations[]>> {
  const { path, model, preprocess, dataset, layers, maps, count } = job;
  const split = dataset.splits[job.split];
  const indices = samplePlaces(split.length, job.examples);
  const store = new FolderStore(experimentsFolder(path), CACHE);
  const file = `${keyOf(job, indices)}.json`;
  const kept = await store.read(file);
  const from = kept && (unsealed(kept) as TopActivationsState | undefined);
  if (kept && !from) context.reporter.warn(`${join(CACHE, file)} is damaged; the strongest activations are computed again`);
  let keeping = true;
  const keep = async (state: TopActivationsState) => {
    if (!keeping) return;
    try {
      await store.write(file, new TextEncoder().encode(sealed(state)));
    } catch (error) {
      // The folder may be read-only. The result does not depend on the cache.
      keeping = false;
      context.reporter.warn(`the activations found cannot be cached: ${error instanceof Error ? error.message : error}`);
    }
  };
  const bar = context.reporter.bar('strongest activations', indices.length, 'images', from?.done ?? 0);
  try {
    return await topActivations(model, split, {
      layers,
      maps,
      count,
      indices,
      preprocess: (examples: Example[]) => inputOf(preprocess, examples),
      from: from ?? undefined,
      onState: keep,
      onProgress: (done) => bar.update(done),
      onBroken: (error) => context.reporter.warn(`left out: ${error.message}`),
      signal: context.signal,
    });
  } finally {
    bar.stop();
  }
}

/** Key of the cache: a hash of the weights, the images, the preprocessing and the options of the search. */
function keyOf({ model, preprocess, dataset, split, layers, maps, count }: TopJob, indices: readonly number[]): string {
  const hash = createHash('sha256');
  for (const [name, weights] of Object.entries(model.stateDict()))
    hash.update(`${name} ${weights.shape}\n`).update(bytesOf(weights.dataSync()));
  const { mean, options } = preprocess;
  hash.update(bytesOf(mean));
  hash.update(bytesOf(Int32Array.from(indices)));
  hash.update(JSON.stringify([options, dataset.fingerprint, split, layers, maps ?? null, count]));
  return hash.digest('hex').slice(0, 16);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

/** A kept state as a file: the state as text, with the text's hash, so that damage is found whatever it hits. */
export function sealed(state: unknown): string {
  const text = JSON.stringify(state);
  return JSON.stringify({ sha256: createHash('sha256').update(text).digest('hex'), text });
}

/** @returns what `sealed` was given; undefined for a damaged file */
export function unsealed(bytes: Uint8Array): unknown {
  try {
    const { sha256, text } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string>;
    return createHash('sha256').update(text).digest('hex') === sha256 ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}
