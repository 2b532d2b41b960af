/** Training: the same bits for the same seed, also after an interruption; files that survive interruptions; errors that name the cause. */
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeCheckpoint } from '../../src/formats/checkpoint.js';
import { memory } from '../../src/index.js';
import { StateError } from '../../src/nn/index.js';
import { MemoryStore, openRun, openTrainedRun, PATHS, readConfig, readMetrics, TrainingError, train } from '../../src/zfnet/index.js';
import { bars, CLASSES, tinyJob, tinyNet, useReferenceBackend, weightsOf } from './support.js';

beforeEach(useReferenceBackend);

/** Stops training after a step. */
function stopAfter(step: number): { signal: AbortSignal; onStep: (report: { step: number }) => void } {
  const controller = new AbortController();
  return { signal: controller.signal, onStep: (report) => report.step === step && controller.abort() };
}

const text = async (store: MemoryStore, path: string): Promise<string> => new TextDecoder().decode((await store.read(path)) ?? undefined);

/** Metrics without the fields that depend on the process: its clock and its memory. */
const timeless = async (store: MemoryStore) => (await readMetrics(store)).map(({ imagesPerSecond: _, peakBytes: __, ...rest }) => rest);

describe('a run', () => {
  it('learns, and writes the documented files', async () => {
    const store = new MemoryStore();
    const result = await train(tinyJob({ store, options: { epochs: 4, lr: 0.02 } }));
    expect((await store.list()).sort()).toEqual(
      [
        'best.safetensors',
        ...[1, 2, 3, 4].map((n) => `checkpoints/epoch-000${n}.safetensors`),
        'config.json',
        'last.safetensors',
        'metrics.jsonl',
      ].sort(),
    );
    const lines = (await text(store, PATHS.metrics))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual(result.metrics);
    expect(lines.map(({ epoch, step }) => [epoch, step])).toEqual([
      [1, 6],
      [2, 12],
      [3, 18],
      [4, 24],
    ]);
    expect(Object.keys(lines[0])).toEqual([
      'epoch',
      'step',
      'lr',
      'trainLoss',
      'trainTop1Error',
      'valTop1Error',
      'valTop5Error',
      'imagesPerSecond',
      'peakBytes',
    ]);
    expect(lines[0].trainLoss).toBeCloseTo(Math.log(3), 0);
    expect(lines[0].imagesPerSecond).toBeGreaterThan(0);
    const errors = lines.map((line) => line.valTop1Error);
    expect(result.best).toEqual({ epoch: errors.indexOf(Math.min(...errors)) + 1, top1Error: Math.min(...errors) });

    const config = await readConfig(store);
    expect(config).toEqual(result.config);
    expect(config).toMatchObject({
      architecture: { preset: 'small', inputSize: 28, channels: 1, classes: 3 },
      init: 'he',
      data: { source: 'bars', fingerprint: 'bars-24-12-3', classes: [...CLASSES], trainExamples: 24 },
      preprocess: { inputSize: 28, side: 32, scale: 1 / 64, mirror: true },
      training: { epochs: 4, batchSize: 4, momentum: 0.9, maxFilterRms: 0.1, seed: 5 },
      engine: { backend: 'reference' },
    });
    // The best weights are those of the best epoch.
    const best = decodeCheckpoint((await store.read(PATHS.best))!, 'best');
    expect(best.weights).toEqual(decodeCheckpoint((await store.read(PATHS.epoch(result.best!.epoch)))!, 'epoch').weights);
    expect(best.mean?.shape).toEqual([1, 32, 32]);
  });

  it('gives the same bits for the same seed, however far it reads ahead, and others for another', async () => {
    const runs = await Promise.all(
      [{ readAhead: 0 }, { readAhead: 5 }].map(async (how) => {
        const job = tinyJob({ ...how, options: { epochs: 1 } });
        return job;
      }),
    );
    const weights = [];
    for (const job of runs) {
      await train(job);
      weights.push(weightsOf(job.model));
    }
    expect(weights[1]).toEqual(weights[0]);
    const other = tinyJob({ options: { epochs: 1, seed: 6 } });
    await train(other);
    expect(weightsOf(other.model)).not.toEqual(weights[0]);
  });

  it('needs constant memory over its steps', async () => {
    const seen: number[] = [];
    await train(tinyJob({ onStep: () => seen.push(memory().bytes) }));
    expect(seen.slice(1).every((bytes) => bytes === seen[1])).toBe(true);
  });

  it('lowers the learning rate when the validation error stops falling', async () => {
    const job = tinyJob({ options: { epochs: 4, lr: 1e-7, schedule: { kind: 'plateau', factor: 0.1, patience: 0 } } });
    const { metrics } = await train(job);
    expect(metrics.map(({ lr }) => Number(lr.toPrecision(3)))).toEqual([1e-7, 1e-7, 1e-8, 1e-9]);
  });

  it('accepts a single class, no validation split, and a class without examples, with warnings', async () => {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    await train(
      tinyJob({ onWarning, dataset: bars({ classes: ['only'], train: 8 }), model: tinyNet({ classes: 1 }), options: { epochs: 1 } }),
    );
    expect(warnings.join()).toContain('only one class, only');
    const { metrics, best } = await train(tinyJob({ dataset: bars({ val: 0 }), options: { epochs: 1 } }));
    expect(metrics[0]).toMatchObject({ valTop1Error: null, valTop5Error: null });
    expect(best).toEqual({ epoch: 1, top1Error: metrics[0].trainTop1Error });
    await train(
      tinyJob({ onWarning, dataset: bars({ classes: [...CLASSES, 'missing'] }), model: tinyNet({ classes: 4 }), options: { epochs: 1 } }),
    );
    expect(warnings.join()).toContain('no training examples of class missing');
  });

  it('omits unreadable images, with one warning for each', async () => {
    const warnings: string[] = [];
    const { metrics } = await train(tinyJob({ dataset: bars({ broken: [3, 4, 5] }), onWarning: (message) => warnings.push(message) }));
    expect(metrics).toHaveLength(2);
    expect(warnings.filter((message) => message.includes('image 4 is broken'))).toHaveLength(2); // for the mean, and in training
  });

  it('warns about filters that respond to no image', async () => {
    const warnings: string[] = [];
    const model = tinyNet();
    const [weight, bias] = model.layer('conv1').parameters();
    weight.set(new Float32Array(weight.size));
    bias.set(new Float32Array(bias.size).fill(-1));
    await train(tinyJob({ model, onWarning: (message) => warnings.push(message), options: { epochs: 1, lr: 1e-9 } }));
    expect(warnings.join()).toMatch(/conv1: 1 of 1 filters respond to none/);
  });
});

