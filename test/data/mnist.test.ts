/** `mnist`: the embedded digits are complete, upright, and divided per class. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Dataset, openDataset } from '../../src/data/index.js';

let dataset: Dataset;
beforeAll(async () => {
  dataset = await openDataset('mnist');
});

const counts = (labels: Int32Array) => labels.reduce((sums, label) => sums.with(label, sums[label] + 1), new Array<number>(10).fill(0));

describe('the embedded digits', () => {
  it('are 8,000 training images and 2,000 held-out ones, 28×28 and grey', async () => {
    const { splits, classes, channels, imageSize, name } = dataset;
    expect([splits.train.length, splits.val.length]).toEqual([8000, 2000]);
    expect([name, classes, channels, imageSize]).toEqual(['mnist', [...'0123456789'], 1, [28, 28]]);
    expect(dataset.credits[0].license).toMatch(/^CC-BY-SA/);
  });

  it('have a fifth of each class in val', () => {
    const [train, val] = [counts(dataset.splits.train.labels), counts(dataset.splits.val.labels)];
    for (let digit = 0; digit < 10; digit++) {
      expect(train[digit] + val[digit]).toBeGreaterThan(800);
      expect(Math.abs(val[digit] - (train[digit] + val[digit]) / 5)).toBeLessThanOrEqual(1);
    }
  });

  it('are white on black, use the whole range, and have a mean of about an eighth', async () => {
    for (const split of [dataset.splits.train, dataset.splits.val]) {
      let [low, high, sum, blank] = [255, 0, 0, 0];
      for (let i = 0; i < split.length; i += 7) {
        const { image } = await split.get(i);
        const ink = image.data.reduce((a, b) => a + b, 0);
        if (ink === 0) blank++;
        sum += ink / image.data.length;
        low = Math.min(low, ...image.data);
        high = Math.max(high, ...image.data);
      }
      expect([low, high, blank]).toEqual([0, 255, 0]);
      // The mean of MNIST is 0.1307 of white.
      expect(Math.abs(sum / Math.ceil(split.length / 7) / 255 - 0.1307)).toBeLessThan(0.01);
    }
  });

  it('stand upright: a 1 is high and narrow, a 7 has its bar at the top', async () => {
    const { train } = dataset.splits;
    const rows = new Float64Array(28);
    let [height, width, ones] = [0, 0, 0];
    for (let i = 0; i < train.length; i += 5) {
      if (train.labels[i] !== 1 && train.labels[i] !== 7) continue;
      const { data } = (await train.get(i)).image;
      const seen = { y: new Set<number>(), x: new Set<number>() };
      for (const [p, value] of data.entries()) {
        const [y, x] = [Math.floor(p / 28), p % 28];
        if (train.labels[i] === 7) rows[y] += value;
        else if (value > 128) {
          seen.y.add(y);
          seen.x.add(x);
        }
      }
      height += seen.y.size;
      width += seen.x.size;
      ones++;
    }
    expect(ones).toBeGreaterThan(100);
    expect(height).toBeGreaterThan(1.5 * width);
    const heaviest = rows.indexOf(Math.max(...rows));
    expect(heaviest).toBeLessThan(13);
  });
});
