/**
 * Shared by the commands that analyse a network: choice of layers and maps, and the cached search for the strongest activations of a split.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
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
import { sealed, unsealed } from './files/sealed.js';
import { experimentsFolder } from './report/experiment.js';
import { FolderStore } from './run/run_folder.js';

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

/**
 * Returns the layer names in the values of `--layers`, such as `conv1,conv5`. A value that is the name of a layer is not taken apart: layer
 * names of imported networks may contain commas.
 */
export function layersNamed({ model }: Pick<Run, 'model'>, values: readonly string[] | undefined): string[] | undefined {
  const names = model.layerNames();
  return values?.flatMap((value) => (names.includes(value) ? [value] : value.split(',').map((part) => part.trim())));
}

/** Returns the number of maps (or units) of each named layer, in the order given; of all convolutions if none is named. */
export async function layersOf({ model, preprocess }: Looked, named: readonly string[] | undefined): Promise<Map<string, number>> {
  const { channels, inputSize } = preprocess.options;
  const rows = summarize(model, [1, channels, inputSize, inputSize]);
  const convolutions = rows.filter(isConvolution).map(({ name }) => name);
  const wanted = named ?? convolutions;
  if (wanted.length === 0) throw new UsageError('this network has no convolution: name a layer with --layers');
  return await asUsage(() => {
    for (const name of wanted) model.featureLayer(name);
    return new Map(wanted.map((name) => [name, mapsOf(name, rows.find((row) => row.name === name)?.outputShape)]));
  });
}

function mapsOf(name: string, shape: readonly number[] | null | undefined): number {
  if (!shape)
    throw new UsageError(`layer ${name} does not state its output shape, so its maps cannot be counted; name another with --layers`);
  return shape[1];
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
  images?: number;
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
  const indices = samplePlaces(split.length, job.images);
  const store = new FolderStore(experimentsFolder(path), CACHE);
  const file = `${await keyOf(job, indices)}.json`;
  const kept = await store.read(file);
  const from = kept && (unsealed(kept) as TopActivationsState | undefined);
  if (kept && !from) context.reporter.warn(`${join(CACHE, file)} is damaged; the strongest activations are computed again`);
  let keeping = true;
  const keep = async (state: TopActivationsState) => {
    if (!keeping) return;
    try {
      await store.write(file, sealed(state));
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
async function keyOf({ model, preprocess, dataset, split, layers, maps, count }: TopJob, indices: readonly number[]): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, weights] of Object.entries(model.stateDict()))
    hash.update(`${name} ${weights.shape}\n`).update(bytesOf(await weights.data()));
  const { mean, options } = preprocess;
  hash.update(bytesOf(mean));
  hash.update(bytesOf(Int32Array.from(indices)));
  hash.update(JSON.stringify([options, dataset.fingerprint, split, layers, maps ?? null, count]));
  return hash.digest('hex').slice(0, 16);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);