describe('a run that was stopped', () => {
  /** Four epochs without a stop. */
  async function straight() {
    const store = new MemoryStore();
    const job = tinyJob({ store, options: { epochs: 4 } });
    await train(job);
    return { store, weights: weightsOf(job.model) };
  }

  it('resumes to the same bits after an epoch, with more epochs than before', async () => {
    const expected = await straight();
    const store = new MemoryStore();
    await train(tinyJob({ store, options: { epochs: 2 } }));
    const again = tinyJob({ model: tinyNet({ seed: 99 }), store, resume: true, options: { epochs: 4 } });
    const { metrics, config } = await train(again);
    expect(weightsOf(again.model)).toEqual(expected.weights);
    expect(metrics.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(await timeless(store)).toEqual(await timeless(expected.store));
    expect(config.changes).toEqual([{ epoch: 2, option: 'epochs', from: 2, to: 4 }]);
    expect(await store.read(PATHS.best)).toEqual(await expected.store.read(PATHS.best).then((bytes) => withClock(bytes!, store)));
  });

  it.each([1, 8, 12, 17])('resumes to the same bits after step %i', async (step) => {
    const expected = await straight();
    const store = new MemoryStore();
    const stopped = await train(tinyJob({ store, options: { epochs: 4 }, ...stopAfter(step) }));
    expect(stopped).toMatchObject({ status: 'stopped', step });
    const again = tinyJob({ model: tinyNet({ seed: 99 }), store, resume: true, options: { epochs: 4 } });
    expect(await train(again)).toMatchObject({ status: 'done', epoch: 4, step: 24 });
    expect(weightsOf(again.model)).toEqual(expected.weights);
    expect(await timeless(store)).toEqual(await timeless(expected.store));
  });

  it('resumes from a checkpoint within the epoch after it was killed, and repeats no line of the metrics', async () => {
    const expected = await straight();
    const store = new MemoryStore();
    let killed: Map<string, Uint8Array> | null = null;
    await train(
      tinyJob({
        store,
        options: { epochs: 4 },
        checkpointSteps: 4,
        // Files after a kill at this moment: epoch 2 has its line, but `last` is from step 10, within that epoch.
        onStep: ({ step }) => {
          if (step === 11) killed = new Map(store.files);
        },
        onEpoch: ({ epoch }) => {
          if (epoch === 2) killed!.set(PATHS.metrics, store.files.get(PATHS.metrics)!);
        },
      }),
    );
    const left = new MemoryStore();
    for (const [path, bytes] of killed!) left.files.set(path, bytes);
    expect(await readMetrics(left)).toHaveLength(2);
    left.files.set(PATHS.metrics, new TextEncoder().encode(`${await text(left, PATHS.metrics)}{"epoch":3,"st`));
    let first = 0;
    const again = tinyJob({ store: left, resume: true, options: { epochs: 4 }, onStep: ({ step }) => (first ||= step) });
    await train(again);
    expect(first).toBe(11);
    expect(weightsOf(again.model)).toEqual(expected.weights);
    expect(await timeless(left)).toEqual(await timeless(expected.store));
  });

  it('starts again if it was killed before its first checkpoint', async () => {
    const expected = await straight();
    const store = new MemoryStore();
    store.files.set(PATHS.config, expected.store.files.get(PATHS.config)!);
    const again = tinyJob({ store, resume: true, options: { epochs: 4 } });
    await train(again);
    expect(weightsOf(again.model)).toEqual(expected.weights);
  });

  it('accepts a new learning rate, and records it', async () => {
    const store = new MemoryStore();
    await train(tinyJob({ store, options: { epochs: 1 } }));
    const { metrics, config } = await train(tinyJob({ store, resume: true, options: { epochs: 2, lr: 0.001 } }));
    expect(metrics[1].lr).toBe(0.001);
    expect(config.changes).toContainEqual({ epoch: 1, option: 'lr', from: 0.02, to: 0.001 });
    expect(config.training.lr).toBe(0.02);
  });

  it('refuses to resume with another network or other data, and names the difference', async () => {
    const store = new MemoryStore();
    await train(tinyJob({ store, options: { epochs: 1 } }));
    const resume = (job: Parameters<typeof tinyJob>[0]) => train(tinyJob({ store, resume: true, ...job }));
    await expect(resume({ model: tinyNet({ width: 0.02 }) })).rejects.toThrow(/architecture\.width was 0\.01 and is 0\.02/);
    await expect(resume({ dataset: bars({ train: 30 }) })).rejects.toThrow(/data have changed .* training examples were 24 and are 30/);
    await expect(resume({ dataset: bars({ classes: ['horizontal', 'vertical', 'falling'], fingerprint: 'x' }) })).rejects.toThrow(
      /gone: rising, new: falling/,
    );
    await expect(resume({ options: { momentum: 0.5 } })).rejects.toThrow(/only epochs and lr may change: momentum was 0.9 and is 0.5/);
    await expect(train(tinyJob({ store }))).rejects.toThrow(StateError);
    await expect(train(tinyJob({ store: new MemoryStore(), resume: true }))).rejects.toThrow(/no run to resume/);
  });
});

/** Both files tell how long the epoch took, each by its own clock: compares everything else. */
async function withClock(bytes: Uint8Array, other: MemoryStore): Promise<Uint8Array> {
  const own = decodeCheckpoint(bytes, 'own');
  const theirs = decodeCheckpoint((await other.read(PATHS.best))!, 'theirs');
  expect(own.weights).toEqual(theirs.weights);
  expect(own.velocities).toEqual(theirs.velocities);
  return (await other.read(PATHS.best))!;
}

describe('NaN and infinity', () => {
  it('stop training with an error that names the operation; the last checkpoint is intact', async () => {
    const store = new MemoryStore();
    await train(tinyJob({ store, options: { epochs: 1 } }));
    const before = await store.read(PATHS.last);
    const error = await train(tinyJob({ store, resume: true, options: { epochs: 3, lr: 1e20 } })).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TrainingError);
    expect(error.message).toMatch(
      /^train: epoch 2, batch \d \(step \d+\): the loss became NaN or infinite: .*\b(op \w+)\b.* last\.safetensors is whole: it holds step 6/,
    );
    expect(error.message).toContain('lower learning rate (it is 100000000000000000000)');
    expect(error.culprit.op).toBeTruthy();
    expect(error.at.epoch).toBe(2);
    expect(await store.read(PATHS.last)).toEqual(before);
    expect((await readMetrics(store)).map(({ epoch }) => epoch)).toEqual([1]);
    // Training resumes from there with a smaller rate.
    expect((await train(tinyJob({ store, resume: true, options: { epochs: 2, lr: 0.01 } }))).status).toBe('done');
  });

  it('in an image lead to an error that names the first layer', async () => {
    const model = tinyNet();
    model
      .layer('fc7')
      .parameters()[1]
      .set(new Float32Array(model.layer('fc7').parameters()[1].size).fill(3e38));
    model
      .layer('fc8')
      .parameters()[0]
      .set(new Float32Array(model.layer('fc8').parameters()[0].size).fill(3e38));
    const error = await train(tinyJob({ model })).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TrainingError);
    expect(error.culprit).toMatchObject({ layer: 'drop7', op: 'dropout' });
    expect(error.at).toEqual({ epoch: 1, step: 1 });
  });

  it('in the very last step are not saved', async () => {
    const store = new MemoryStore();
    const error = await train(
      tinyJob({ store, dataset: bars({ train: 4, val: 0 }), options: { epochs: 1, batchSize: 4, lr: 1e45 } }),
    ).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(TrainingError);
    const { weights, info } = decodeCheckpoint((await store.read(PATHS.last))!, 'last');
    expect(info.training).toMatchObject({ step: 0 });
    expect(Object.values(weights).every(({ data }) => data.every(Number.isFinite))).toBe(true);
  });
});

