/**
 * The deconvnet against its definition: planted patterns whose projection is known, and the dense formulation of `dense.ts`
 * over overlapping pools, ties, windows of zeros, a stride's remainder, H ≠ W, both overlap rules and the three modes.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { deconvnet, projectBatch } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import {
  Conv2d,
  Dropout,
  type FieldAxis,
  Flatten,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  ReLU,
  Sequential,
  summarize,
} from '../../src/nn/index.js';
import { ShapeError, setDefaultBackend, tensor, ValueError } from '../../src/tensor/index.js';
import { collectGarbage } from '../support/gc.js';
import { conv, type DenseLayer, type Dims, dense, lrn, type Mode, pool, projectDense, relu } from './dense.js';
import { convWith, fillWithNoise, noise } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const MODES: readonly Mode[] = ['deconvnet', 'gradient', 'guided'];
const OVERLAPS = ['sum', 'last'] as const;

/** Two blocks with overlapping pools, normalisation and a strided convolution, then two linear layers; and their dense twins by name. */
async function twins(dims: Dims, seed: number) {
  const [c, h, w] = dims;
  const conv1 = new Conv2d(c, 4, 3, { stride: 1, padding: 1 });
  const conv2 = new Conv2d(4, 5, 3, { stride: 2, padding: 1 });
  const values = (t: { dataSync(): ArrayLike<number> }) => t.dataSync();
  const shapes = { conv1: [4, h, w] as Dims };
  const pool1 = pool(shapes.conv1, 3, 2);
  const [, ph, pw] = pool1.output;
  const oh = Math.floor((ph + 2 - 3) / 2) + 1;
  const ow = Math.floor((pw + 2 - 3) / 2) + 1;
  const pool2 = pool([5, oh, ow], 2, 1);
  const units = pool2.output.reduce((a, b) => a * b);
  const model = new Sequential({
    conv1,
    relu1: new ReLU(),
    pool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
    norm1: new LocalResponseNorm({ size: 3, alpha: 0.5, beta: 0.75, k: 1 }),
    conv2,
    relu2: new ReLU(),
    pool2: new MaxPool2d(2, { stride: 1, ceilMode: true }),
    flatten: new Flatten(),
    fc6: new Linear(units, 6),
    relu6: new ReLU(),
    drop6: new Dropout(0.5),
    fc8: new Linear(6, 3),
  });
  await fillWithNoise(model, seed).to({ dtype: 'float64' });
  const weights = model.stateDict();
  const layers: Record<string, DenseLayer> = {
    conv1: conv(dims, values(weights['conv1.weight']), values(weights['conv1.bias']), 3, 1, 1),
    relu1: relu(shapes.conv1),
    pool1,
    norm1: lrn(pool1.output, 3, 0.5, 0.75, 1),
    conv2: conv(pool1.output, values(weights['conv2.weight']), values(weights['conv2.bias']), 3, 2, 1),
    relu2: relu([5, oh, ow]),
    pool2,
    fc6: dense(units, values(weights['fc6.weight']), values(weights['fc6.bias'])),
    relu6: relu([6, 1, 1]),
    fc8: dense(6, values(weights['fc8.weight']), values(weights['fc8.bias'])),
  };
  /** The dense layers up to the one whose output the deconvnet looks at. */
  const upTo = (layer: string) => {
    const names = Object.keys(layers);
    const feature = model.featureLayer(layer);
    return names.slice(0, names.indexOf(feature) + 1).map((name) => layers[name]);
  };
  return { model, upTo };
}

/** An image of a few grey levels on a dark background: many ties, and whole windows of zeros after the ReLU. */
const coarse = (length: number, seed: number) => noise(length, seed).map((value) => (value < 0.3 ? -1 : Math.round(value * 3) / 3));

