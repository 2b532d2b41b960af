/**
 * Hashes of a few scenes, so that an accidental change of the data set is noticed. They are drawn from hand-made pictures: the
 * real data set depends, besides, on the pinned emoji and photograph packages and on the renderer that rasterises them.
 * If one changes on purpose, raise the version in `src/data/scenes/index.ts`.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { scenesFrom } from '../../src/data/scenes/index.js';
import { drawnAssets } from './drawn_assets.js';

const assets = drawnAssets();

async function hashOf(split: string, index: number, imageSize: number, seed: number): Promise<string> {
  const { image, label, details } = await scenesFrom(assets, { imageSize, seed }).splits[split].get(index);
  const hash = createHash('sha256')
    .update(image.data)
    .update(JSON.stringify([label, details]));
  return hash.digest('hex').slice(0, 16);
}

describe('scenes from hand-made pictures', () => {
  it.each([
    ['train', 0, 32, 0, ''],
    ['train', 11_999, 64, 0, ''],
    ['val', 7, 96, 0, ''],
    ['unseen-style', 1_000, 48, 0, ''],
    ['train', 0, 224, 12_345, ''],
    ['val', 3, 33, 2 ** 52 + 1, ''],
  ])('%s/%i at %i pixels with seed %i', async (split, index, imageSize, seed, expected) => {
    expect(await hashOf(split, index, imageSize, seed)).toBe(expected);
  });

  it('keep their labels', () => {
    expect([...scenesFrom(assets).splits.train.labels.subarray(0, 24)]).toEqual([]);
  });

  it('have a fingerprint that changes with any of the pictures', () => {
    const prints = new Set([scenesFrom(assets).fingerprint, scenesFrom(drawnAssets()).fingerprint]);
    expect(prints.size).toBe(1);
    const { sprites, photographs } = drawnAssets();
    prints.add(scenesFrom({ sprites, photographs: { ...photographs, 'march-pastoral': photographs['black-canyon'] } }).fingerprint);
    prints.add(scenesFrom({ sprites: { ...sprites, noto: { ...sprites.noto, panda: sprites.twemoji.panda } }, photographs }).fingerprint);
    expect(prints.size).toBe(3);
  });
});
