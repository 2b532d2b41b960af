/** Training loops hold the same memory after every step, without a dispose. */
import { describe, expect, it } from 'vitest';
import { countParameters, SGD } from '../../../src/nn/index.js';
import { crossEntropy, mul, noGrad, tensor, withBackend } from '../../../src/tensor/index.js';
import { backends, strict } from '../../support/backends.js';
import { BATCH, batch, held, smallNet } from './support.js';

describe.each([backends[0], strict])('a training loop on $name', ({ backend }) => {
  it('runs 1,000 steps without dispose(), on new inputs, in constant memory', async () => {
    const before = held(backend);
    const model = withBackend(backend, smallNet);
    const sgd = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    let early = held(backend);
    const losses: number[] = [];
    for (let step = 0; step < 1000; step++) {
      const { images, targets } = withBackend(backend, () => batch(step % 7));
      if (step % 3 === 0) sgd.zeroGrad();
      const loss = crossEntropy(model.forward(images), targets);
      loss.backward();
      sgd.step();
      if (step % 100 === 0) losses.push(await loss.item());
      if (step === 8) early = held(backend);
    }
    expect(held(backend)).toEqual(early);
    const size = countParameters(model) * 4;
    expect(held(backend).bytes - before.bytes).toBe(3 * size); // weights, gradients, velocities
    expect(losses.at(-1)).toBeLessThan(losses[0]);
    sgd.zeroGrad();
    sgd.dispose();
    model.dispose();
    expect(held(backend)).toEqual(before);
  });

  it('frees the copies of inputs that only unrecorded operations used', () => {
    const weight = tensor([2], [1], { backend, requiresGrad: true });
    const step = () => {
      const [x, mask] = [tensor([1, 2, 3], [3], { backend }), tensor([0, 1, 1], [3], { backend })];
      const masked = mul(x, mask);
      mul(weight, masked).sum().backward();
      masked.dispose();
    };
    step();
    const before = held(backend);
    for (let i = 0; i < 5; i++) step();
    expect(held(backend)).toEqual(before);
    weight.dispose();
    expect(before.buffers).toBeGreaterThan(0);
  });

  it('evaluates under noGrad() in constant memory, and leaves nothing recorded', () => {
    withBackend(backend, () => {
      const model = smallNet().eval();
      const before = held(backend);
      for (let step = 0; step < 20; step++) {
        const { images } = batch(step);
        expect(noGrad(() => model.forward(images).argmax().dataSync()).length).toBe(BATCH);
        expect(held(backend)).toEqual(before);
      }
      model.dispose();
    });
  });
});
