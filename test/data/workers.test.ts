/**
 * Worker threads: the same images, names and errors for any number of workers and any order of requests, also if they cannot be started.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DataError, type Dataset, type Example, type OpenOptions, openDataset, type Split } from '../../src/data/index.js';
import { readBatches } from '../../src/data/read_batches.js';
import { LocalReader } from '../../src/data/reading/reader.js';
import { WorkerReader } from '../../src/data/reading/worker_reader.js';
import { train } from '../../src/zfnet/index.js';
import { INPUT, SIDE, tinyNet, useReferenceBackend, weightsOf } from '../zfnet/support.js';
import { everything, failure, noisy, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();
const PARQUET = `parquet:${join(import.meta.dirname, '../fixtures/parquet/hub')}`;
const COUNTS = [0, 1, 2];

/** Pictures of several kinds and sizes, half of each class. */
const pictures = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => {
      const picture = noisy(20 + 3 * i, 50 - 2 * i, i + 1);
      return [
        `${i % 2 ? 'cat' : 'dog'}/${i}.${['jpg', 'png', 'webp'][i % 3]}`,
        picture.toFormat((['jpeg', 'png', 'webp'] as const)[i % 3]).toBuffer(),
      ];
    }),
  );

let folder: string;
beforeAll(async () => {
  folder = await tree(join(root, 'pictures'), pictures(12));
});

const inBatches = async (split: Split, batchSize: number): Promise<Example[]> => {
  const order = Array.from({ length: split.length }, (_, i) => (i * 7) % split.length);
  const found: Example[] = [];
  for await (const { examples } of readBatches(split, order, { batchSize })) found.push(...examples);
  return found;
};

describe('any number of workers', () => {
  it.each(['folder', 'parquet'])('reads the same examples of a %s in the same order', async (kind) => {
    const sets: Dataset[] = [];
    for (const workers of COUNTS)
      sets.push(await openDataset(kind === 'folder' ? folder : PARQUET, { workers, imageSize: 16, cacheBytes: 0 }));
    const [first, ...others] = sets;
    const expected = await inBatches(first.splits.train, 4);
    expect(expected).toHaveLength(first.splits.train.length);
    expect(new Set(expected.map(({ image }) => image.data.join())).size).toBe(expected.length);
    for (const other of others) {
      expect(other.fingerprint).toBe(first.fingerprint);
      expect(await inBatches(other.splits.train, 4)).toEqual(expected);
      // No word of workers that are missing.
      expect(other.warnings).toEqual(first.warnings);
    }
  });

  it('trains to the same bits', async () => {
    useReferenceBackend();
    const weights = [];
    for (const workers of COUNTS) {
      const dataset = await openDataset(folder, { workers, imageSize: SIDE });
      const model = tinyNet({ seed: 5, channels: 3, classes: 2 });
      await train({ model, dataset, options: { epochs: 1, batchSize: 4, lr: 0.02, seed: 5, augment: 'random' } });
      weights.push(weightsOf(model));
      expect(dataset.warnings).toEqual([]);
    }
    expect(INPUT).toBeLessThan(SIDE);
    expect(weights[1]).toEqual(weights[0]);
    expect(weights[2]).toEqual(weights[0]);
  });

  it('names a deleted or damaged file, as the reader without workers does, and reads the others', async () => {
    const messages = [];
    for (const workers of COUNTS) {
      const here = await tree(join(root, `${workers}`), {
        ...pictures(6),
        'cat/half.jpg': text('no image'),
        'cat/gone.png': noisy(9, 9, 99).png().toBuffer(),
      });
      const { splits } = await openDataset(here, { workers, verify: 'headers', valFraction: 0.01 });
      const all = splits.train.length + splits.val.length;
      expect(all).toBe(7);
      rmSync(join(here, 'cat/gone.png'));
      const results = await Promise.allSettled(Object.values(splits).flatMap((split) => Array.from(split.labels, (_, i) => split.get(i))));
      const faults = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      expect(faults).toHaveLength(1);
      expect(faults[0]).toBeInstanceOf(DataError);
      expect(faults[0].file).toBe(join(here, 'cat/gone.png'));
      messages.push(faults[0].message.replaceAll(here, ''));
    }
    expect(messages[0]).toMatch(/^\/cat\/gone\.png: cannot be read as an image: /);
    expect(messages).toEqual([messages[0], messages[0], messages[0]]);
  });

  it('is a whole number from 0 to 64', async () => {
    for (const workers of [-1, 0.5, 65, Number.NaN])
      expect((await failure(openDataset(folder, { workers } as OpenOptions))).message).toBe(
        `openDataset: workers is ${workers}, expected a whole number from 0 to 64`,
      );
  });
});

describe('workers that cannot be started', () => {
  const broken: [string, () => string][] = [
    ['end', () => "require('node:worker_threads').parentPort.once('message', () => process.exit(3));"],
    ['do not start', () => 'this is no program'],
    [
      'are refused',
      () => {
        throw new Error('there are no threads here');
      },
    ],
  ];
  afterEach(() => void vi.restoreAllMocks());

  it.each(broken)('that %s lose no image: the calling thread reads instead, with one warning', async (_, program) => {
    const builtin = process.getBuiltinModule;
    class Broken extends Worker {
      constructor(_: unknown, how: object) {
        super(program(), { ...how, eval: true });
      }
    }
    vi.spyOn(process, 'getBuiltinModule').mockImplementation(((name: string) =>
      name === 'node:worker_threads' ? { ...builtin(name), Worker: Broken } : builtin(name)) as typeof builtin);
    const { splits } = await openDataset(folder);
    const places = (await everything(splits.train)).map(({ name }) => ({ file: join(folder, name) }));
    const warned: string[] = [];
    const reader = new WorkerReader(2, (message) => warned.push(message));
    const images = await Promise.all(places.map((place) => reader.read(place, { size: 8 })));
    const local = new LocalReader();
    expect(images).toEqual(await Promise.all(places.map((place) => local.read(place, { size: 8 }))));
    expect(await reader.read(places[3], { size: 8 })).toEqual(images[3]);
    expect(warned).toEqual([expect.stringMatching(/^images are read without workers, so the engine may have to wait for them: ./)]);
  });
});
