/** Mini-batches in parts: the gradient of their mean in less memory, the same bits for the same size, for any number of threads. */
import { beforeEach, describe, expect, it } from 'vitest';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { MemoryStore, readConfig, type TrainingOptions, train } from '../../src/zfnet/index.js';
import { strict, strictThreads } from '../support/backends.js';
import { bars, tinyJob, tinyNet, weightsOf } from './support.js';

beforeEach(() => setDefaultBackend(strict.backend));

/** 23 examples in steps of 5: the last step has 3. */
const dataset = bars({ train: 23 });
const OPTIONS: Partial<TrainingOptions> = { epochs: 1, batchSize: 5, lr: 0.05 };

async function trained(microBatch: number | null, dropout: number, more: Partial<TrainingOptions> = {}) {
  const job = tinyJob({ dataset, model: tinyNet({ seed: 5, dropout }), options: { ...OPTIONS, microBatch, ...more } });
  const result = await train(job);
  const weights = job.model.namedParameters().map(([name, value]) => ({ name, values: Array.from(value.dataSync() as Float32Array) }));
  return { ...result, weights, digests: weightsOf(job.model) };
}

describe('mini-batches in parts', () => {
  it('give the update of the whole mini-batch, with a shorter last part weighted by its size', async () => {
    const whole = await trained(null, 0);
    const start = tinyNet({ seed: 5, dropout: 0 });
    for (const microBatch of [1, 2, 4]) {
      const parts = await trained(microBatch, 0);
      for (const [i, { name, values }] of parts.weights.entries()) {
        const before = start.parameters()[i].dataSync() as Float32Array;
        const moved = Math.max(...values.map((value, k) => Math.abs(value - before[k])));
        const apart = Math.max(...values.map((value, k) => Math.abs(value - whole.weights[i].values[k])));
        expect(moved, name).toBeGreaterThan(0);
        expect(apart / moved, `${name} in parts of ${microBatch}`).toBeLessThan(1e-3);
      }
      expect(parts.metrics[0].trainLoss).toBeCloseTo(whole.metrics[0].trainLoss, 5);
      expect(parts.metrics[0].step).toBe(5);
    }
  });

  it('give the same bits for the same size, those of the whole batch if there is one part, and others for other sizes', async () => {
    const [whole, again, large, parts, partsAgain] = [
      await trained(null, 0.5),
      await trained(null, 0.5),
      await trained(5, 0.5),
      await trained(2, 0.5),
      await trained(2, 0.5),
    ].map(({ digests }) => digests);
    expect(again).toEqual(whole);
    expect(large).toEqual(whole);
    expect(partsAgain).toEqual(parts);
    expect(parts).not.toEqual(whole);
  });

  it('are recorded, and resume to the same bits', async () => {
    const straight = await trained(2, 0.5, { epochs: 2 });
    const store = new MemoryStore();
    const controller = new AbortController();
    const options = { ...OPTIONS, microBatch: 2, epochs: 2 };
    const stopped = await train(
      tinyJob({ dataset, store, options, signal: controller.signal, onStep: ({ step }) => step === 3 && controller.abort() }),
    );
    expect(stopped).toMatchObject({ status: 'stopped', step: 3 });
    expect((await readConfig(store))?.training.microBatch).toBe(2);
    const again = tinyJob({ dataset, store, model: tinyNet({ seed: 9 }), resume: true, options });
    await train(again);
    expect(weightsOf(again.model)).toEqual(straight.digests);
  });

  it('need the memory of one part', async () => {
    const peak = async (microBatch: number | null) => {
      strict.backend.resetPeak();
      const before = strict.backend.memory().bytes;
      await train(
        tinyJob({
          dataset: bars({ train: 64, val: 4 }),
          model: tinyNet({ width: 0.1 }),
          options: { epochs: 1, batchSize: 64, microBatch },
        }),
      );
      return strict.backend.memory().peakBytes - before;
    };
    expect(await peak(4)).toBeLessThan((await peak(null)) / 2);
  });
});

describe('training in threads', () => {
  it.each([null, 3])('gives the same bits as one thread, in parts of %s', async (microBatch) => {
    const one = await trained(microBatch, 0.5);
    setDefaultBackend(strictThreads.backend);
    expect((await trained(microBatch, 0.5)).digests).toEqual(one.digests);
  });
});
