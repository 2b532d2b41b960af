/** Running out of memory: an error that names the operation, after which the engine is usable. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import type { Sequential } from '../../../src/nn/index.js';
import {
  crossEntropy,
  defaultBackend,
  noGrad,
  OutOfMemoryError,
  ones,
  randn,
  scope,
  withBackend,
  zeros,
} from '../../../src/tensor/index.js';
import { strict, strictThreads } from '../../support/backends.js';
import { collectGarbage } from '../../support/gc.js';
import { BATCH, batch, held, smallNet } from './support.js';

describe('out of memory', () => {
  const train = (model: Sequential) => {
    const { images, targets } = batch(0);
    const loss = crossEntropy(model.forward(images), targets);
    loss.backward();
    return loss.itemSync();
  };

  const peak = withBackend(createReferenceBackend(), () => {
    train(smallNet());
    return defaultBackend().memory().peakBytes;
  });

  /** A step under every limit that is too small, each on a new backend. */
  const failures = (run: (step: () => number) => number) =>
    Array.from({ length: Math.ceil((peak - 2500) / 100) }, (_, i) => {
      const limitBytes = 2500 + 100 * i;
      const backend = createReferenceBackend({ limitBytes });
      return withBackend(backend, () => {
        const model = smallNet();
        const before = held(backend);
        // No variable keeps the error, because its stack refers to the tensors of the failed calls.
        const { op, message, limitBytes: limit, requestedBytes, liveBytes } = caught(() => run(() => train(model)));
        expect(message).toContain(`${op}: out of memory: requested`);
        expect(limit).toBe(limitBytes);
        expect(requestedBytes + liveBytes).toBeGreaterThan(limitBytes);
        expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
        return { backend, before, op, model };
      });
    });

  it('anywhere in a step names the operation, and a scope frees everything', () => {
    const failed = failures(scope);
    for (const { backend, before } of failed) expect(held(backend)).toEqual(before);
    expect(failed.map(({ op }) => op)).toEqual(expect.arrayContaining(['conv2d', 'maxPool2d', 'linear backward', 'maxPool2d backward']));
  });

  it('without a scope leaves at most the tensors of the failed operation, until they are collected', async () => {
    const failed = failures((step) => step());
    for (const { backend, before, op } of failed) {
      // In the backward pass there are none; the loss itself belongs to the caller.
      if (op.endsWith('backward')) expect(held(backend)).toEqual({ bytes: before.bytes + 4, buffers: before.buffers + 1 });
    }
    await collectGarbage();
    for (const { backend, before } of failed) expect(held(backend)).toEqual(before);
  });

  it('ends a synchronous loop in training mode that never calls backward(), and names the ways out', () => {
    withBackend(createReferenceBackend({ limitBytes: 20 * peak }), () => {
      const model = smallNet();
      let steps = 0;
      const { message } = caught(() => {
        for (; steps < 10_000; steps++) crossEntropy(model.forward(batch(steps).images), batch(steps).targets);
      });
      expect(steps).toBeGreaterThan(1);
      expect(message).toMatch(/: out of memory: .*use a smaller batch or input, or free memory: /);
      expect(message).toMatch(/eval\(\) or noGrad\(fn\) keep no graph for inference, scope\(fn\) and dispose\(\) free results/);
    });
    // The same loop under noGrad() or in evaluation mode, or that calls backward(), has no end.
    withBackend(createReferenceBackend({ limitBytes: 20 * peak }), () => {
      const model = smallNet();
      for (let step = 0; step < 200; step++) {
        noGrad(() => model.forward(batch(step).images)).dataSync();
        train(model);
      }
      model.eval();
      for (let step = 0; step < 200; step++) model.forward(batch(step).images).dataSync();
    });
  });

  it('leaves the engine usable for a smaller batch', () => {
    withBackend(createReferenceBackend({ limitBytes: peak }), () => {
      const model = smallNet();
      expect(caught(() => scope(() => model.forward(batch(0, 4 * BATCH).images))).limitBytes).toBe(peak);
      expect(train(model)).toBeGreaterThan(0);
    });
  });

  it.each([strict, strictThreads])('of the 4 GiB of $name names the operation and leaves the engine usable', ({ backend }) =>
    withBackend(backend, () => {
      const before = held(backend);
      expect(caught(() => zeros([2 ** 30])).op).toBe('full');
      expect(caught(() => randn([1024, 1024, 4096])).op).toBe('randn');
      const x = ones([1, 2 ** 20]);
      expect(caught(() => x.expand([2 ** 12, 2 ** 20])).op).toBe('expand');
      expect(caught(() => x.matmul(x, { transposeA: true })).message).toMatch(/^matmul: out of memory: requested 4194304\.0 MiB with/);
      expect(x.sum().itemSync()).toBe(2 ** 20);
      x.dispose();
      const model = smallNet();
      expect(train(model)).toBeGreaterThan(0);
      for (const w of model.parameters()) w.dispose();
      expect(held(backend).bytes).toBeLessThan(before.bytes + 1024);
    }),
  );
});

function caught(fn: () => unknown): OutOfMemoryError {
  try {
    fn();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
