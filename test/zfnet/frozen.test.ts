/** Frozen layers: their weights keep every bit, and their outputs are computed once. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { init } from '../../src/index.js';
import { StateError } from '../../src/nn/index.js';
import {
  lastFrozenLayer,
  MemoryStore,
  openRun,
  Preprocess,
  readConfig,
  startFrom,
  type TrainJob,
  train,
  zfnet,
} from '../../src/zfnet/index.js';
import { bars, tinyJob, tinyNet, useReferenceBackend, weightsOf } from './support.js';

beforeEach(useReferenceBackend);

const from = { run: 'runs/first', preprocess: new Preprocess({ inputSize: 28, side: 32, channels: 1, scale: 1 / 64 }) };
const frozenJob = (options: Partial<TrainJob> = {}) =>
  tinyJob({ from, freeze: 'conv1-fc7', ...options, options: { augment: 'none', epochs: 3, ...options.options } });

/** How often the first layer works. */
function countWork(job: TrainJob): () => number {
  const work = vi.spyOn(job.model.layer('conv1'), 'forward');
  return () => work.mock.calls.length;
}

describe('frozen layers', () => {
  it.each([
    ['conv1-fc7', ['fc8.weight', 'fc8.bias']],
    ['conv5', ['fc6.weight', 'fc6.bias', 'fc7.weight', 'fc7.bias', 'fc8.weight', 'fc8.bias']],
  ])('%s keep every bit, and the others are trained', async (freeze, learning) => {
    const job = frozenJob({ freeze });
    const before = weightsOf(job.model);
    await train(job);
    const after = weightsOf(job.model);
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(learning);
  });

  it('give the same training with and without the cache, and run once per image with it', async () => {
    const results = [];
    for (const keepBytes of [undefined, 0]) {
      const store = new MemoryStore();
      const job = frozenJob({ store, keepBytes, onWarning: () => undefined });
      const worked = countWork(job);
      const { metrics } = await train(job);
      results.push({
        weights: weightsOf(job.model),
        metrics: metrics.map(({ trainLoss, valTop1Error }) => [trainLoss, valTop1Error]),
        worked: worked(),
      });
    }
    const [kept, anew] = results;
    expect(kept.weights).toEqual(anew.weights);
    expect(kept.metrics).toEqual(anew.metrics);
    // 24 images in steps of 4, and 12 to validate on, also in fours: 9 batches an epoch.
    expect(anew.worked).toBe(3 * 9);
    expect(kept.worked).toBe(9);
  });

  it('give the same bits on the kernels, whatever batch an image is in', async () => {
    await init({ threads: 1 });
    const weights = [];
    for (const keepBytes of [undefined, 0]) {
      const job = frozenJob({ model: tinyNet({ seed: 5, width: 0.04 }), keepBytes, freeze: 'conv5', onWarning: () => undefined });
      await train(job);
      weights.push(weightsOf(job.model));
    }
    expect(weights[0]).toEqual(weights[1]);
  });

  it('run in every epoch if crops are random, with a warning', async () => {
    const warnings: string[] = [];
    const job = frozenJob({ options: { augment: 'random', epochs: 2 }, onWarning: (message) => warnings.push(message) });
    const worked = countWork(job);
    await train(job);
    // Validation uses the centre crop, whose outputs are cached.
    expect(worked()).toBe(2 * 6 + 3);
    expect(warnings).toEqual([expect.stringContaining("augment is 'random'")]);
  });

  it('resume to the same bits, as recorded in the run', async () => {
    const whole = frozenJob();
    await train(whole);
    const store = new MemoryStore();
    const controller = new AbortController();
    const stopped = await train(frozenJob({ store, signal: controller.signal, onStep: ({ step }) => step === 8 && controller.abort() }));
    expect(stopped.status).toBe('stopped');
    expect(await readConfig(store)).toMatchObject({ from: 'runs/first', freeze: 'conv1-fc7' });
    const model = tinyNet({ seed: 9 });
    await train(tinyJob({ model, store, resume: true, options: { augment: 'none', epochs: 3 } }));
    expect(weightsOf(model)).toEqual(weightsOf(whole.model));
    const run = await openRun(store, { checkpoint: 'last.safetensors' });
    expect(weightsOf(run.model as typeof model)).toEqual(weightsOf(model));
  });

  it.each([
    ['fc8', /leaves no layer to train/],
    ['conv3-fc7', /begins at conv3, expected .*such as conv1-fc7/],
    ['conv9', /expected a layer or a range such as conv1-LAYER; the layers are conv1/],
  ])('refuse %s', (range, message) => {
    expect(() => lastFrozenLayer(tinyNet(), range)).toThrow(message);
  });
});

describe('startFrom', () => {
  it('copies the layers that fit, and the last one only for the same classes', () => {
    const source = { model: tinyNet({ seed: 1 }) };
    const taken = (classes: number, sameClasses: boolean) => {
      const model = tinyNet({ seed: 2, classes });
      const names = startFrom(model, source, { sameClasses });
      const [own, other] = [weightsOf(model), weightsOf(source.model)];
      expect(Object.keys(own).filter((name) => own[name] === other[name] && name.endsWith('weight'))).toEqual(
        names.map((name) => `${name}.weight`),
      );
      return names;
    };
    const lower = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7'];
    expect(taken(3, true)).toEqual([...lower, 'fc8']);
    expect(taken(3, false)).toEqual(lower);
    expect(taken(5, true)).toEqual(lower);
  });

  it('refuses a network without a layer that fits', () => {
    const other = zfnet('small', { inputSize: 28, channels: 1, classes: 3, width: 0.02 });
    expect(() => startFrom(other, { model: tinyNet() }, { sameClasses: true })).toThrow(StateError);
  });

  it('keeps the mean image and the scale of the run', async () => {
    const mean = { shape: [1, 32, 32], data: Float32Array.from({ length: 1024 }, (_, i) => i % 7) };
    const { preprocess } = await train(
      tinyJob({
        dataset: bars({ train: 4, val: 0 }),
        from: { run: 'x', preprocess: new Preprocess({ inputSize: 28, side: 32, channels: 1, scale: 1 / 16 }, mean) },
        options: { epochs: 0 },
      }),
    );
    expect(preprocess.options.scale).toBe(1 / 16);
    expect(preprocess.mean).toEqual(mean.data);
  });
});
