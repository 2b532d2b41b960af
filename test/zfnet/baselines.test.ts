/**
 * The baselines that networks are compared with: the nearest neighbour in pixels against a loop over all pairs, and a linear classifier.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import type { Example, Split } from '../../src/data/index.js';
import { memory } from '../../src/index.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { linearOnPixels, nearestNeighbour } from '../../src/zfnet/index.js';
import { noise, noiseSplit } from '../deconv/support.js';
import { collectGarbage } from '../support/gc.js';

beforeAll(() => setDefaultBackend(createReferenceBackend()));

async function examples(split: Split): Promise<Example[]> {
  return Promise.all(Array.from({ length: split.length }, (_, i) => split.get(i)));
}

/** Means of 2 × 2 pixels of an image of 8 × 8. */
function halved({ image }: Example): number[] {
  const at = (y: number, x: number, c: number) => image.data[(y * 8 + x) * 3 + c];
  return Array.from({ length: 48 }, (_, i) => {
    const [y, x, c] = [2 * Math.floor(i / 12), 2 * (Math.floor(i / 3) % 4), i % 3];
    return (at(y, x, c) + at(y, x + 1, c) + at(y + 1, x, c) + at(y + 1, x + 1, c)) / 4;
  });
}

async function naive(train: Split, test: Split, features: (example: Example) => ArrayLike<number>): Promise<number> {
  const known = (await examples(train)).map((example) => ({ label: example.label, values: features(example) }));
  let wrong = 0;
  for (const example of await examples(test)) {
    const own = Array.from(features(example));
    const distances = known.map(({ values }) => own.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0));
    if (known[distances.indexOf(Math.min(...distances))].label !== example.label) wrong++;
  }
  return wrong / test.length;
}

describe('nearestNeighbour', () => {
  const train = noiseSplit(40, 8, 8, 1);
  const tests = [noiseSplit(25, 8, 8, 2), noiseSplit(10, 8, 8, 3)];

  it('equals a loop over all pairs, on pixels and on blocks of pixels', async () => {
    const pixels = await nearestNeighbour(train, tests, { side: 8, batchSize: 7 });
    expect(pixels).toEqual([
      await naive(train, tests[0], ({ image }) => image.data),
      await naive(train, tests[1], ({ image }) => image.data),
    ]);
    const blocks = await nearestNeighbour(train, tests, { side: 4 });
    expect(blocks).toEqual([await naive(train, tests[0], halved), await naive(train, tests[1], halved)]);
    expect(Math.min(...pixels, ...blocks)).toBeGreaterThan(0.2); // The nearest neighbour of noise is random.
  });

  it('has no errors on its training images, and frees its memory', async () => {
    await collectGarbage(); // Otherwise tensors of earlier tests would be freed in between.
    const before = memory().bytes;
    const seen: number[] = [];
    expect(await nearestNeighbour(train, [train], { side: 8, onProgress: (done) => seen.push(done) })).toEqual([0]);
    expect(seen.at(-1)).toBe(80);
    expect(memory().bytes).toBe(before);
  });
});

describe('linearOnPixels', () => {
  /** Grey images of 8 × 8 pixels with noise, whose brightness on the left depends on the class. */
  function sided(length: number, seed: number, strength: number): Split {
    const examples = Array.from({ length }, (_, index): Example => {
      const label = index % 2;
      const shift = (x: number) => (label === (x < 4 ? 0 : 1) ? strength : -strength);
      const data = Uint8Array.from(noise(64, seed * 1000 + index), (value, i) => Math.round(128 + 60 * value + shift(i % 8)));
      return { image: { width: 8, height: 8, channels: 1, data }, label, index, name: `${index}` };
    });
    return { length, labels: Int32Array.from(examples, ({ label }) => label), get: async (index) => examples[index] };
  }

  it('learns classes that are a linear function of the pixels, and no others', async () => {
    await collectGarbage(); // Tensors that earlier tests left behind would be freed in between.
    const before = memory().bytes;
    const seen: number[] = [];
    const [known, fresh, none] = await linearOnPixels(sided(60, 1, 20), [sided(60, 1, 20), sided(60, 2, 20), sided(60, 3, 0)], 2, {
      onProgress: (done, total) => seen.push(done / total),
    });
    expect(known).toEqual({ top1Error: 0, top5Error: 0 });
    expect(fresh.top1Error).toBeLessThan(0.1);
    expect(none.top1Error).toBeGreaterThan(0.3); // This part does not depend on the class.
    expect(seen.at(-1)).toBe(1);
    expect(memory().bytes).toBe(before);
  });

  it('gives the same errors when repeated', async () => {
    const errors = () => linearOnPixels(noiseSplit(40, 8, 8, 1), [noiseSplit(25, 8, 8, 2)], 3);
    const [first, second] = [await errors(), await errors()];
    expect(second).toEqual(first);
    expect(first[0].top1Error).toBeGreaterThan(0.3);
    expect(first[0].top5Error).toBe(0);
  });
});
