/** Data that change during a run: detected on resuming; if they are deleted, training ends with a clear error and an intact checkpoint. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { DataError, openDataset } from '../../src/data/index.js';
import { decodeCheckpoint } from '../../src/formats/checkpoint.js';
import { evaluate, MemoryStore, meanImage, PATHS, Preprocess, readMetrics, train } from '../../src/zfnet/index.js';
import { bars, CLASSES, INPUT, SIDE, tinyNet, useReferenceBackend } from '../zfnet/support.js';
import { noisy, temporaryFolder, tree } from './support.js';

beforeEach(useReferenceBackend);

const root = temporaryFolder();
let folders = 0;

const pictures = (): Promise<string> =>
  tree(
    join(root, `${folders++}`),
    Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [
        `${i % 2 ? 'cat' : 'dog'}/${i}.png`,
        noisy(SIDE, SIDE, i + 1)
          .png()
          .toBuffer(),
      ]),
    ),
  );

/** A training job on a folder whose images are decoded only when they are needed. */
async function jobOn(folder: string, workers = 0) {
  const dataset = await openDataset(folder, { workers, imageSize: SIDE, cacheBytes: 0, valFraction: 0.2, verify: 'headers' });
  const model = tinyNet({ seed: 5, channels: 3, classes: 2 });
  return { model, dataset, options: { batchSize: 2, lr: 0.01, seed: 5 } };
}

describe('resuming a run', () => {
  it.each<[string, (folder: string) => void]>([
    [
      'another picture of the same length',
      (folder) => {
        const file = join(folder, 'cat/5.png');
        const bytes = readFileSync(file);
        bytes[bytes.length - 20] ^= 1;
        writeFileSync(file, bytes);
      },
    ],
    ['a picture less', (folder) => rmSync(join(folder, 'dog/4.png'))],
    ['a picture more', (folder) => writeFileSync(join(folder, 'dog/new.png'), readFileSync(join(folder, 'cat/1.png')))],
  ])('refuses %s and leaves the files of the run unchanged', async (_, change) => {
    const folder = await pictures();
    const store = new MemoryStore();
    const { options, ...job } = await jobOn(folder);
    await train({ ...job, store, options: { ...options, epochs: 1 } });
    const before = await Promise.all((await store.list()).map((path) => store.read(path)));
    change(folder);
    const changed = await jobOn(folder);
    await expect(train({ ...changed, store, resume: true, options: { epochs: 2 } })).rejects.toThrow(
      /cannot resume, because its settings differ: the data have changed \(fingerprint/,
    );
    expect(await Promise.all((await store.list()).map((path) => store.read(path)))).toEqual(before);
  });
});

describe('a folder that is deleted during training', () => {
  it.each([0, 1])('stops the run with an error that says so, with %i workers; the last checkpoint is intact', async (workers) => {
    const folder = await pictures();
    const store = new MemoryStore();
    const { options, ...job } = await jobOn(folder, workers);
    const warnings: string[] = [];
    const running = train({
      ...job,
      store,
      options: { ...options, epochs: 3 },
      readAhead: 0,
      onWarning: (message) => warnings.push(message),
      onEpoch: () => rmSync(folder, { recursive: true, force: true }),
    });
    await expect(running).rejects.toThrow(
      /none of the last \d+ images can be read; the last error: .*Input file is missing.* Check that the data still exist/,
    );
    expect(warnings.filter((message) => message.includes('left out'))).not.toEqual([]);
    const last = decodeCheckpoint((await store.read(PATHS.last))!, PATHS.last);
    expect(last.weights).toEqual(decodeCheckpoint((await store.read(PATHS.epoch(1)))!, 'epoch 1').weights);
    expect(await readMetrics(store)).toHaveLength(1);
  });
});

describe('a split with no readable image', () => {
  const { splits, classes } = bars({ train: 3, broken: [0, 1, 2] });
  const onBroken = () => undefined;

  it('does not evaluate to an error rate of 0 %', async () => {
    const preprocess = new Preprocess({ inputSize: INPUT, side: SIDE, channels: 1, scale: 1 });
    const model = tinyNet({ seed: 1, classes: CLASSES.length });
    await expect(evaluate({ model, preprocess, classes }, splits.train, { batchSize: 2, onBroken })).rejects.toThrow(
      new DataError('none of the last 3 images can be read; the last error: image 2 is broken. Check that the data still exist'),
    );
  });

  it('has no mean image', async () => {
    await expect(meanImage(splits.train, SIDE, 1, { onBroken })).rejects.toThrow('none of 3 images can be read');
  });
});
