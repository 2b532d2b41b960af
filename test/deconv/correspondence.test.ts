/** Correspondence: planted parts, which change the features of every image alike, against masks at random places. */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { signDistances, upperLayers } from '../../src/deconv/experiments/correspondence.js';
import { correspondence, type MarkedImages } from '../../src/deconv/index.js';
import { memory } from '../../src/index.js';
import { AvgPool2d, Flatten, Linear, Sequential } from '../../src/nn/index.js';
import { ShapeError, setDefaultBackend, tensor, ValueError } from '../../src/tensor/index.js';
import { zfnet } from '../../src/zfnet/index.js';
import { collectGarbage } from '../support/gc.js';
import { convWith, fillWithNoise, noise } from './support.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

const SIDE = 16;
const IMAGES = 4;

/** Noise images, each with a red spot and a blue spot at its own positions. */
function planted(seed: number): MarkedImages {
  const plane = SIDE * SIDE;
  const data = Float32Array.from(noise(IMAGES * 3 * plane, seed), (value) => 0.1 * value);
  const parts = Array.from({ length: IMAGES }, (_, n) => {
    const spot = (channel: number, y: number, x: number) => {
      for (let dy = 0; dy < 3; dy++) for (let dx = 0; dx < 3; dx++) data[(n * 3 + channel) * plane + (y + dy) * SIDE + x + dx] = 2;
      return [y, x, y + 3, x + 3] as [number, number, number, number];
    };
    return { red: spot(0, 1 + n, 2 * n), blue: spot(2, 12 - 2 * n, 12 - n) };
  });
  return { images: tensor(data, [IMAGES, 3, SIDE, SIDE]), parts };
}

/** Adds up red and blue wherever they are, and mixes the two into eight units. */
function finder(): Sequential {
  const conv = convWith([2, 3, 1, 1], [1, 0, 0, 0, 0, 1], [0, 0]);
  const fc = fillWithNoise(new Linear(2, 8), 5, 1);
  const out = fillWithNoise(new Linear(8, 3), 6, 1);
  return new Sequential({ conv, pool: new AvgPool2d(SIDE), flatten: new Flatten(), fc, out });
}

describe('planted parts', () => {
  it('change the features consistently when masked, unlike random masks', async () => {
    const model = finder();
    const groups = [planted(1), planted(2), planted(3)];
    for (const { images } of groups) expect(images.storage).toBeDefined();
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const { layers, parts, ...rest } = await correspondence(model, groups, { draws: 12 });
    expect(memory().bytes).toBe(before);
    expect(layers).toEqual(['conv', 'fc']);
    expect(rest).toEqual({ groups: [4, 4, 4], draws: 12 });
    expect(parts.map(({ part }) => part)).toEqual(['red', 'blue', 'random']);
    const [red, blue, random] = parts.map(({ delta }) => delta.fc);
    // The spot is the same in all images, and so is the effect of its absence on every unit.
    expect([red.mean, red.deviation, blue.mean]).toEqual([0, 0, 0]);
    expect(random.mean).toBeGreaterThan(0.05);
    expect(random.deviation).toBeGreaterThan(0);
  });

  it('gives the same numbers for the same seed, and others for another', async () => {
    const run = async (seed: number) => (await correspondence(finder(), [planted(1)], { draws: 3, seed })).parts[2].delta;
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  it('masks with the given grey', async () => {
    const model = new Sequential({ conv: convWith([1, 1, 1, 1], [1], [0]) });
    const images = tensor(
      Float32Array.from({ length: 18 }, (_, i) => (i < 9 ? 1 : 3)),
      [2, 1, 3, 3],
    );
    const group = { images, parts: [{ spot: [1, 1, 2, 3] }, { spot: [1, 1, 2, 3] }] as MarkedImages['parts'] };
    const spot = async (value: number) => {
      const grey = tensor(new Float32Array(9).fill(value), [1, 1, 3, 3]);
      return (await correspondence(model, [group], { layers: ['conv'], grey, draws: 1 })).parts[0].delta.conv.mean;
    };
    // Both pixels fall to 0; one image's rise to 2 while the other's fall to it.
    expect([await spot(0), await spot(2)]).toEqual([0, 2 / 9]);
  });
});

describe('the distance', () => {
  it('is the share of differing signs per pair, with zero as a sign of its own', () => {
    expect(signDistances([1, -2, 0, 5, 0, 3, 1, 7, 0], 3)).toEqual([2 / 3, 1 / 3, 2 / 3]);
    expect(signDistances([1, -2, 3, -4], 2)).toEqual([0]);
    expect(signDistances([1, -2, -3, 4], 2)).toEqual([1]);
    expect(signDistances([0, 0, -3, 4], 2)).toEqual([1]);
  });
});

describe('layers and errors:', () => {
  it('measures the last convolution and the last layer before the classes by default', () => {
    const model = zfnet('small', { classes: 3, inputSize: 28, width: 0.02, seed: 3 });
    expect(upperLayers(model)).toEqual(['conv5', 'fc7']);
  });

  const box = (part: string, ...at: [number, number, number, number]) => ({ [part]: at });
  it.each<[string, number, MarkedImages['parts'], typeof ValueError | typeof ShapeError, RegExp]>([
    ['a single image', 1, [box('eye', 0, 0, 2, 2)], ValueError, /one image, expected at least 2/],
    ['no shared part', 2, [box('eye', 0, 0, 2, 2), box('nose', 0, 0, 2, 2)], ValueError, /no part that is marked in every image/],
    ['a box outside', 2, [box('eye', 0, 0, 2, 2), box('eye', 0, 3, 2, 5)], ValueError, /the eye of image 1 is at \[0, 3, 2, 5\]/],
    ['a part called random', 2, [box('random', 0, 0, 2, 2), box('random', 0, 0, 2, 2)], ValueError, /is reserved for random masks/],
    ['lists of another length', 2, [box('eye', 0, 0, 2, 2)], ShapeError, /expected \[1, C, H, W\]/],
  ])('%s is an error', async (_, count, parts, kind, message) => {
    const images = tensor(new Float32Array(count * 48), [count, 3, 4, 4]);
    const failed = await correspondence(finder(), [{ images, parts }]).catch((error) => error);
    expect(failed).toBeInstanceOf(kind);
    expect(failed.message).toMatch(message);
  });

  it('an empty list is an error', async () => {
    await expect(correspondence(finder(), [])).rejects.toThrow(/no images/);
  });
});
