/**
 * Occlusion: the incremental sweep against running every occluded image whole, and networks whose output is known to depend on one
 * position.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { dropInside, occlude, occludeSplit, squarePlaces } from '../../src/deconv/index.js';
import { createBackend, memory } from '../../src/index.js';
import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Dropout,
  Flatten,
  type LayeredModel,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
  Softmax,
} from '../../src/nn/index.js';
import { relu, type Shape, ShapeError, setDefaultBackend, type Tensor, tensor, ValueError } from '../../src/tensor/index.js';
import { fillWithNoise, noise, noiseSplit, toInput } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

/** A network of the layers given, for images [3, height, width], with a linear layer of four classes at its end. */
function network(layers: Record<string, Module>, [height, width]: readonly [number, number], seed: number): Sequential {
  const units = new Sequential(layers).outputShape([1, 3, height, width])!.reduce((a, b) => a * b);
  return fillWithNoise(new Sequential({ ...layers, flatten: new Flatten(), fc: new Linear(units, 4) }), seed, 0.3);
}

const CASES: {
  name: string;
  layers: () => Record<string, Module>;
  size: [number, number];
  square: number;
  stride: number;
  layer: string;
}[] = [
  {
    name: 'ZFNet in small: strides, ceil pools, normalisation across channels',
    layers: () => ({
      conv1: new Conv2d(3, 4, 7, { stride: 2, padding: 1 }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
      norm1: new LocalResponseNorm({ size: 3, alpha: 0.5 }),
      conv2: new Conv2d(4, 5, 3, { padding: 1 }),
      relu2: new ReLU(),
      pool2: new MaxPool2d(3, { stride: 2, ceilMode: true }),
      drop: new Dropout(0.5),
    }),
    size: [37, 42],
    square: 5,
    stride: 4,
    layer: 'conv2',
  },
  {
    name: 'padded pools, normalisation within channels before the pool, unequal paddings',
    layers: () => ({
      conv1: new Conv2d(3, 4, [3, 5], { stride: [1, 2], padding: [2, 0, 1, 3] }),
      norm1: new LocalResponseNorm({ size: 3, alpha: 0.7, k: 1, region: 'within' }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true }),
      conv2: new Conv2d(4, 3, 2),
    }),
    size: [15, 22],
    square: 4,
    stride: 3,
    layer: 'norm1',
  },
  {
    name: 'means, batch statistics, dilation, groups, a stride larger than the kernel',
    layers: () => ({
      bn: new BatchNorm2d(3),
      pool0: new AvgPool2d(3, { stride: 2, padding: 1 }),
      conv1: new Conv2d(3, 6, 3, { dilation: 2, padding: 2, groups: 3 }),
      relu1: new ReLU(),
      conv2: new Conv2d(6, 4, 2, { stride: 3 }),
      pool2: new AvgPool2d(2, { ceilMode: true, stride: 2 }),
    }),
    size: [26, 19],
    square: 3,
    stride: 5,
    layer: 'bn',
  },
  {
    name: 'a watched linear layer behind the windows',
    layers: () => ({
      conv1: new Conv2d(3, 4, 3),
      relu1: new ReLU(),
      flatten0: new Flatten(),
      fc0: new Linear(4 * 10 * 8, 6),
      relu2: new ReLU(),
    }),
    size: [12, 10],
    square: 3,
    stride: 2,
    layer: 'fc0',
  },
];