describe('invalid training jobs:', () => {
  it.each([
    ['no examples', { dataset: bars({ train: 0 }) }, /no training examples/],
    ['a label outside the classes', { dataset: bars({ labels: { 5: 9 } }) }, /example 5 has the label 9, outside the 3 classes/],
    ['another number of classes', { model: () => tinyNet({ classes: 4 }) }, /the network has 4 classes, bars has 3/],
    ['other channels', { dataset: bars({ channels: 3 }) }, /takes 1 channels, the images of bars have 3/],
    ['images of another size', { dataset: bars({ size: 30 }) }, /expected 32×32/],
    ['a rate of 0', { options: { lr: 0 } }, /lr is 0, expected a finite number above 0/],
    ['a schedule that does not exist', { options: { schedule: { kind: 'wild' } } }, /schedule.kind is 'wild', expected one of 'plateau'/],
    ['half a batch', { options: { batchSize: 2.5 } }, /batchSize is 2.5/],
  ])('%s', async (_, job, message) => {
    const model = 'model' in job ? (job.model as () => ReturnType<typeof tinyNet>)() : tinyNet();
    await expect(train(tinyJob({ ...(job as object), model }))).rejects.toThrow(message);
  });
});

describe('openRun', () => {
  it('loads the best weights, or the last if no epoch has ended, or the requested checkpoint', async () => {
    const store = new MemoryStore();
    await expect(openTrainedRun(store)).rejects.toThrow(/this is no run/);
    const job = tinyJob({ store, options: { epochs: 3 } });
    const { best } = await train(job);
    const run = await openTrainedRun(store);
    expect(run.checkpoint).toBe('best.safetensors');
    expect(run.training?.epoch).toBe(best!.epoch);
    expect(run.metrics).toHaveLength(3);
    expect(run.model.training).toBe(false);
    expect(run.classes).toEqual([...CLASSES]);
    expect(run.preprocess.mean.some((value) => value > 0)).toBe(true);
    const last = await openTrainedRun(store, { checkpoint: PATHS.last });
    expect(weightsOf(last.model)).toEqual(weightsOf(job.model));
    store.files.delete(PATHS.best);
    expect((await openRun(store)).checkpoint).toBe('last.safetensors');
    await expect(openRun(store, { checkpoint: 'checkpoints/epoch-0009.safetensors' })).rejects.toThrow(/no checkpoints\/epoch-0009/);
  });
});
