/** The recipe against PyTorch's record of it, and runs that are prepared here to be trained elsewhere. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StateError } from '../../src/nn/index.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { MemoryStore, openTrainedRun, readConfig, readMetrics, train } from '../../src/zfnet/index.js';
import { strict } from '../support/backends.js';
import { EPOCHS, FAR, losses, NEAR, STEPS_AN_EPOCH, worst, writeImages } from './pytorch_recipe.js';
import { tinyJob, tinyNet, weightsOf } from './support.js';

let images: string;
beforeAll(async () => {
  setDefaultBackend(strict.backend);
  images = await mkdtemp(join(tmpdir(), 'zfnet-pytorch-'));
  await writeImages(images);
});
afterAll(() => rm(images, { recursive: true, force: true }));

// `npm run test:pytorch` trains there again, and writes the record with `-- --write`.
it('200 steps give the losses of PyTorch for the same weights and batches', async () => {
  const expected: number[] = JSON.parse(await readFile(join(import.meta.dirname, '../fixtures/pytorch_run.json'), 'utf8'));
  const ours = await losses(images);
  expect(ours.length).toBe(EPOCHS * STEPS_AN_EPOCH);
  expect(worst(ours.slice(0, 20), expected.slice(0, 20))).toBeLessThan(NEAR);
  expect(worst(ours, expected)).toBeLessThan(FAR);
}, 180_000);

describe('a prepared run', () => {
  it('has its configuration, its mean image and its initial weights, but no step', async () => {
    const store = new MemoryStore();
    const job = tinyJob({ store, prepareOnly: true });
    const { status, step, epoch } = await train(job);
    expect({ status, step, epoch }).toEqual({ status: 'prepared', step: 0, epoch: 0 });
    expect((await readConfig(store))?.training.epochs).toBe(2);
    expect(await readMetrics(store)).toEqual([]);
    const run = await openTrainedRun(store);
    expect(weightsOf(run.model)).toEqual(weightsOf(tinyNet({ seed: 5 })));
    expect(run.preprocess.mean.some((value) => value > 0)).toBe(true);
    expect(run.training?.step).toBe(0);
  });

  it('is trained to the same bits as one that was not prepared', async () => {
    const atOnce = tinyJob();
    await train(atOnce);
    const store = new MemoryStore();
    await train(tinyJob({ store, prepareOnly: true }));
    const later = tinyJob({ store, resume: true, model: tinyNet({ seed: 6 }) });
    await train(later);
    expect(weightsOf(later.model)).toEqual(weightsOf(atOnce.model));
  });

  it('is not written over another run', async () => {
    const store = new MemoryStore();
    await train(tinyJob({ store, prepareOnly: true }));
    await expect(train(tinyJob({ store, prepareOnly: true }))).rejects.toThrow(StateError);
  });
});
