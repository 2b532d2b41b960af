/** Training on a backend that queues its work and has no synchronous read: the same losses and weights, one step late. */
import { expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { type Backend, setDefaultBackend } from '../../../src/tensor/index.js';
import { MemoryStore, TrainingError, train } from '../../../src/zfnet/index.js';
import { createDeferredBackend } from '../../backend/deferred/deferred.js';
import { tinyJob, tinyNet } from '../support.js';

async function trained(backend: Backend) {
  setDefaultBackend(backend);
  const model = tinyNet({ seed: 5 });
  const store = new MemoryStore();
  const steps: number[] = [];
  const { metrics } = await train(
    tinyJob({
      model,
      store,
      checkpointSteps: 4,
      onStep: ({ step, loss }) => steps.push(step, loss),
      options: { epochs: 2, microBatch: 3 },
    }),
  );
  const weights = await Promise.all(model.parameters().map(async (each) => Array.from(await each.data())));
  const timeless = metrics.map(({ imagesPerSecond: _, peakBytes: __, ...rest }) => rest);
  return { weights, steps, metrics: timeless };
}

it('gives the results of a backend that computes at once', async () => {
  expect(await trained(createDeferredBackend())).toEqual(await trained(createReferenceBackend()));
});

it('ends with a TrainingError where the loss becomes NaN', async () => {
  setDefaultBackend(createDeferredBackend());
  const failed = await train(tinyJob({ model: tinyNet({ seed: 5 }), options: { epochs: 2, lr: 1e20 } })).catch((error) => error);
  expect(failed).toBeInstanceOf(TrainingError);
  expect(failed.message).toMatch(/^train: epoch \d, batch \d \(step \d+\): .*NaN or infinite.* it holds step 0/);
});
