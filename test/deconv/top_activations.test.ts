/** The strongest activations against a naive loop over whole maps; their patches; and their projections. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { DataError } from '../../src/data/errors.js';
import { deconvnet, evaluating, type MapActivations, patchFinder, projectTop, topActivations } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import { noGrad, setDefaultBackend, tensor } from '../../src/tensor/index.js';
import { collectGarbage } from '../support/gc.js';
import { convWith, fillWithNoise, noiseSplit, toInput } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const LAYERS = ['conv1', 'pool1', 'conv2', 'fc6'];

const network = () =>
  fillWithNoise(
    new Sequential({
      conv1: new Conv2d(3, 4, 3, { stride: 2, padding: 1 }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
      conv2: new Conv2d(4, 5, 3, { padding: 1 }),
      relu2: new ReLU(),
      flatten: new Flatten(),
      drop: new Dropout(0.5),
      fc6: new Linear(5 * 3 * 3, 6),
    }),
    3,
  );

/** Every activation of every image, sorted; the straightforward way. */
async function naive(model: Sequential, length: number, layer: string, count: number): Promise<MapActivations[]> {
  const split = noiseSplit(length, 11, 14);
  const rows: { index: number; map: number; value: number; position: [number, number] }[] = [];
  let maps = 0;
  for (let index = 0; index < length; index++) {
    const examples = [await split.get(index)];
    const feature = model.featureLayer(layer);
    const output = evaluating(model, () => noGrad(() => model.activations(toInput(examples), [feature])[feature]));
    const [, c, h = 1, w = 1] = output.shape;
    const values = await output.data();
    maps = c;
    for (let map = 0; map < c; map++) {
      const own = [...values.slice(map * h * w, (map + 1) * h * w)];
      const value = Math.max(...own);
      const at = own.indexOf(value);
      rows.push({ index, map, value, position: [Math.floor(at / w), at % w] });
    }
  }
  const patch = patchFinder(model, layer, [1, 3, 11, 14]);
  return Array.from({ length: maps }, (_, map) => {
    const own = rows.filter((row) => row.map === map);
    return {
      map,
      strongest: [...own]
        .sort((a, b) => b.value - a.value || a.index - b.index)
        .slice(0, count)
        .map(({ index, value, position }) => ({ index, value, position, patch: patch(position) })),
      mean: own.reduce((sum, row) => sum + row.value, 0) / length,
      active: own.filter((row) => row.value > 0).length / length,
    };
  });
}