describe('projection equals the dense formulation', () => {
  const cases = [
    { name: 'smooth noise, H < W', dims: [3, 9, 12] as Dims, image: noise(3 * 9 * 12, 5), seed: 1 },
    { name: 'smooth noise, H > W, stride remainder', dims: [2, 12, 7] as Dims, image: noise(2 * 12 * 7, 6), seed: 2 },
    { name: 'ties and windows of zeros', dims: [3, 10, 8] as Dims, image: coarse(3 * 10 * 8, 7), seed: 3 },
    { name: 'a constant image', dims: [1, 8, 9] as Dims, image: new Float64Array(72).fill(0.5), seed: 4 },
  ];
  for (const { name, dims, image, seed } of cases) {
    for (const mode of MODES) {
      for (const overlap of OVERLAPS) {
        it(`${name}, ${mode}, ${overlap}`, async () => {
          const { model, upTo } = await twins(dims, seed);
          const net = deconvnet(model);
          const x = tensor(image, dims, { dtype: 'float64' });
          let loudest = 0;
          for (const [layer, map] of [
            ['conv1', 0],
            ['conv1', 3],
            ['pool1', 1],
            ['norm1', 2],
            ['conv2', 0],
            ['conv2', 4],
            ['pool2', 3],
            ['fc6', 1],
            ['fc6', 5],
            ['fc8', 2],
          ] as const) {
            const expected = projectDense(upTo(layer), image, { map }, { mode, overlap });
            const picture = await net.project(x, { layer, map, mode, overlap });
            expect(picture.shape).toEqual(dims);
            const got = await picture.data();
            expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(1e-12);
            loudest = Math.max(loudest, ...expected.map(Math.abs));
          }
          expect(loudest).toBeGreaterThan(1e-3); // The comparison was not one of zeros.
        });
      }
    }
  }

  it('differs between the two overlap rules and the three modes', async () => {
    const { upTo } = await twins([3, 10, 8], 3);
    const image = coarse(240, 7);
    const pictures = MODES.flatMap((mode) =>
      OVERLAPS.map((overlap) =>
        [0, 1, 2, 3, 4].map((map) => projectDense(upTo('conv2'), image, { map }, { mode, overlap }).join()).join(';'),
      ),
    );
    expect(new Set(pictures).size).toBe(6);
  });

  it('projects from the given position', async () => {
    const { model, upTo } = await twins([3, 9, 12], 1);
    const image = noise(3 * 9 * 12, 5);
    const x = tensor(image, [3, 9, 12], { dtype: 'float64' });
    const position = [2, 3] as const;
    const expected = projectDense(upTo('norm1'), image, { map: 2, position }, { mode: 'deconvnet', overlap: 'sum' });
    const result = await deconvnet(model).projectActivation(x, { layer: 'norm1', map: 2, position });
    expect(result.position).toEqual([2, 3]);
    const got = await result.picture.data();
    expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(1e-12);
  });
});

describe('planted truth', () => {
  // An L with weight on its own pixels only: not symmetric, so a filter turned the wrong way round would show.
  const L = [1, 0, 0, 2, 0, 0, 3, 4, 5];
  const model = () =>
    new Sequential({ conv1: convWith([2, 1, 3, 3], [...L.map(() => -1), ...L], [0, -50]), relu1: new ReLU(), pool1: new MaxPool2d(2) });

  it('shows the pattern at its position and exactly zero outside the receptive field', async () => {
    const image = new Float32Array(10 * 12);
    const [top, left] = [5, 4];
    L.forEach((value, i) => {
      image[(top + Math.floor(i / 3)) * 12 + left + (i % 3)] = value;
    });
    const x = tensor(image, [1, 10, 12]);
    for (const layer of ['conv1', 'pool1']) {
      const { picture, value } = await deconvnet(model()).projectActivation(x, { layer, map: 1 });
      expect(value).toBe(1 + 4 + 9 + 16 + 25 - 50);
      // The filter itself, scaled by the activation, where the pattern is.
      expect([...(await picture.data())]).toEqual([...image].map((pixel) => pixel * value));
    }
  });

  it('is exactly zero outside the patch of any activation, in every mode', async () => {
    const { model } = await twins([3, 24, 20], 6);
    const shape = [1, 3, 24, 20];
    const field = summarize(model, shape).find(({ name }) => name === 'relu2')!.receptiveField as readonly [FieldAxis, FieldAxis];
    const x = tensor(noise(3 * 24 * 20, 8), [3, 24, 20], { dtype: 'float64' });
    for (const mode of MODES) {
      const { picture, position } = await deconvnet(model).projectActivation(x, { layer: 'conv2', map: 2, position: [1, 2], mode });
      const values = await picture.data();
      let inside = 0;
      values.forEach((value, i) => {
        const y = Math.floor(i / 20) % 24;
        const x = i % 20;
        const within = (axis: number, place: number) => {
          const start = field[axis].start + position[axis] * field[axis].jump;
          return place >= start && place < start + field[axis].size;
        };
        if (within(0, y) && within(1, x)) inside += Math.abs(value);
        else expect(value).toBe(0);
      });
      expect(inside).toBeGreaterThan(0);
    }
  });

  it('equals the gradient without negative values and normalisation', async () => {
    const positive = new Sequential([new Conv2d(2, 3, 3), new ReLU(), new MaxPool2d(3, { stride: 2 }), new Conv2d(3, 2, 2), new ReLU()]);
    for (const [i, p] of positive.parameters().entries()) p.set(noise(p.size, 20 + i).map((value) => Math.abs(value) + 0.01));
    const x = tensor(
      noise(2 * 11 * 13, 30).map((value) => Math.abs(value)),
      [2, 11, 13],
      { dtype: 'float32' },
    );
    const net = deconvnet(positive);
    const pictures = await Promise.all(MODES.map(async (mode) => [...(await (await net.project(x, { layer: '3', map: 1, mode })).data())]));
    expect(pictures[1]).toEqual(pictures[0]);
    expect(pictures[2]).toEqual(pictures[0]);
    expect(Math.max(...pictures[0])).toBeGreaterThan(0.01);
  });

  it('is the gradient times the activation in mode gradient', async () => {
    const { model } = await twins([3, 9, 12], 9);
    const image = tensor(noise(3 * 9 * 12, 5), [1, 3, 9, 12], { dtype: 'float64', requiresGrad: true });
    const { picture, value } = await deconvnet(model).projectActivation(image, { layer: 'fc8', map: 1, mode: 'gradient' });
    const logits = model.eval().forward(image);
    logits.slice([0, 1], [1, 2]).sum().backward();
    const gradient = await image.grad!.data();
    const got = await picture.data();
    expect(Math.max(...got.map((pixel, i) => Math.abs(pixel - value * gradient[i])))).toBeLessThan(1e-12);
  });
});

