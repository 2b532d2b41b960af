/** Evolution of features: a constructed history, for which it is known when each layer settles, and a small real training. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createWasmBackend } from '../../src/backend/wasm/index.js';
import type { Example } from '../../src/data/dataset.js';
import { type EpochModel, evolution, projectEvolution, topActivations } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { Conv2d, type LayeredModel, MaxPool2d, type Module, ReLU, Sequential } from '../../src/nn/index.js';
import { setDefaultBackend, tensor } from '../../src/tensor/index.js';
import { epochCheckpoints, loadModel, MemoryStore, train, zfnet } from '../../src/zfnet/index.js';
import { collectGarbage } from '../support/gc.js';
import { bars, INPUT } from '../zfnet/support.js';
import { fillWithNoise, noiseSplit, toInput } from './support.js';

beforeAll(async () => setDefaultBackend(await createWasmBackend({ threads: 1, mode: 'strict' })));

const EPOCHS = [1, 2, 5, 10];

/** conv1 is the same after every epoch; conv2 is another one after epochs 1 and 2, and then the same. */
const made = (epoch: number): Sequential => {
  const model = fillWithNoise(
    new Sequential({
      conv1: new Conv2d(3, 4, 3, { padding: 1 }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(2),
      conv2: new Conv2d(4, 5, 3, { padding: 1 }),
      relu2: new ReLU(),
    }),
    3,
  );
  if (epoch < 5) fillWithNoise(model.layer('conv2') as Module, 20 + epoch);
  (model.layer('conv2') as Conv2d).bias!.set([0, 0, -1000, 0, 0]);
  return model;
};
const checkpoints = EPOCHS.map((epoch): EpochModel => ({ epoch, open: async () => made(epoch) }));
const options = { layers: ['conv1', 'conv2'], preprocess: toInput, batchSize: 7 };

describe('a constructed history', () => {
  it('finds each map’s strongest image after every epoch', async () => {
    const split = noiseSplit(20, 11, 14);
    const { epochs, images, layers } = await evolution(checkpoints, split, options);
    expect([epochs, images]).toEqual([EPOCHS, 20]);
    for (const [i, epoch] of EPOCHS.entries()) {
      const model = made(epoch);
      const expected = await topActivations(model, split, { ...options, count: 1 });
      for (const { layer, maps } of layers)
        for (const { map, strongest } of maps) expect(strongest[i]).toEqual({ epoch, ...expected[layer][map].strongest[0] });
      model.dispose();
    }
  });

  it('reports when each layer settles, without dead maps', async () => {
    const [conv1, conv2] = (await evolution(checkpoints, noiseSplit(40, 11, 14), options)).layers;
    for (const likeness of conv1.likeness) expect(likeness).toBeCloseTo(1, 6);
    expect(conv1.settled).toBe(1);
    expect(conv1.sameImage).toEqual([1, 1, 1, 1]);
    expect(Math.max(...conv2.likeness.slice(0, 2))).toBeLessThan(0.8);
    expect(conv2.likeness[2]).toBeCloseTo(1, 6);
    expect(conv2.settled).toBe(5);
    expect(conv2.sameImage[0]).toBeLessThan(1);
    expect(conv2.sameImage.slice(2)).toEqual([1, 1]);
  });

  it('projects through the network of each epoch, and frees its memory', async () => {
    const split = noiseSplit(12, 11, 14);
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const found = await evolution(checkpoints, split, { ...options, indices: [0, 3, 6, 9] });
    expect(found.images).toBe(4);
    expect(found.layers[0].maps.every(({ strongest }) => strongest.every(({ index }) => index % 3 === 0))).toBe(true);
    const done: number[] = [];
    const pictures = await projectEvolution(
      checkpoints,
      split,
      found,
      { conv1: [2], conv2: [0, 4] },
      { ...options, onProgress: (_, n) => done.push(n) },
    );
    expect(pictures.map(({ layer, map }) => [layer, map])).toEqual([
      ['conv1', 2],
      ['conv2', 0],
      ['conv2', 4],
    ]);
    for (const { strongest } of pictures) expect(strongest).toHaveLength(4);
    const [conv1, conv2] = pictures.map(({ strongest }) => strongest.map(({ projection }) => projection.join()));
    expect(new Set(conv1).size).toBe(1);
    expect(new Set(conv2).size).toBe(3);
    expect(done).toEqual([1, 2, 3, 4]);
    expect(memory().bytes).toBe(before);
  });

  it('requires at least two checkpoints', async () => {
    await expect(evolution(checkpoints.slice(1, 2), noiseSplit(4, 11, 14), options)).rejects.toThrow(
      /got 1 checkpoint, expected at least 2/,
    );
  });
});

describe('a real training', () => {
  it('changes the upper layers for longer than the first, and all of them from their initial state', async () => {
    const architecture = { classes: 3, inputSize: INPUT, channels: 1, width: 0.06, dropout: 0, seed: 2 };
    const dataset = bars({ train: 96, val: 12 });
    const store = new MemoryStore();
    const model = zfnet('small', architecture);
    await train({ model, dataset, store, options: { epochs: 6, batchSize: 8, lr: 0.02, schedule: { kind: 'constant' }, seed: 2 } });
    model.dispose();
    const trained = (await epochCheckpoints(store)).map(
      ({ epoch, path }): EpochModel => ({ epoch, open: async () => loadModel((await store.read(path))!, path).model }),
    );
    const untrained: EpochModel = { epoch: 0, open: async (): Promise<LayeredModel & { dispose(): void }> => zfnet('small', architecture) };
    const { preprocess } = loadModel((await store.read('last.safetensors'))!, 'last.safetensors');
    const found = await evolution([untrained, ...trained], dataset.splits.train, {
      layers: ['conv1', 'conv5'],
      preprocess: (examples: Example[]) =>
        tensor(preprocess.evaluation(examples.map(({ image }) => image)), [examples.length, 1, INPUT, INPUT]),
    });
    const [conv1, conv5] = found.layers;
    expect(found.epochs).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(conv1.settled).toBeLessThanOrEqual(conv5.settled);
    expect(conv5.likeness[0]).toBeLessThan(0.9);
    expect(conv5.likeness[1]).toBeLessThan(conv1.likeness[1]);
  });
});
