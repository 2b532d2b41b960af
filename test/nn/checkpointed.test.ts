/** Recomputation: the bits of a plain step, dropout masks, running statistics, memory and names. */
import { describe, expect, it } from 'vitest';
import {
  AuxiliaryHead,
  BatchNorm2d,
  Conv2d,
  checkpointed,
  Dropout,
  Flatten,
  Linear,
  type Module,
  ReLU,
  Residual,
  Sequential,
  trainingBytes,
} from '../../src/nn/index.js';
import { backward, crossEntropy, Generator, manualSeed, noGrad, setDefaultBackend, tensor, ValueError } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { strict } from '../support/backends.js';

setDefaultBackend(strict.backend);

const stage = (from: number) =>
  new Sequential({
    conv: new Conv2d(from, 4, 3, { padding: 1 }),
    bn: new BatchNorm2d(4),
    relu: new ReLU(),
    block: new Residual(new Sequential([new Conv2d(4, 4, 3, { padding: 1 }), new BatchNorm2d(4)]), { activation: new ReLU() }),
    drop: new Dropout(0.3),
  });
const network = (wrap: (module: Module) => Module) => {
  manualSeed(3);
  return new Sequential({
    stage1: wrap(stage(2)),
    stage2: wrap(stage(4)),
    flatten: new Flatten(),
    fc: wrap(new Linear(4 * 30, 3)),
  });
};
const images = () => tensor(noise(4 * 60, 1), [4, 2, 5, 6]);
const labels = () => tensor(Int32Array.of(0, 1, 2, 1), [4]);

/** Loss, gradients and state after two steps' worth of forward and backward passes. */
function steps(model: Module): Record<string, number[]> {
  manualSeed(8);
  const found: Record<string, number[]> = {};
  for (let i = 0; i < 2; i++) {
    const loss = crossEntropy(model.forward(images()), labels());
    loss.backward();
    found[`loss${i}`] = [loss.itemSync()];
  }
  for (const [name, value] of Object.entries(model.stateDict())) {
    found[name] = [...value.dataSync()];
    if (value.grad) found[`grad ${name}`] = [...value.grad.dataSync()];
  }
  return found;
}

describe('checkpointed', () => {
  it('gives the bits of a plain step: loss, gradients, dropout masks and running statistics', () => {
    const [plain, wrapped] = [network((module) => module), network(checkpointed)];
    expect(Object.keys(wrapped.stateDict())).toEqual(Object.keys(plain.stateDict()));
    wrapped.loadStateDict(plain.stateDict());
    const expected = steps(plain);
    expect(Object.keys(expected).filter((key) => key.startsWith('grad')).length).toBe(plain.parameters().length);
    expect(steps(wrapped)).toEqual(expected);
  });

  it('gives the projections of the module under all rules, and its outputs in evaluation', () => {
    const [plain, wrapped] = [network((module) => module), network(checkpointed)];
    wrapped.loadStateDict(plain.stateDict());
    for (const rules of ['gradient', 'guided', 'deconvnet'] as const) {
      const [a, b] = [plain, wrapped].map((model) => {
        const x = images();
        x.requiresGrad = true;
        const y = model.eval().forward(x);
        return [...backward(y, { gradient: tensor(noise(y.size, 2), y.shape), rules, wrt: [x] })[0].dataSync()];
      });
      expect(b).toEqual(a);
    }
    expect(noGrad(() => wrapped.forward(images())).dataSync()).toEqual(noGrad(() => plain.forward(images())).dataSync());
    expect(wrapped.layerNames()).toEqual(plain.layerNames());
    expect(wrapped.summarize([1, 2, 5, 6])).toEqual(plain.summarize([1, 2, 5, 6]));
  });

  it('needs less memory in training, and leaves none behind', () => {
    const deep = (wrap: (module: Module) => Module) => () =>
      new Sequential([...Array.from({ length: 8 }, (_, i) => wrap(stage(i === 0 ? 2 : 4))), new Flatten(), new Linear(4 * 32 * 32, 3)]);
    const [plain, wrapped] = [(module: Module) => module, checkpointed].map((wrap) => trainingBytes(deep(wrap), [8, 2, 32, 32]));
    expect(wrapped).toBeLessThan(plain / 2);
    const model = network(checkpointed);
    steps(model);
    const before = strict.backend.memory().bytes;
    steps(model);
    expect(strict.backend.memory().bytes).toBeLessThanOrEqual(before + 64);
  });

  it('refuses what it cannot repeat', () => {
    expect(() => checkpointed(new Sequential([new Dropout(0.5, new Generator(1))]))).toThrow(/generator of its own/);
    expect(() => checkpointed(new Sequential([new AuxiliaryHead(new Linear(1, 1))]))).toThrow(/AuxiliaryHead/);
    expect(() => checkpointed(7 as never)).toThrow(ValueError);
  });
});