describe('topActivations', () => {
  for (const batchSize of [1, 7, 64]) {
    it(`equals the naive loop in batches of ${batchSize}`, async () => {
      const model = network();
      const found = await topActivations(model, noiseSplit(30, 11, 14), { layers: LAYERS, batchSize, preprocess: toInput });
      for (const layer of LAYERS) {
        const expected = await naive(model, 30, layer, 9);
        expect(found[layer].map(({ map, strongest }) => ({ map, strongest }))).toEqual(
          expected.map(({ map, strongest }) => ({ map, strongest })),
        );
        found[layer].forEach(({ mean, active }, i) => {
          expect(mean).toBeCloseTo(expected[i].mean, 10);
          expect(active).toBe(expected[i].active);
        });
      }
      // Values differ from image to image, so the order above was a real one.
      const values = found.conv2.flatMap(({ strongest }) => strongest.map(({ value }) => value)).filter((value) => value > 0);
      expect(new Set(values).size).toBeGreaterThan(20);
    });
  }

  it('returns the requested maps and number of images', async () => {
    const found = await topActivations(network(), noiseSplit(12, 11, 14), {
      layers: ['conv1', 'conv2'],
      maps: [4, 1],
      count: 3,
      preprocess: toInput,
    });
    expect(found.conv1.map(({ map }) => map)).toEqual([1]);
    expect(found.conv2.map(({ map }) => map)).toEqual([4, 1]);
    expect(found.conv2.map(({ strongest }) => strongest.length)).toEqual([3, 3]);
    expect(found.conv2[1]).toEqual((await naive(network(), 12, 'conv2', 3))[1]);
  });

  it('puts the lower index first if images tie, and chooses the first of equal positions', async () => {
    const split = noiseSplit(4, 5, 6);
    const examples = await Promise.all([0, 1, 2, 3].map((index) => split.get(index)));
    // Images 1 to 3 are the same bright square; image 0 is darker.
    const same = {
      length: 4,
      labels: split.labels,
      get: async (i: number) => ({ ...examples[i], image: { ...examples[i].image, data: new Uint8Array(90).fill(i === 0 ? 100 : 200) } }),
    };
    const model = new Sequential({ conv1: convWith([1, 3, 1, 1], [1, 1, 1], [1]) });
    const { conv1 } = await topActivations(model, same, { layers: ['conv1'], count: 2, batchSize: 3, preprocess: toInput });
    expect(conv1[0].strongest.map(({ index, position }) => ({ index, position }))).toEqual([
      { index: 1, position: [0, 0] },
      { index: 2, position: [0, 0] },
    ]);
  });

  it('reports the share of images that activate each map, 0 for a dead map', async () => {
    const model = network();
    (model.layer('conv2') as Conv2d).bias!.set([-1000, 0, 0, 0, 1000]);
    const { conv2 } = await topActivations(model, noiseSplit(8, 11, 14), { layers: ['conv2'], preprocess: toInput });
    expect(conv2[0]).toMatchObject({ active: 0, mean: 0 });
    expect(conv2[4].active).toBe(1);
  });

  it('frees its memory, reports progress and restores the mode of the model', async () => {
    const model = network().train();
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const seen: string[] = [];
    await topActivations(model, noiseSplit(10, 11, 14), {
      layers: LAYERS,
      batchSize: 4,
      preprocess: toInput,
      onProgress: (done, total) => seen.push(`${done}/${total}`),
    });
    expect(seen).toEqual(['4/10', '8/10', '10/10']);
    expect(memory().bytes).toBe(before);
    expect(model.training).toBe(true);
  });

  it('omits unreadable images with onBroken', async () => {
    const split = noiseSplit(6, 11, 14);
    const broken = {
      ...split,
      get: async (i: number) => {
        if (i === 2) throw new DataError('cat.jpg: cannot be read');
        return split.get(i);
      },
    };
    await expect(topActivations(network(), broken, { layers: ['conv1'], preprocess: toInput })).rejects.toThrow('cat.jpg');
    const errors: string[] = [];
    const { conv1 } = await topActivations(network(), broken, {
      layers: ['conv1'],
      preprocess: toInput,
      onBroken: (error) => errors.push(error.message),
    });
    expect(errors).toEqual(['cat.jpg: cannot be read']);
    expect(conv1[0].strongest.map(({ index }) => index).sort()).toEqual([0, 1, 3, 4, 5]);
  });

  it('lists the layers of the network if a name is unknown', async () => {
    await expect(topActivations(network(), noiseSplit(2, 11, 14), { layers: ['conv7'], preprocess: toInput })).rejects.toThrow(
      /no layer 'conv7'; the layers are conv1/,
    );
    await expect(topActivations(network(), noiseSplit(2, 11, 14), { layers: ['conv1'], count: 0, preprocess: toInput })).rejects.toThrow(
      /count is 0/,
    );
  });
});