describe('the incremental sweep', () => {
  it.each(CASES)('equals running every image whole: $name', async ({ layers, size, square, stride, layer }) => {
    const model = await network(layers(), size, 3).to({ dtype: 'float64' });
    const image = tensor(noise(3 * size[0] * size[1], 4), [1, 3, ...size], { dtype: 'float64' });
    const grey = tensor(noise(3 * size[0] * size[1], 5), [1, 3, ...size], { dtype: 'float64' });
    const held = memory().bytes;
    const options = { square, stride, layer, grey, batchSize: 7 };
    const quick = await occlude(model, image, options);
    const whole = await occlude(model, image, { ...options, incremental: false });
    expect([quick.incremental, whole.incremental]).toEqual([true, false]);
    for (const key of ['probability', 'activation'] as const) {
      expect(quick[key]).toHaveLength(whole.places.length);
      for (const [i, value] of whole[key].entries()) expect(Math.abs(quick[key][i] - value)).toBeLessThan(1e-12 * (1 + Math.abs(value)));
      expect(new Set(whole[key]).size).toBeGreaterThan(whole.places.length / 4);
    }
    expect({ ...quick, probability: [], activation: [], incremental: false }).toEqual({ ...whole, probability: [], activation: [] });
    expect(memory().bytes).toBe(held);
    expect(model.training).toBe(true);
  });

  it('equals running every image whole on the fast kernels, too', async () => {
    const backend = await createBackend({ backend: 'wasm', threads: 1 });
    const { layers, size } = CASES[0];
    const [quick, whole] = await onBackend(backend, async () => {
      const model = network(layers(), size, 3);
      const image = tensor(Float32Array.from(noise(3 * size[0] * size[1], 4)), [1, 3, ...size]);
      const options = { square: 5, stride: 4, layer: 'conv2' };
      return [await occlude(model, image, options), await occlude(model, image, { ...options, incremental: false })];
    });
    for (const [i, p] of whole.probability.entries()) expect(Math.abs(quick.probability[i] - p)).toBeLessThan(1e-6 * p);
    for (const [i, a] of whole.activation.entries()) expect(Math.abs(quick.activation[i] - a)).toBeLessThan(1e-5 * a);
    backend.dispose();
  });

  it('computes whole images if the model is not a Sequential, and from the first unknown layer on', async () => {
    class Doubled extends Module {
      forward(x: Tensor) {
        return relu(x.mul(2));
      }
      override outputShape(input: Shape) {
        return input;
      }
    }
    const size: [number, number] = [12, 10];
    const model = network({ conv1: new Conv2d(3, 4, 3), odd: new Doubled(), conv2: new Conv2d(4, 3, 3) }, size, 8);
    const image = tensor(noise(360, 4), [1, 3, ...size], { dtype: 'float32' });
    const options = { square: 3, stride: 3, layer: 'conv2', map: 1 };
    const row = await occlude(model, image, options);
    const graph: LayeredModel = {
      training: false,
      train: () => graph,
      layerNames: () => model.layerNames(),
      layer: (name) => model.layer(name),
      activations: (x, names) => model.activations(x, names),
      featureLayer: (name) => name,
    };
    const whole = await occlude(graph, image, options);
    expect([row.incremental, whole.incremental]).toEqual([true, false]);
    expect(whole.activation).toEqual(row.activation);
    expect(whole.probability).toEqual(row.probability);
  });

  it('stops on an abort signal', async () => {
    const model = network({ conv1: new Conv2d(3, 4, 3) }, [12, 10], 8);
    const stop = new AbortController();
    const progress: number[] = [];
    const sweep = occlude(model, tensor(noise(360, 4), [1, 3, 12, 10], { dtype: 'float32' }), {
      square: 3,
      stride: 3,
      layer: 'conv1',
      signal: stop.signal,
      onProgress: (done, total) => {
        progress.push(done / total);
        stop.abort();
      },
    });
    await expect(sweep).rejects.toThrow(/abort/i);
    expect(progress).toHaveLength(1);
  });
});

async function onBackend<T>(backend: Awaited<ReturnType<typeof createBackend>>, fn: () => Promise<T>): Promise<T> {
  setDefaultBackend(backend);
  try {
    return await fn();
  } finally {
    setDefaultBackend(createReferenceBackend());
  }
}

/** Predicts class 1 if one patch of the image is bright, and ignores the rest. */
function patchReader([height, width]: readonly [number, number], [y0, x0, y1, x1]: readonly number[]): Sequential {
  const conv = new Conv2d(3, 2, 1);
  conv.weight.set([1, 0.5, 0.25, -1, 0.5, -0.25]);
  conv.bias!.set([0, 0]);
  const linear = new Linear(2 * height * width, 2);
  const weight = new Float32Array(2 * 2 * height * width);
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) weight[2 * height * width + y * width + x] = 0.03;
  linear.weight.set(weight);
  linear.bias!.set([0, 0]);
  return new Sequential({ conv, relu: new ReLU(), flatten: new Flatten(), linear });
}

