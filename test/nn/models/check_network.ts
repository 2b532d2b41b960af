/** The check of one network at its least input size: a training step, projections, the strongest activations, and ONNX out and back. */
import { expect } from 'vitest';
import { convolutions } from '../../../src/analysis/hidden_layers.js';
import type { Example, Split } from '../../../src/data/dataset.js';
import { deconvnet, topActivations } from '../../../src/deconv/index.js';
import { loadOnnx, toOnnx } from '../../../src/formats/onnx/index.js';
import { auxiliaryLoss, clipGradNorm, SGD } from '../../../src/nn/index.js';
import type { NetworkName } from '../../../src/nn/models/index.js';
import { concat, crossEntropy, manualSeed, noGrad, setDefaultBackend, slice, type Tensor, tensor } from '../../../src/tensor/index.js';
import { noise } from '../../../src/testing/cases/formula.js';
import { type ZfNet, zfnet } from '../../../src/zfnet/index.js';
import { strict } from '../../support/backends.js';
import { SMALL } from './networks.js';

setDefaultBackend(strict.backend);

const build = (name: NetworkName): ZfNet => zfnet(name, { ...SMALL[name], classes: 3, seed: 5 });

function imagesFor(model: ZfNet, count: number): Tensor {
  const [, ...shape] = model.inputShape;
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tensor(noise(count * size, 3), [count, ...shape]);
}

/** Largest difference relative to the largest value. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const values = Array.from(a);
  return Math.max(...values.map((value, i) => Math.abs(value - b[i]))) / Math.max(...values.map(Math.abs), 1e-12);
}

/** The loss of a step, and the loss of the same images after it. */
function trainingStep(model: ZfNet, images: Tensor): { before: number; after: number; unmoved: string[] } {
  const labels = tensor(Int32Array.of(0, 1, 2, 1), [4]);
  // Plain networks have large gradients; a step of this length lowers every loss.
  const sgd = new SGD(model.parameters(), { lr: 1 });
  const earlier = new Map(Object.entries(model.stateDict()).map(([key, value]) => [key, Float32Array.from(value.dataSync())]));
  const lossNow = () => {
    manualSeed(4);
    return auxiliaryLoss(model, labels, crossEntropy, crossEntropy(model.forward(images), labels));
  };
  const loss = lossNow();
  loss.backward();
  clipGradNorm(model.parameters(), 3e-5).dispose();
  sgd.step();
  sgd.zeroGrad();
  const before = loss.itemSync();
  const after = lossNow();
  const value = after.itemSync();
  after.backward();
  const state = model.stateDict();
  const unmoved = [...earlier].filter(([key, old]) => state[key].dataSync().every((each, i) => each === old[i]));
  sgd.dispose();
  return { before, after: value, unmoved: unmoved.map(([key]) => key) };
}

/** Projects the first, the middle and the last convolution of a network. Returns their names. */
async function projected(model: ZfNet): Promise<string[]> {
  const all = convolutions(model);
  const [, channels, side] = model.inputShape;
  const image = tensor(noise(channels * side * side, 7), [channels, side, side]);
  const layers = [...new Set([all[0], all[all.length >> 1], all[all.length - 1]])];
  for (const layer of layers) {
    const picture = await deconvnet(model).project(image, { layer, map: 0 });
    expect(picture.shape, layer).toEqual([channels, side, side]);
    expect(picture.dataSync().every(Number.isFinite), layer).toBe(true);
  }
  return layers;
}

/** Runs one network through everything. */
export async function checkNetwork(name: NetworkName): Promise<void> {
  const model = build(name);
  const images = imagesFor(model, 4);
  const { before, after, unmoved } = trainingStep(model, images);
  expect(Number.isFinite(before) && after < before, `${before} ${after}`).toBe(true);
  // Units that are silent for all four images do not move.
  expect(unmoved.length).toBeLessThan(Object.keys(model.stateDict()).length / 2);
  model.eval();

  const layers = await projected(model);
  const [, , side] = model.inputShape;
  const split: Split = {
    length: 4,
    labels: Int32Array.of(0, 1, 2, 1),
    get: async (index) => ({
      image: { width: side, height: side, channels: 1, data: new Uint8Array(side * side) },
      label: 0,
      index,
      name: '',
    }),
  };
  // The images themselves, whatever the split holds.
  const preprocess = (examples: readonly Example[]) =>
    concat(examples.map(({ index }) => slice(images, [index, 0, 0, 0], [index + 1, ...images.shape.slice(1)])));
  const top = await topActivations(model, split, { layers, preprocess, count: 2, maps: [0], batchSize: 4 });
  for (const layer of layers) {
    const [first, second] = top[layer][0].strongest;
    expect(first.value).toBeGreaterThanOrEqual(second.value);
    expect(first.index).not.toBe(second.index);
  }

  const net = await loadOnnx(await toOnnx(model, { inputShape: model.inputShape }));
  const own = noGrad(() => model.forward(images));
  const { output } = await net.run({ input: images });
  expect(distance(own.dataSync(), output.dataSync())).toBeLessThan(1e-4);
  for (const each of [net, model]) each.dispose();
}
