/** Gradient ascent where the best picture is known: a linear filter's is the filter. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { type AscentOptions, ascend, standingOut } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { Conv2d, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { collectGarbage } from '../support/gc.js';
import { convWith, fillWithNoise, noise } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const plain: Partial<AscentOptions> = { blur: 0, jitter: 0, steps: 120 };

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] ** 2;
    bb += b[i] ** 2;
  }
  return ab / Math.sqrt(aa * bb);
};

/** Two blocks; maps 1 and 3 of conv2 are silent whatever is shown. */
function withDeadMaps() {
  const model = fillWithNoise(
    new Sequential({
      conv1: new Conv2d(3, 4, 3, { padding: 1 }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(2),
      conv2: new Conv2d(4, 6, 3, { padding: 1 }),
      relu2: new ReLU(),
    }),
    4,
  );
  const conv2 = model.layer('conv2') as Conv2d;
  conv2.bias!.set([0, -1000, 0, -1000, 0, 0]);
  return model;
}

describe('ascend', () => {
  it('turns a linear filter’s picture into the filter', async () => {
    const weights = noise(2 * 3 * 9 * 8, 3);
    const model = new Sequential({ conv1: convWith([2, 3, 9, 8], [...weights], [0, -1]), relu1: new ReLU() });
    const found = await ascend(model, { layer: 'conv1', input: [3, 9, 8], limit: 40, decay: 0.2, ...plain });
    for (const { map, picture, value } of found) {
      const filter = weights.slice(map * 216, (map + 1) * 216);
      expect(cosine(picture, filter)).toBeGreaterThan(0.99);
      expect(value).toBeCloseTo(
        picture.reduce((sum, pixel, i) => sum + pixel * filter[i], map === 1 ? -1 : 0),
        3,
      );
    }
  });

  it('reports exactly the maps that no image activates', async () => {
    const found = await ascend(withDeadMaps(), { layer: 'conv2', input: [3, 10, 12], steps: 30 });
    expect(standingOut(found.map(({ value }) => value)).dead).toEqual([1, 3]);
    expect(found.map(({ map }) => map)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  /** Map 0 of conv2 answers where a light bar crosses a dark one, and nowhere else: its mean over all places is always far below zero. */
  function withDetector(threshold: number) {
    const bar = (upright: boolean) =>
      Array.from({ length: 25 }, (_, i) => (Math.abs((upright ? i % 5 : Math.floor(i / 5)) - 2) < 1 ? 1 : -0.25));
    const conv1 = convWith([2, 1, 5, 5], [...bar(true), ...bar(false).map((weight) => -weight)], [-threshold, -threshold]);
    const conv2 = convWith([1, 2, 1, 1], [1, 1], [-4]);
    return new Sequential({ conv1, relu1: new ReLU(), conv2, relu2: new ReLU() });
  }

  it('finds a planted detector, which is not dead', async () => {
    const model = new Sequential({ conv1: convWith([1, 1, 5, 5], [...noise(25, 8)], [-0.7 * 25 * 0.5]), relu1: new ReLU() });
    const [found] = await ascend(model, { layer: 'conv1', input: [1, 24, 24], blur: 0 });
    expect(found.value).toBeGreaterThan(0);
    expect(standingOut([found.value]).dead).toEqual([]);
    const [deep] = await ascend(withDetector(2), { layer: 'conv2', input: [1, 24, 24] });
    expect(deep).toMatchObject({ start: 'noise' });
    expect(deep.value).toBeGreaterThan(0);
  });

  it('starts from a real image where noise finds nothing, and then is at least as strong as that image', async () => {
    // No noise brings the first layer above its threshold, so no gradient arrives below the second.
    const model = withDetector(9.5);
    const image = Float32Array.from({ length: 576 }, (_, i) => (i % 24 === 12 ? 1 : -1));
    (model.layer('conv2') as Conv2d).bias!.set([-0.25]);
    const options: AscentOptions = { layer: 'conv2', input: [1, 24, 24], steps: 20 };
    expect((await ascend(model, options))[0].value).toBe(0);
    const real = 5 + 20 * 0.25 - 9.5 - 0.25;
    const [found] = await ascend(model, { ...options, goals: { 0: real }, imageOf: async () => image });
    expect(found.start).toBe('image');
    expect(found.value).toBeGreaterThanOrEqual(real - 1e-5);
  });

  it('maximises the strongest position of a map, not its mean', async () => {
    // One filter on inputs of one pixel: the maximum is 1 for a single light pixel, and the gradient reaches that pixel alone.
    const model = new Sequential({ conv1: convWith([1, 1, 1, 1], [1], [-0.5]), relu1: new ReLU() });
    const [{ picture, value }] = await ascend(model, { layer: 'conv1', input: [1, 6, 6], ...plain, decay: 0.02 });
    expect(value).toBeCloseTo(0.5, 5);
    expect(picture.filter((pixel) => pixel > 0.9)).toHaveLength(1);
  });

  it('reaches higher activations with more steps', async () => {
    const answers = [];
    for (const steps of [1, 10, 60]) {
      const [{ value }] = await ascend(withDeadMaps(), { layer: 'conv2', maps: [4], input: [3, 10, 12], ...plain, steps });
      answers.push(value);
    }
    expect(answers[1]).toBeGreaterThan(2 * answers[0]);
    expect(answers[2]).toBeGreaterThan(answers[1]);
  });

  it('gives a map the same picture whichever maps run with it, and another one for another seed', async () => {
    const options: AscentOptions = { layer: 'conv2', input: [3, 10, 12], steps: 12 };
    const all = await ascend(withDeadMaps(), { ...options, batchSize: 4 });
    const [alone] = await ascend(withDeadMaps(), { ...options, maps: [2], batchSize: 1 });
    expect(alone.value).toBe(all[2].value);
    expect([...alone.picture]).toEqual([...all[2].picture]);
    const [other] = await ascend(withDeadMaps(), { ...options, maps: [2], seed: 1 });
    expect(cosine(other.picture, alone.picture)).toBeLessThan(0.99);
  });

  it('keeps pixels within the limit, and removes fine noise by blurring', async () => {
    const roughness = async (blur: number) => {
      const [{ picture }] = await ascend(withDeadMaps(), {
        layer: 'conv2',
        maps: [0],
        input: [3, 10, 12],
        steps: 40,
        limit: 0.5,
        blur,
        jitter: 2,
      });
      expect(Math.max(...picture.map(Math.abs))).toBeLessThanOrEqual(0.5);
      let [rough, all] = [0, 0];
      for (let i = 1; i < picture.length; i++) {
        if (i % 12 > 0) rough += (picture[i] - picture[i - 1]) ** 2;
        all += picture[i] ** 2;
      }
      return rough / all;
    };
    expect(await roughness(1.5)).toBeLessThan(0.7 * (await roughness(0)));
  });

  it('frees its memory, restores the mode of the model, and stops on an abort signal', async () => {
    const model = withDeadMaps().train();
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const controller = new AbortController();
    const done: number[] = [];
    await ascend(model, {
      layer: 'conv2',
      maps: [0, 1, 2],
      batchSize: 2,
      input: [3, 10, 12],
      steps: 2,
      starts: 1,
      onProgress: (n) => done.push(n),
    });
    expect(done).toEqual([2, 4, 5, 6]);
    expect(memory().bytes).toBe(before);
    expect(model.training).toBe(true);
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
    controller.abort(new Error('enough'));
    await expect(ascend(model, { layer: 'conv2', input: [3, 10, 12], signal: controller.signal })).rejects.toThrow('enough');
    await expect(ascend(model, { layer: 'conv2', input: [3, 10, 12], maps: [6] })).rejects.toThrow(/map is 6, layer conv2 has maps 0 to 5/);
  });
});