describe('projectBatch', () => {
  it('equals single projections, whatever else is in the batch', async () => {
    const { model } = await twins([3, 9, 12], 11);
    const images = tensor(noise(4 * 3 * 9 * 12, 12), [4, 3, 9, 12], { dtype: 'float64' });
    const places = [{ map: 0 }, { map: 3, position: [1, 0] as const }, { map: 3 }, { map: 4 }];
    for (const mode of MODES) {
      const batch = await projectBatch(model, images, 'conv2', places, { mode, overlap: 'last' });
      const all = await batch.pictures.data();
      for (const [n, place] of places.entries()) {
        const one = images.slice([n, 0, 0, 0], [n + 1, 3, 9, 12]);
        const single = await deconvnet(model).projectActivation(one, { layer: 'conv2', ...place, mode, overlap: 'last' });
        expect([...all.slice(n * 324, (n + 1) * 324)]).toEqual([...(await single.picture.data())]);
        expect(batch.activations[n]).toEqual({ map: place.map, value: single.value, position: single.position });
      }
    }
  });

  it('runs in evaluation mode, restores the mode and leaves no gradients', async () => {
    const { model } = await twins([3, 9, 12], 11);
    const images = tensor(noise(2 * 324, 12), [2, 3, 9, 12], { dtype: 'float64' });
    model.train();
    const [first, second] = [
      await projectBatch(model, images, 'fc8', [{ map: 0 }, { map: 1 }]),
      await projectBatch(model, images, 'fc8', [{ map: 0 }, { map: 1 }]),
    ];
    expect(model.training).toBe(true);
    expect([...(await first.pictures.data())]).toEqual([...(await second.pictures.data())]);
    expect(model.parameters().every((p) => p.grad === null)).toBe(true);
    expect(images.grad).toBeNull();
  });

  it('frees all memory except the pictures', async () => {
    const { model } = await twins([3, 9, 12], 11);
    const images = tensor(noise(2 * 324, 12), [2, 3, 9, 12], { dtype: 'float64' });
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const { pictures } = await projectBatch(model, images, 'conv2', [{ map: 0 }, { map: 1 }]);
    expect(memory().bytes - before).toBe(pictures.size * 8);
    pictures.dispose();
    expect(memory().bytes).toBe(before);
  });
});

describe('errors name the expected value:', () => {
  const model = async () => (await twins([3, 9, 12], 1)).model;
  const image = () => tensor(noise(324, 1), [3, 9, 12], { dtype: 'float64' });
  const cases: [string, Record<string, unknown>, new (...args: never[]) => Error, RegExp][] = [
    ['layer', { layer: 'conv9', map: 0 }, ValueError, /no layer 'conv9'; the layers are conv1, relu1/],
    ['map', { layer: 'conv2', map: 5 }, ValueError, /map is 5, layer conv2 has maps 0 to 4/],
    ['fraction', { layer: 'conv2', map: 0.5 }, ValueError, /map is 0.5/],
    [
      'position',
      { layer: 'conv2', map: 0, position: [9, 0] },
      ValueError,
      /position is \[9, 0\], the maps of layer conv2 have 2 rows and 3 columns/,
    ],
    [
      'mode',
      { layer: 'conv2', map: 0, mode: 'saliency' },
      ValueError,
      /mode is 'saliency', expected 'gradient' or 'guided' or 'deconvnet'/,
    ],
    ['overlap', { layer: 'conv2', map: 0, overlap: 'mean' }, ValueError, /overlap is 'mean', expected 'sum' or 'last'/],
  ];
  for (const [name, options, type, message] of cases) {
    it(name, async () => {
      const failure = await deconvnet(await model())
        .project(image(), options as never)
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(type);
      expect((failure as Error).message).toMatch(message);
    });
  }

  it('shape of the image, number of places', async () => {
    await expect(deconvnet(await model()).project(tensor([1, 2, 3]), { layer: 'conv1', map: 0 })).rejects.toThrow(ShapeError);
    const two = tensor(noise(648, 1), [2, 3, 9, 12], { dtype: 'float64' });
    await expect(deconvnet(await model()).project(two, { layer: 'conv1', map: 0 })).rejects.toThrow(/expected \[C, H, W\]/);
    await expect(projectBatch(await model(), two, 'conv1', [{ map: 0 }])).rejects.toThrow(/expected \[1, C, H, W\] for 1 places/);
  });
});
