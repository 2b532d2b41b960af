/** What the commands that look into a network have in common: its layers, lists of maps, and the strongest activations of a split, kept between calls. */
import { createHash } from 'node:crypto';
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

/** Collects the values of an option that may be given several times. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** No layer has more maps or units; a list of all of them fits into memory. */
const MOST_MAP = 999_999;

/** `0-7` or `3,5,8-11` as numbers, rising, each once. */
export function mapList(text: string): number[] {
  const maps = new Set<number>();
  for (const part of text.split(',')) {
    const [, from, to = from] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from)) throw new InvalidArgumentError('Expected maps such as 0-7 or 3,5,8-11.');
    if (Number(to) > MOST_MAP) throw new InvalidArgumentError(`Expected maps of at most ${MOST_MAP}.`);
    for (let map = Number(from); map <= Number(to); map++) maps.add(map);
  }
  return [...maps].sort((a, b) => a - b);
}

/** The list as `mapList` reads it. */
export function mapsText(maps: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const map of maps) {
    const last = runs.at(-1);
    if (last && last[1] === map - 1) last[1] = map;
    else runs.push([map, map]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** A layer, a map or a position that the network does not have is wrong usage; the engine's message says what there is. */
export async function asUsage<T>(fn: () => T | Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    if (error instanceof ValueError) throw new UsageError(error.message.replace(/^\w+: /, ''), { cause: error });
    throw error;
  }
}

/** Runs what Ctrl-C may stop. `whatNext` completes the sentence that the user is left with. */
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

/** How many maps (or units) each of the named layers has, in their order; of all convolutions where none is named. */
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

/** Throws `UsageError` where a layer has none of the maps asked for. */
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
  /** At most this many images, sampled at random (the same ones in every call). Default all. */
  examples?: number;
}

/** Below the folder of a run's experiments. */
const CACHE = 'top9-cache';

/**
 * The strongest activations of a split. What was found for the same weights, images and question before is read back; a pass that was
 * interrupted goes on where it was written down last.
 */
export async function strongestOf(job: TopJob, context: Context): Promise<Record<string, MapActivations[]>> {
  const { path, model, preprocess, dataset, layers, maps, count } = job;
  const split = dataset.splits[job.split];
  const indices = samplePlaces(split.length, job.examples);
  const store = new FolderStore(experimentsFolder(path), CACHE);
  const file = `${keyOf(job, indices)}.json`;
  const from = parse(await store.read(file));
  let keeping = true;
  const keep = async (state: TopActivationsState) => {
    if (!keeping) return;
    try {
      await store.write(file, new TextEncoder().encode(JSON.stringify(state)));
    } catch (error) {
      // The run may be somebody else's; the answer does not need the note.
      keeping = false;
      context.reporter.warn(`what is found is not kept for the next time: ${error instanceof Error ? error.message : error}`);
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

/** Changes with the weights, the images, what is made of them, and the question. */
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

/** What was kept before; null where there is none, or it is damaged: then the work is done anew. */
function parse(bytes: Uint8Array | null): TopActivationsState | null {
  if (!bytes) return null;
  try {
    const state = JSON.parse(new TextDecoder().decode(bytes)) as TopActivationsState | null;
    return state && Number.isSafeInteger(state.done) && state.done >= 0 ? state : null;
  } catch {
    return null;
  }
}
