/** The memory that a training step frees, and that dispose() frees. */
import { describe, expect, it } from 'vitest';
import { Conv2d, countParameters, Module, ReLU, Sequential } from '../../../src/nn/index.js';
import { crossEntropy, DisposedError, ones, randn, scope, sum, type Tensor, tensor, withBackend } from '../../../src/tensor/index.js';
import { noise } from '../../../src/testing/cases/formula.js';
import { reference, strict } from '../../support/backends.js';
import { BATCH, batch, CLASSES, held, smallNet } from './support.js';

describe('the memory of a training step', () => {
  const step = (model: Sequential) => {
    const { images, targets } = batch(0);
    const logits = model.forward(images);
    return { images, logits, loss: crossEntropy(logits, targets) };
  };

  it.each([reference, strict.backend])('backward() frees the computed tensors, and the loss moves to the host', (backend) =>
    withBackend(backend, () => {
      const model = smallNet();
      const before = held(backend);
      const { images, logits, loss } = step(model);
      loss.backward();
      expect(held(backend)).toEqual({
        bytes: before.bytes + 4 * countParameters(model),
        buffers: before.buffers + model.parameters().length,
      });
      expect(loss.itemSync()).toBeGreaterThan(0);
      expect(images.dataSync().length).toBe(BATCH * 36);
      expect(() => logits.dataSync()).toThrow(/freed by backward\(\); read it before backward\(\), call keep\(\)/);
      for (const w of model.parameters()) w.grad!.dispose();
      model.dispose();
    }),
  );

  it('keep() exempts a tensor, and dispose() frees it then', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const { logits, loss } = step(model);
      logits.keep();
      loss.backward();
      expect(logits.dataSync().length).toBe(BATCH * CLASSES);
      logits.dispose();
      expect(() => logits.dataSync()).toThrow(DisposedError);
      expect(() => logits.dataSync()).toThrow(/freed by dispose\(\)/);
      model.dispose();
    }));

  it('a loss without backward() frees its graph with dispose()', () =>
    withBackend(reference, () => {
      const model = smallNet();
      const before = held(reference);
      const { images, logits, loss } = step(model);
      loss.dispose();
      expect(held(reference).buffers).toBeGreaterThan(before.buffers); // the logits are still the caller's
      logits.dispose();
      images.dispose();
      expect(held(reference)).toEqual(before);
      model.dispose();
    }));

  it('disposing of an intermediate result early does not interrupt the gradients', () =>
    withBackend(reference, () => {
      const w = tensor([1, 2, 3], [3], { requiresGrad: true });
      const doubled = w.mul(2);
      const loss = doubled.square().sum();
      doubled.dispose();
      loss.backward();
      expect([...w.grad!.dataSync()]).toEqual([8, 16, 24]);
      expect(doubled.grad).toBeNull();
    }));

  it('a failed forward pass frees the tensors that it had computed', () =>
    withBackend(reference, () => {
      const model = new Sequential({ conv1: new Conv2d(1, 2, 3), relu1: new ReLU(), conv2: new Conv2d(2, 2, 9) });
      const images = randn([2, 1, 6, 6]);
      const before = held(reference);
      expect(() => model.forward(images)).toThrow(/layer conv2/);
      expect(() => model.activations(images, ['conv1', 'conv2'])).toThrow(/layer conv2/);
      expect(held(reference)).toEqual(before);
    }));

  it('inputs stay on the host until they are used, and backward() frees the copy', () =>
    withBackend(strict.backend, () => {
      const before = held(strict.backend);
      const x = tensor(noise(100, 1), [100], { requiresGrad: true });
      expect(held(strict.backend)).toEqual(before);
      const loss = sum(x.mul(x));
      expect(held(strict.backend).bytes).toBeGreaterThan(before.bytes);
      loss.backward();
      expect(held(strict.backend)).toEqual({ bytes: before.bytes + 400, buffers: before.buffers + 1 });
      x.dispose();
      expect(held(strict.backend)).toEqual(before);
    }));
});

describe('dispose()', () => {
  it('works with `using`, may be called twice, and frees the gradient as well', () =>
    withBackend(reference, () => {
      const before = held(reference);
      let seen: Tensor;
      {
        using x = tensor([1, 2], [2], { requiresGrad: true });
        x.square().sum().backward();
        seen = x;
        expect(x.disposed).toBe(false);
      }
      expect(seen.disposed).toBe(true);
      expect(seen.grad).toBeNull();
      seen.dispose();
      expect(held(reference)).toEqual(before);
      expect(String(seen)).toContain('freed');
    }));

  it('of one of two tensors with a shared buffer leaves the other', () =>
    withBackend(reference, () => {
      const x = ones([2, 3]).mul(2);
      const y = x.reshape([6]);
      const z = x.detach();
      x.dispose();
      expect(y.dataSync()[5]).toBe(2);
      y.dispose();
      expect(z.dataSync()[0]).toBe(2);
    }));

  it('of a module frees its parameters, wherever they were made', () =>
    withBackend(reference, () => {
      const before = held(reference);
      {
        using model = scope(() => smallNet());
        expect(model).toBeInstanceOf(Module);
        expect(held(reference).buffers).toBe(before.buffers + 6);
      }
      expect(held(reference)).toEqual(before);
    }));
});
