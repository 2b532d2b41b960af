/** The predicted memory of training against the memory that the engine really held. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Module, SGD, trainingBytes } from '../../src/nn/index.js';
import { crossEntropy, type Shape, setDefaultBackend, tensor } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { type PresetName, type ZfnetOptions, zfnet } from '../../src/zfnet/index.js';
import { strict } from '../support/backends.js';

const { backend } = strict;
beforeAll(() => setDefaultBackend(backend));

/** The most that two steps held, each over some parts of one shape. */
function measured(build: () => Module, shape: Shape, parts: number): number {
  backend.resetPeak();
  const before = backend.memory().bytes;
  const model = build();
  const sgd = new SGD(model.parameters(), { lr: 1e-3, momentum: 0.9 });
  for (let step = 0; step < 2; step++) {
    for (let part = 0; part < parts; part++) {
      const images = tensor(
        noise(
          shape.reduce((a, b) => a * b),
          part + 1,
        ),
        shape,
        { dtype: 'float32' },
      );
      const loss = crossEntropy(model.forward(images), tensor(new Int32Array(shape[0]), [shape[0]]));
      loss.backward();
    }
    sgd.step();
    sgd.zeroGrad();
  }
  const peak = backend.memory().peakBytes - before;
  sgd.dispose();
  model.dispose();
  expect(backend.memory().bytes).toBe(before);
  return peak;
}

describe('trainingBytes', () => {
  it.each<[PresetName, ZfnetOptions, number, number]>([
    ['small', { classes: 10, channels: 1, width: 0.125 }, 32, 1],
    ['small', { classes: 10, channels: 1, width: 0.125 }, 8, 3],
    ['a', { classes: 24, width: 0.125, inputSize: 80 }, 8, 1],
    ['zfnet512', { classes: 5, width: 0.05, inputSize: 100 }, 4, 1],
  ])('of %s %j with %i images, %i times a step, are within 2 %% of what is held', (preset, options, batch, parts) => {
    const build = () => zfnet(preset, options);
    const { inputShape } = build();
    const shape = [batch, ...inputShape.slice(1)];
    const foreseen = trainingBytes(build, shape, { parts });
    const really = measured(build, shape, parts);
    expect(foreseen / really).toBeGreaterThan(0.98);
    expect(foreseen / really).toBeLessThan(1.02);
  });
});
