/** Forgotten tensors, whose memory is freed after garbage collection, and copies of data. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { backward, Generator, ones, randn, type Tensor, tensor, withBackend } from '../../../src/tensor/index.js';
import { noise } from '../../../src/testing/cases/formula.js';
import { reference, strict } from '../../support/backends.js';
import { collect, collectGarbage } from '../../support/gc.js';
import { held } from './support.js';

describe('the finalisation registry', () => {
  it.each([reference, strict.backend])('frees forgotten tensors and graphs after they are collected', async (backend) => {
    await collectGarbage();
    const before = held(backend);
    const forget = () =>
      withBackend(backend, () => {
        const w = randn([100], { requiresGrad: true, generator: new Generator(1) });
        w.exp().mul(w).sum();
      });
    forget();
    expect(held(backend).bytes).toBeGreaterThan(before.bytes);
    await collectGarbage();
    expect(held(backend)).toEqual(before);
  });

  it('frees the host copies of forgotten inputs, even if the event loop never runs', async () => {
    await collectGarbage();
    const MIB = 2 ** 20;
    const before = process.memoryUsage().arrayBuffers;
    withBackend(reference, () => {
      const w = tensor([2], [1], { requiresGrad: true });
      for (let step = 0; step < 40; step++)
        tensor(new Float32Array(MIB / 4), [MIB / 4])
          .mul(w)
          .sum()
          .backward();
    });
    // V8 frees array buffers in a background thread; the next collection waits for it.
    const held = () => process.memoryUsage().arrayBuffers - before;
    for (let i = 0; i < 20 && !(held() < 10 * MIB); i++) collect();
    expect(held()).toBeLessThan(10 * MIB);
  });

  it('frees inputs whose losses are kept', async () => {
    const losses: Tensor[] = [];
    const inputs: WeakRef<Tensor>[] = [];
    withBackend(reference, () => {
      const w = tensor([2], [1], { requiresGrad: true });
      for (let step = 0; step < 3; step++) {
        const x = tensor(noise(1000, step));
        inputs.push(new WeakRef(x));
        const loss = x.mul(w).square().sum();
        loss.backward();
        losses.push(loss);
      }
    });
    await collectGarbage();
    expect(inputs.map((input) => input.deref())).toEqual([undefined, undefined, undefined]);
    expect(losses.every((loss) => loss.itemSync() > 0)).toBe(true);
  });

  it('accepts a backend that was disposed of before its tensors', async () => {
    const gone: Error[] = [];
    const note = (error: Error) => gone.push(error);
    process.on('uncaughtException', note);
    (() => {
      const backend = createReferenceBackend();
      withBackend(backend, () => ones([3]).mul(2));
      backend.dispose();
    })();
    await collectGarbage();
    process.off('uncaughtException', note);
    expect(gone).toEqual([]);
  });
});

describe('data read back', () => {
  it('is a copy, before and after use', async () => {
    const source = Float32Array.of(1, 2);
    const x = tensor(source, [2], { backend: reference });
    source[0] = 9;
    x.dataSync()[1] = 9;
    (await x.data())[1] = 9;
    expect([...x.dataSync()]).toEqual([1, 2]);
    const loss = tensor([1, 2], [2], { requiresGrad: true, backend: reference }).square().sum();
    const [gradient] = backward(loss, { wrt: [x] });
    expect([...gradient.dataSync()]).toEqual([0, 0]);
    gradient.dataSync()[0] = 9;
    (await gradient.data())[1] = 9;
    expect([...gradient.dataSync()]).toEqual([0, 0]);
  });
});