describe('one informative patch', () => {
  const size = [16, 20] as const;
  const patch = [4, 8, 9, 14] as const;
  const image = () => tensor(new Float32Array(3 * 16 * 20).fill(1), [1, 3, ...size]);

  it('lowers the probability where it is covered, and only there', async () => {
    const model = patchReader(size, patch);
    const { places, probability, clean, activation, label, grid, labels } = await occlude(model, image(), {
      square: 4,
      stride: 3,
      layer: 'conv',
    });
    expect([label, clean.label]).toEqual([1, 1]);
    expect(grid).toEqual([5, 7]);
    for (const [i, [y, x]] of places.entries()) {
      const touches = y < patch[2] && y + 4 > patch[0] && x < patch[3] && x + 4 > patch[1];
      if (touches) expect(probability[i]).toBeLessThan(clean.probability - 1e-3);
      else expect(probability[i]).toBe(clean.probability);
      // The map answers 1.75 everywhere but under the square.
      expect(activation[i]).toBeCloseTo(1.75 * (16 * 20 - 16), 4);
    }
    expect(new Set(labels)).toEqual(new Set([1]));
    expect(dropInside({ places, probability, clean, grid, label, labels, incremental: true }, 4, [4, 8, 9, 14]).drop).toBeGreaterThan(0.5);
  });

  it('names the map that is strongest in the image, whichever map is watched', async () => {
    const model = patchReader(size, patch);
    (model.layer('conv') as Conv2d).weight.set(Float32Array.of(1, 0, 0, 2, 0, 0));
    const watched = async (map?: number) => {
      const { map: own, strongest } = await occlude(model, image(), { square: 8, stride: 8, layer: 'conv', map });
      return [own, strongest];
    };
    const [strongest] = await watched();
    expect(await watched(strongest!)).toEqual([strongest, strongest]);
    expect(await watched(1 - strongest!)).toEqual([1 - strongest!, strongest]);
  });

  it('has a known share of the drop', () => {
    const sweep = {
      places: [
        [0, 0],
        [0, 4],
      ] as [number, number][],
      grid: [1, 2] as [number, number],
      label: 0,
      labels: [0, 0],
      incremental: true,
    };
    const clean = { probability: 0.8, label: 0 };
    expect(dropInside({ ...sweep, clean, probability: [0.4, 0.6] }, 4, [0, 2, 4, 6])).toEqual({ drop: expect.closeTo(0.5, 10), area: 0.5 });
    expect(dropInside({ ...sweep, clean, probability: [0.4, 0.9] }, 4, [0, 4, 4, 8])).toEqual({ drop: 0, area: 0.5 });
    expect(dropInside({ ...sweep, clean, probability: [0.8, 0.9] }, 4, [0, 4, 4, 8])).toEqual({ drop: null, area: 0.5 });
  });

  it('lies inside its box over a whole split', async () => {
    const model = patchReader(size, patch);
    const split = noiseSplit(5, ...size);
    const labelled = { ...split, get: async (index: number) => ({ ...(await split.get(index)), label: 1 }) };
    const sweep = (box: readonly number[]) =>
      occludeSplit(model, labelled, {
        square: 2,
        stride: 1,
        preprocess: toInput,
        boxOf: ({ index }) => (index === 3 ? null : [box[0], box[1], box[2], box[3]]),
      });
    // A square that touches the patch may extend beyond it by one pixel.
    const all = await sweep([3, 7, 10, 15]);
    expect(all.images).toBe(4);
    expect(all.drop.mean).toBeCloseTo(1, 5);
    expect(all.area.mean).toBeCloseTo((7 * 8) / (16 * 20), 1);
    expect((await sweep([11, 0, 16, 20])).drop.mean).toBe(0);
    await expect(occludeSplit(model, labelled, { square: 2, stride: 1, preprocess: toInput, boxOf: () => null })).rejects.toThrow(
      /no image .* known box/,
    );
  });

  it('uses the outputs of a final softmax layer as probabilities', async () => {
    const model = patchReader(size, patch);
    const parts = Object.fromEntries(model.layerNames().map((name) => [name, model.layer(name)]));
    const ended = new Sequential({ ...parts, softmax: new Softmax() });
    const options = { square: 4, stride: 4, layer: 'conv', map: 0 };
    const [one, other] = [await occlude(model, image(), options), await occlude(ended, image(), options)];
    expect(other.probability).toEqual(one.probability);
  });
});

describe('arguments', () => {
  it('places squares over the whole image', () => {
    expect(squarePlaces(7, 4, { square: 4, stride: 2 })).toEqual({
      places: [
        [0, 0],
        [2, 0],
        [3, 0],
      ],
      grid: [3, 1],
    });
  });

  it.each([
    [{ square: 21 }, ValueError, /a square of 21 pixels does not fit an image of 20×30/],
    [{ square: 0 }, ValueError, /square is 0/],
    [{ stride: 1.5 }, ValueError, /stride is 1.5/],
    [{ label: 4 }, ValueError, /label is 4, the network has 4 classes/],
    [{ map: 9 }, ValueError, /map is 9, layer .* has maps 0 to 4/],
    [{ layer: 'conv9' }, ValueError, /no layer 'conv9'; the layers are conv1/],
    [{ batchSize: 0 }, ValueError, /batchSize is 0/],
  ])('%o is an error', async (wrong, kind, message) => {
    const model = network(CASES[0].layers(), [20, 30], 1);
    const image = tensor(noise(1800, 1), [1, 3, 20, 30], { dtype: 'float32' });
    const call = occlude(model, image, { square: 5, stride: 5, layer: 'conv2', ...wrong });
    await expect(call).rejects.toThrow(kind);
    await expect(occlude(model, image, { square: 5, stride: 5, layer: 'conv2', ...wrong })).rejects.toThrow(message);
  });

  it('must be one image and a grey image of the same shape', async () => {
    const model = network(CASES[0].layers(), [20, 30], 1);
    const options = { square: 5, stride: 5, layer: 'conv2' };
    const two = tensor(noise(3600, 1), [2, 3, 20, 30], { dtype: 'float32' });
    const one = tensor(noise(1800, 1), [1, 3, 20, 30], { dtype: 'float32' });
    await expect(occlude(model, two, { ...options, map: 1 })).rejects.toThrow(ShapeError);
    await expect(occlude(model, one, { ...options, grey: two })).rejects.toThrow(/grey has shape \[2,3,20,30\]/);
  });
});
