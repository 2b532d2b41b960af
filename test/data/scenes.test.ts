/** `scenes`, rendered from the installed packages: its splits, the parameters that an item depends on, and the content of every image. */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Example,
  loadSceneAssets,
  type OpenOptions,
  openDataset,
  renderScene,
  SCENE_CLASSES,
  SCENE_PHOTOGRAPHS,
  SCENE_SPLITS,
  SCENE_STYLES,
  type SceneAssets,
  type Split,
} from '../../src/data/index.js';
import { everything, failure, farthest, pixel } from './support.js';

const NAMES = ['train', 'val', 'unseen-style'] as const;
let assets: SceneAssets;
beforeAll(async () => {
  assets = await loadSceneAssets();
});

/** No cache, so that every `get` renders. */
const open = (options: OpenOptions = {}) => openDataset('scenes', { cacheBytes: 0, imageSize: 32, ...options });
const sizes = (train: number, val = train, unseen = val) => ({ train, val, 'unseen-style': unseen });

describe('the data set', () => {
  it('has the documented splits, sizes, classes and credits', async () => {
    const { name, classes, channels, imageSize, splits, credits, warnings } = await openDataset('scenes');
    expect([name, channels, imageSize, warnings]).toEqual(['scenes', 3, [96, 96], []]);
    expect(classes.join(' ')).toBe(
      'dog-face cat-face panda frog tiger-face chicken tropical-fish butterfly sunflower red-apple pizza automobile bicycle airplane ' +
        'alarm-clock keyboard soccer-ball guitar umbrella house mushroom rocket watch sailboat',
    );
    expect(NAMES.map((split) => splits[split].length)).toEqual([12_000, 1_920, 1_920]);
    expect(credits).toHaveLength(SCENE_STYLES.length + SCENE_PHOTOGRAPHS.length);
    for (const { license, url, author } of credits) {
      expect(license).toMatch(/^(CC-BY-4\.0|CC-BY-SA-4\.0|CC0-1\.0|MIT|Apache-2\.0)$/);
      expect(url).toMatch(/^https?:\/\//);
      expect(author.length).toBeGreaterThan(3);
    }
  });

  it('has balanced classes at any length', async () => {
    const { splits } = await open({ seed: 5, sizes: sizes(1000) });
    for (const name of NAMES) {
      const counts = new Map<number, number>();
      for (const label of splits[name].labels) counts.set(label, (counts.get(label) ?? 0) + 1);
      expect(counts.size).toBe(24);
      for (const count of counts.values()) expect([41, 42]).toContain(count);
    }
    const orders = Array.from({ length: 40 }, (_, i) => String(splits.train.labels.subarray(24 * i, 24 * i + 24)));
    expect(new Set(orders).size).toBe(40);
  });

  it('uses every photograph and every style of a split, and no others', async () => {
    const { splits } = await open({ imageSize: 16, sizes: sizes(150) });
    const seen = Object.fromEntries(
      await Promise.all(
        NAMES.map(async (name) => {
          const details = (await everything(splits[name])).map((example) => example.details!);
          return [name, { styles: new Set(details.map((d) => d.style)), photographs: new Set(details.map((d) => d.photograph)) }] as const;
        }),
      ),
    );
    for (const name of NAMES) {
      expect([...seen[name].styles].sort()).toEqual([...SCENE_SPLITS[name].styles].sort());
      expect([...seen[name].photographs].sort()).toEqual([...SCENE_SPLITS[name].photographs].sort());
    }
    const { train, val } = seen;
    const unseen = seen['unseen-style'];
    expect([train.photographs.size, val.photographs.size, unseen.photographs.size]).toEqual([6, 3, 3]);
    expect([train.styles.size, val.styles.size, unseen.styles.size]).toEqual([3, 3, 1]);
    for (const photograph of [...val.photographs, ...unseen.photographs]) expect(train.photographs).not.toContain(photograph);
    for (const style of unseen.styles) expect(train.styles).not.toContain(style);
  });
});

describe('an item', () => {
  const bytes = (examples: readonly Example[]) =>
    examples.map(({ image, details, label }) => [...image.data, JSON.stringify(details), label].join());

  it('has the same bytes whatever was read before, and for any length of its split', async () => {
    const first = bytes(await everything((await open({ seed: 3, sizes: sizes(30) })).splits.val));
    const { splits } = await open({ seed: 3, sizes: sizes(100, 77) });
    const backwards: Example[] = [];
    for (let index = 29; index >= 0; index--) {
      await splits.train.get(index);
      backwards.unshift(await splits.val.get(index));
    }
    expect(bytes(backwards)).toEqual(first);
    expect(bytes([await splits.val.get(11)])[0]).toBe(first[11]);
  });

  it('differs with the seed, the split and the index', async () => {
    const drawn: string[] = [];
    for (const seed of [0, 1, 2 ** 40]) {
      const { splits } = await open({ seed, sizes: sizes(12) });
      for (const name of NAMES) drawn.push(...bytes(await everything(splits[name])));
    }
    expect(new Set(drawn).size).toBe(3 * 3 * 12);
    const labels = await Promise.all([0, 1].map(async (seed) => String((await open({ seed })).splits.train.labels)));
    expect(labels[0]).not.toBe(labels[1]);
  });

  it('is cached while there is room', async () => {
    const { splits } = await openDataset('scenes', { imageSize: 16, cacheBytes: 2 * 16 * 16 * 3 });
    const first = await splits.train.get(0);
    expect(await splits.train.get(0)).toBe(first);
    await splits.val.get(0);
    await splits.val.get(1);
    expect(await splits.train.get(0)).not.toBe(first);
  });

  it('knows its name, its label and its class', async () => {
    const { splits, classes } = await open({ sizes: sizes(24) });
    for (const example of await everything(splits['unseen-style'])) {
      expect(example.name).toBe(`unseen-style/${example.index}`);
      expect(classes[example.label]).toBe(example.details!.class);
      expect(splits['unseen-style'].labels[example.index]).toBe(example.label);
    }
    expect((await failure(splits.val.get(24))).message).toBe(
      'scenes, val: there is no example 24; the split has 24 examples, counted from 0',
    );
  });
});

describe('an image', () => {
  it.each([64, 224])('of %i pixels can be rendered again from its details, and its box is tight around the emoji', async (imageSize) => {
    const { splits } = await open({ imageSize, sizes: sizes(30) });
    for (const split of [splits.train, splits['unseen-style']]) {
      for (const { image, details } of await everything(split)) {
        const again = renderScene(assets, details!, imageSize, { mask: true });
        expect(Buffer.compare(again.image.data, image.data)).toBe(0);
        expect(details!.box).toEqual(boxOf(again.mask!, imageSize));
        const [y0, x0, y1, x1] = details!.box;
        // At least three quarters of a side of 0.45, shrunk or cut as it may be.
        expect(Math.max(y1 - y0, x1 - x0)).toBeGreaterThan(0.33 * imageSize);
      }
    }
  });

  it('shows the same scene at 64 and at 224 pixels', async () => {
    const [small, large] = [await open({ imageSize: 64, sizes: sizes(24) }), await open({ imageSize: 224, sizes: sizes(24) })];
    expect(small.fingerprint).toBe(large.fingerprint);
    for (let index = 0; index < 24; index++) {
      const [a, b] = [await small.splits.train.get(index), await large.splits.train.get(index)];
      expect({ ...a.details, box: [] }).toEqual({ ...b.details, box: [] });
      // Thin parts, such as a stalk, are half opaque only at the larger size.
      const scaled = b.details!.box.map((edge) => (edge * 64) / 224);
      expect(farthest(a.details!.box, scaled), a.name).toBeLessThan(4);
      expect(farthest(cells(a), cells(b)), a.name).toBeLessThan(4);
    }
  });

  it('varies in every documented way', async () => {
    const { splits } = await open({ imageSize: 16, sizes: sizes(300) });
    const details = (await everything(splits.train)).map((example) => example.details!);
    const ranges = {
      scale: [0.45, 0.85],
      rotation: [-25, 25],
      hue: [-180, 180],
      saturation: [0.7, 1.4],
      brightness: [0.75, 1.25],
    } as const;
    for (const [name, [low, high]] of Object.entries(ranges)) {
      const values = details.map((d) => d[name as keyof typeof ranges]).sort((a, b) => a - b);
      expect(values[0]).toBeGreaterThanOrEqual(low);
      expect(values[299]).toBeLessThan(high);
      // Evenly: the quartiles are where they belong.
      for (const q of [1, 2, 3]) expect(Math.abs((values[75 * q] - low) / (high - low) - q / 4)).toBeLessThan(0.1);
    }
    expect(details.filter((d) => d.mirror).length).toBeGreaterThan(120);
    expect(details.filter((d) => !d.mirror).length).toBeGreaterThan(120);
    for (const axis of [0, 1]) {
      const centres = details.map((d) => d.centre[axis]);
      expect(Math.max(...centres)).toBeGreaterThan(0.65);
      expect(Math.min(...centres)).toBeLessThan(0.35);
    }
  });

  it('has a photograph behind it, which is not uniform and seldom repeated', async () => {
    const { splits } = await open({ sizes: sizes(48) });
    const corners = (await everything(splits.val)).map(({ image }) => pixel(image, 0, 0).join());
    expect(new Set(corners).size).toBeGreaterThan(40);
  });
});

describe('the emoji', () => {
  it('exist in every style, each with a picture of its own and a transparent rim', () => {
    const drawings = new Set<string>();
    for (const style of SCENE_STYLES) {
      for (const name of SCENE_CLASSES) {
        const { levels, box } = assets.sprites[style][name];
        const [{ side, rgba }] = levels;
        const opaque = rgba.reduce((sum, alpha, i) => sum + Number(i % 4 === 3 && alpha >= 128), 0);
        expect(side).toBe(256);
        expect(opaque / side ** 2, `${name} in ${style}`).toBeGreaterThan(0.08);
        // Half of the side and more (the least is 134, the house of openmoji): enough texels to be drawn sharp.
        expect(Math.max(box[2] - box[0], box[3] - box[1]), `${name} in ${style}`).toBeGreaterThan(side / 2);
        const rim = Array.from({ length: side }, (_, i) => [i, (side - 1) * side + i, i * side, i * side + side - 1]).flat();
        expect(rim.filter((texel) => rgba[4 * texel + 3] > 0)).toEqual([]);
        drawings.add(Buffer.from(levels[3].rgba).toString('base64'));
      }
    }
    expect(drawings.size).toBe(24 * 4);
  });
});

describe('invalid options of scenes', () => {
  it.each<[OpenOptions, string]>([
    [{ imageSize: 15 }, 'scenes: imageSize is 15; expected 16 pixels or more'],
    [{ sizes: { test: 5 } }, 'scenes: there is no split test; expected train, val, unseen-style'],
    [{ sizes: { val: 0 } }, 'scenes: the size of val is 0; expected a whole number from 1 to 16777216'],
    [{ sizes: { train: 2.5 } }, 'scenes: the size of train is 2.5;'],
    [{ sizes: { train: 2 ** 25 } }, 'scenes: the size of train is 33554432;'],
  ])('%o', async (options, message) => {
    expect((await failure(openDataset('scenes', options))).message).toContain(message);
  });

  it('a size that is undefined takes its default', async () => {
    const lengths = (split: Split) => split.length;
    const { splits } = await open({ sizes: { train: 10, val: undefined } });
    expect(NAMES.map((name) => lengths(splits[name]))).toEqual([10, 1_920, 1_920]);
  });
});

describe('the fingerprint', () => {
  it('changes with the seed and the lengths, but not with the image size', async () => {
    const options: OpenOptions[] = [{}, { imageSize: 64 }, { seed: 1 }, { sizes: { val: 1_919 } }, { sizes: { train: 11_999 } }];
    const prints = await Promise.all(options.map(async (changed) => (await open(changed)).fingerprint));
    expect(prints[1]).toBe(prints[0]);
    expect(new Set(prints).size).toBe(4);
  });
});

/** Tight box around the pixels that are at least half opaque. */
function boxOf(mask: Uint8Array, side: number): number[] {
  const opaque = [...mask.keys()].filter((place) => mask[place] >= 128);
  const ys = opaque.map((place) => Math.floor(place / side));
  const xs = opaque.map((place) => place % side);
  const range = (values: number[]) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [side, -1]);
  const [[y0, y1], [x0, x1]] = [range(ys), range(xs)];
  return [y0, x0, y1 + 1, x1 + 1];
}

/** Mean colours of an image in 4 × 4 cells. */
function cells({ image: { width, channels, data } }: Example): number[] {
  const sums = new Array<number>(16).fill(0);
  const cell = width / 4;
  for (const [i, value] of data.entries()) {
    const place = Math.floor(i / channels);
    sums[4 * Math.floor(place / width / cell) + Math.floor((place % width) / cell)] += value;
  }
  return sums.map((sum) => sum / (cell * cell * channels));
}