describe('a planted pattern', () => {
  // An L at different positions of images 2, 5 and 11 of 14; the rest is darker noise.
  const L = [255, 40, 40, 255, 40, 40, 255, 255, 255];
  const planted = new Map([
    [2, [0, 0]],
    [5, [8, 11]],
    [11, [3, 6]],
  ]);
  const split = async () => {
    const noisy = noiseSplit(14, 11, 14);
    const examples = await Promise.all(Array.from({ length: 14 }, (_, i) => noisy.get(i)));
    const drawn = examples.map((example, index) => {
      const data = example.image.data.map((value) => value >> 2);
      const at = planted.get(index);
      if (at) for (let i = 0; i < 27; i++) data[((at[0] + Math.floor(i / 9)) * 14 + at[1]) * 3 + (i % 9)] = L[Math.floor(i / 3)];
      return { ...example, image: { ...example.image, data } };
    });
    return { ...noisy, get: async (index: number) => drawn[index] };
  };

  it('is found in the right images and positions, and projected there and nowhere else', async () => {
    const weight = L.map((value) => (value === 255 ? 1 : -1));
    // The filter of every colour is the L; with this bias, only an L has a positive activation.
    const model = new Sequential({
      conv1: convWith([2, 3, 3, 3], [...weight, ...weight, ...weight, ...weight, ...weight, ...weight], [-15, -1000]),
      relu1: new ReLU(),
    });
    const images = await split();
    const { conv1 } = await topActivations(model, images, { layers: ['conv1'], count: 3, batchSize: 4, preprocess: toInput });
    const found = [...conv1[0].strongest].sort((a, b) => a.index - b.index);
    expect(found.map(({ index, position }) => [index, position])).toEqual([...planted]);
    expect(conv1[0].active).toBe(3 / 14);
    expect(conv1[1].active).toBe(0);
    const [{ strongest }] = await projectTop(model, images, conv1.slice(0, 1), { layer: 'conv1', preprocess: toInput });
    for (const { projection, value, patch } of strongest) {
      const [y0, x0, y1, x1] = patch;
      expect([y1 - y0, x1 - x0]).toEqual([3, 3]);
      projection.forEach((pixel, i) => {
        const [y, x] = [Math.floor(i / 14) % 11, i % 14];
        const inside = y >= y0 && y < y1 && x >= x0 && x < x1;
        expect(pixel).toBe(inside ? Math.fround(value) * weight[(y - y0) * 3 + x - x0] : 0);
      });
    }
  });
});

describe('a pass in parts', () => {
  const options = { layers: LAYERS, batchSize: 4, preprocess: toInput };
  const split = noiseSplit(18, 11, 14);
  const plain = () => topActivations(network(), split, options);

  it('can be interrupted anywhere and resumed from JSON with the same result', async () => {
    const states: string[] = [];
    const whole = await topActivations(network(), split, {
      ...options,
      stateSeconds: 0,
      onState: (state) => {
        states.push(JSON.stringify(state));
      },
    });
    expect(states.map((text) => JSON.parse(text).done)).toEqual([4, 8, 12, 16, 18, 18]);
    for (const text of states) {
      const read: number[] = [];
      const counted = {
        ...split,
        get: (index: number) => {
          read.push(index);
          return split.get(index);
        },
      };
      const from = JSON.parse(text);
      expect(await topActivations(network(), counted, { ...options, from })).toEqual(whole);
      expect(read).toEqual(Array.from({ length: 18 - from.done }, (_, i) => from.done + i));
    }
    expect(whole).toEqual(await plain());
  });

  it('stops on an abort signal and saves its progress', async () => {
    const controller = new AbortController();
    let last = '';
    const stopped = topActivations(network(), split, {
      ...options,
      stateSeconds: 3600,
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 8) controller.abort(new Error('enough'));
      },
      onState: (state) => {
        last = JSON.stringify(state);
      },
    });
    await expect(stopped).rejects.toThrow('enough');
    const from = JSON.parse(last);
    expect(from.done).toBe(8);
    expect(await topActivations(network(), split, { ...options, from })).toEqual(await plain());
  });

  it('uses only the given indices', async () => {
    const indices = [1, 4, 5, 9, 17];
    const { conv1 } = await topActivations(network(), split, { ...options, indices });
    expect([...new Set(conv1.flatMap(({ strongest }) => strongest.map(({ index }) => index)))].sort((a, b) => a - b)).toEqual(indices);
    const [all] = (await plain()).conv1;
    for (const { index, value } of conv1[0].strongest) {
      const same = all.strongest.find((other) => other.index === index);
      if (same) expect(value).toBe(same.value);
    }
  });

  it('needs no more memory and state for more images', async () => {
    const held = async (length: number) => {
      const model = network();
      const { backend } = model.parameters()[0];
      backend.resetPeak();
      let size = 0;
      const onState = (state: object) => {
        size = JSON.stringify(state).length;
      };
      await topActivations(model, noiseSplit(length, 11, 14), { ...options, onState });
      model.dispose();
      return { peak: backend.memory().peakBytes, size };
    };
    const [few, many] = [await held(16), await held(160)];
    expect(many.peak).toBe(few.peak);
    expect(many.size).toBeLessThan(1.1 * few.size);
  });

  it('refuses a saved state of other layers', async () => {
    const from = { done: 4, layers: {} };
    await expect(topActivations(network(), split, { ...options, from })).rejects.toThrow(/the state to resume from has layers/);
  });
});

