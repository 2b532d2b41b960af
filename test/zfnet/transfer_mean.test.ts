/** The mean image of the networks that `transfer` trains from scratch: over every training image, each counted once. */
import { beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { sampleByClass, takeByClass } from '../../src/data/index.js';
import { init } from '../../src/index.js';
import { Preprocess, type TrainJob, type TrainResult, transfer } from '../../src/zfnet/index.js';
import { bars, CLASSES, tinyNet } from './support.js';

const trained = vi.hoisted(() => [] as TrainResult[]);

vi.mock('../../src/zfnet/training/train.js', async (original) => {
  const module = await original<typeof import('../../src/zfnet/training/train.js')>();
  const train = async (job: TrainJob) => {
    const result = await module.train(job);
    trained.push(result);
    return result;
  };
  return { ...module, train };
});

beforeAll(() => init({ threads: 1 }));
beforeEach(() => void trained.splice(0));

it.each([3, 5, 8])('is the mean of the %i images of each class', async (perClass) => {
  const dataset = bars({ train: 30, val: 6 });
  const pool = dataset.splits.train;
  await transfer({
    network: { model: tinyNet({ width: 0.03 }), preprocess: new Preprocess({ inputSize: 28, side: 32, channels: 1, scale: 1 / 64 }) },
    layer: 'relu7',
    dataset,
    pool,
    perClass: [perClass],
    folds: 1,
    scratch: { architecture: tinyNet().architecture, training: { batchSize: 8, augment: 'none' }, steps: 8 },
  });
  const learn = takeByClass(sampleByClass(pool, 3, { seed: 0, sample: 0 }), perClass, CLASSES);
  const images = await Promise.all(learn.map(async (place) => (await pool.get(place)).image.data));
  const { mean } = trained[0].preprocess;
  for (let i = 0; i < mean.length; i += 37) expect(mean[i]).toBeCloseTo(images.reduce((sum, data) => sum + data[i], 0) / learn.length, 3);
});
