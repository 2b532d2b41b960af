/** Invariance of networks whose invariances are known. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { type Example, type Image, warpImage } from '../../src/data/index.js';
import { outerLayers } from '../../src/deconv/experiments/invariance.js';
import { hiddenLayers, invariance, invarianceAmounts, pickExamples } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { AvgPool2d, Flatten, Linear, ReLU, Sequential } from '../../src/nn/index.js';
import { setDefaultBackend, ValueError } from '../../src/tensor/index.js';
import { zfnet } from '../../src/zfnet/index.js';
import { collectGarbage } from '../support/gc.js';
import { convWith, noiseSplit, toInput } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const SIDE = 12;

/** A dot of one colour on a dark ground, far enough from the edge to be moved by two pixels, turned and enlarged. */
function dot(y: number, x: number, colour: readonly [number, number, number], label: number): Example {
  const data = new Uint8Array(SIDE * SIDE * 3);
  data.set(colour, (y * SIDE + x) * 3);
  const image: Image = { width: SIDE, height: SIDE, channels: 3, data };
  return { image, label, index: label, name: `dot ${label}` };
}

/** From the pixels' colours to their mean over the image to two classes, red and blue: where things are does not matter. */
function blind(): Sequential {
  const conv = convWith([2, 3, 1, 1], [1, -0.5, 0, 0, -0.5, 1], [1, 1]);
  const fc = new Linear(2, 2);
  fc.weight.set([40, -40, -40, 40]);
  fc.bias!.set([0, 0]);
  return new Sequential({ conv, relu: new ReLU(), pool: new AvgPool2d(SIDE), flatten: new Flatten(), fc });
}

const examples = [dot(5, 5, [255, 40, 10], 0), dot(6, 4, [10, 20, 240], 1)];
const amounts = { translation: [-2, 0, 1, 2], scale: [1], rotation: [0, 90, 180, 270] };

describe('a network that ignores position', () => {
  it('has a flat curve behind the pooling layer, and a varying one before it', async () => {
    const model = blind();
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const result = await invariance(model, examples, { layers: ['conv', 'pool'], amounts, preprocess: toInput });
    expect(memory().bytes).toBe(before);
    expect(result.layers).toEqual(['conv', 'pool']);
    for (const kind of ['translation', 'rotation'] as const) {
      expect(result[kind].map(({ amount }) => amount)).toEqual(amounts[kind]);
      for (const { amount, distance, relative, probability } of result[kind]) {
        for (const n of [0, 1]) {
          expect(distance.pool[n]).toBeLessThan(1e-6);
          expect(probability[n]).toBeCloseTo(result.translation[1].probability[n], 6);
          const still = amount === 0;
          expect(distance.conv[n] === 0).toBe(still);
          expect(relative.conv[n] > 0.01).toBe(!still);
        }
      }
    }
    expect(result.translation[1].probability[0]).toBeGreaterThan(0.5);
  });

  it('reports Euclidean distances', async () => {
    const { scale } = await invariance(blind(), examples.slice(0, 1), {
      layers: ['conv'],
      amounts: { translation: [], scale: [1, 1.5], rotation: [] },
      preprocess: toInput,
    });
    const features = (image: Image) => [...toInput([{ ...examples[0], image }]).dataSync()];
    const [clean, moved] = [features(examples[0].image), features(warpImage(examples[0].image, { scale: 1.5 }))];
    const plane = SIDE * SIDE;
    const maps = (x: number[], p: number) =>
      [x[p] - 0.5 * x[plane + p] + 1, -0.5 * x[plane + p] + x[2 * plane + p] + 1].map((v) => Math.max(v, 0));
    let [square, length] = [0, 0];
    for (let p = 0; p < plane; p++)
      maps(clean, p).forEach((value, map) => {
        square += (value - maps(moved, p)[map]) ** 2;
        length += value ** 2;
      });
    expect(scale[1].distance.conv[0]).toBeCloseTo(Math.sqrt(square), 5);
    expect(scale[1].relative.conv[0]).toBeCloseTo(Math.sqrt(square / length), 5);
    expect(scale[0].distance.conv[0]).toBe(0);
  });
});

describe('defaults', () => {
  it('are the first convolution and the last layer before the classes, as in the paper', async () => {
    const model = zfnet('small', { classes: 3, inputSize: 28, width: 0.02, seed: 3 });
    expect(outerLayers(model)).toEqual(['conv1', 'fc7']);
    expect(hiddenLayers(model)).toEqual(['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7']);
    expect(() => outerLayers(new Sequential({ fc: new Linear(2, 2) }))).toThrow(/name the layers/);
    await expect(invariance(model, examples, { layers: ['conv7'], amounts, preprocess: toInput })).rejects.toThrow(ValueError);
    await expect(invariance(model, [], { amounts, preprocess: toInput })).rejects.toThrow(/no images/);
  });

  it('are the paper’s amounts, in proportion to the input size', () => {
    const full = invarianceAmounts(224);
    expect([full.translation[0], full.translation.at(-1), full.translation.length]).toEqual([-60, 60, 25]);
    expect([full.scale[0], full.scale.at(-1), full.rotation[0], full.rotation.at(-1)]).toEqual([1, 1.8, 0, 360]);
    const { translation } = invarianceAmounts(80);
    expect(translation.every(Number.isInteger)).toBe(true);
    expect(translation[0]).toBe(-20);
    expect(translation).toContain(0);
  });

  it('are images that the network classifies correctly, whatever the order of the list', async () => {
    const model = blind();
    const noise = noiseSplit(8, SIDE, SIDE);
    // Images 3 and 6 are red with the label of red, and the only ones classified correctly.
    const split = {
      ...noise,
      get: async (index: number) => ({ ...([3, 6].includes(index) ? dot(5, 5, [255, 0, 0], 0) : dot(5, 5, [0, 0, 255], 0)), index }),
    };
    const picked = await pickExamples(model, split, { count: 2, preprocess: toInput });
    expect(picked.map(({ index }) => index)).toEqual([3, 6]);
    const three = (await pickExamples(model, split, { count: 3, preprocess: toInput })).map(({ index }) => index);
    expect(three).toHaveLength(3);
    expect(three).toEqual(expect.arrayContaining([3, 6]));
  });

  it('are images of several classes, even if the classes of the list alternate', async () => {
    const split = {
      ...noiseSplit(400, SIDE, SIDE),
      get: async (index: number) => ({ ...dot(5, 5, [255, 0, 0], index % 4), index }),
    };
    // Evenly spaced places, 80 apart, are all of class 0.
    const picked = await pickExamples(blind(), split, { count: 5, preprocess: toInput, tries: 1 });
    expect(new Set(picked.map(({ label }) => label)).size).toBeGreaterThan(1);
  });
});