describe('patches', () => {
  it('contain every pixel that changes the activation, and are clipped to the image', async () => {
    const model = network();
    const split = noiseSplit(1, 11, 14);
    const example = await split.get(0);
    for (const [layer, maps, rows, columns] of [
      ['conv1', 4, 6, 7],
      ['pool1', 4, 3, 3],
      ['conv2', 5, 3, 3],
    ] as const) {
      const feature = model.featureLayer(layer);
      const patch = patchFinder(model, layer, [1, 3, 11, 14]);
      for (const position of [
        [0, 0],
        [rows - 1, columns - 1],
        [1, 2],
      ] as const) {
        const [y0, x0, y1, x1] = patch(position);
        expect(Math.min(y0, x0, y1 - y0 - 1, x1 - x0 - 1, 11 - y1, 14 - x1)).toBeGreaterThanOrEqual(0);
        const activation = async (changed: Uint8Array) => {
          const input = toInput([{ ...example, image: { ...example.image, data: changed } }]);
          const output = evaluating(model, () => noGrad(() => model.activations(input, [feature])[feature]));
          const values = await output.data();
          const [, , h, w] = output.shape;
          return Array.from({ length: maps }, (_, map) => values[(map * h + position[0]) * w + position[1]]);
        };
        const outside = Uint8Array.from(example.image.data, (value, i) => {
          const p = Math.floor(i / 3);
          const [y, x] = [Math.floor(p / 14), p % 14];
          return y >= y0 && y < y1 && x >= x0 && x < x1 ? value : 255 - value;
        });
        expect(await activation(outside)).toEqual(await activation(example.image.data));
      }
    }
  });

  it('are the whole image behind a linear layer and for models without receptive fields', () => {
    const model = network();
    expect(patchFinder(model, 'fc6', [1, 3, 11, 14])([0, 0])).toEqual([0, 0, 11, 14]);
    const other = { featureLayer: (name: string) => name } as never;
    expect(patchFinder(other, 'conv1', [1, 3, 11, 14])([0, 0])).toEqual([0, 0, 11, 14]);
  });
});

describe('projectTop', () => {
  it('gives each activation the same picture as deconvnet.project', async () => {
    const model = network();
    const split = noiseSplit(12, 11, 14);
    const { conv2 } = await topActivations(model, split, { layers: ['conv2'], maps: [0, 2, 3], count: 4, preprocess: toInput });
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const done: number[] = [];
    const maps = await projectTop(model, split, conv2, {
      layer: 'conv2',
      mode: 'guided',
      preprocess: toInput,
      batchSize: 5,
      onProgress: (n) => done.push(n),
    });
    expect(memory().bytes).toBe(before);
    expect(done).toEqual([5, 10, 12]);
    for (const [i, { map, strongest }] of maps.entries()) {
      expect(strongest.map(({ index, value }) => ({ index, value }))).toEqual(
        conv2[i].strongest.map(({ index, value }) => ({ index, value })),
      );
      for (const { index, position, projection, example } of strongest) {
        expect(example.index).toBe(index);
        const input = toInput([example]);
        const image = tensor(await input.data(), [3, 11, 14]);
        const picture = await deconvnet(model).project(image, { layer: 'conv2', map, position, mode: 'guided' });
        expect([...projection]).toEqual([...(await picture.data())]);
      }
    }
  });
});
