/**
 * Hashes of a few scenes, so that an accidental change of the data set is noticed. They are rendered from hand-made pictures: the
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
    ['train', 0, 32, 0, 'd609bfa39a48b14e'],
    ['train', 11_999, 64, 0, '5fc326520bbbc0c1'],
    ['val', 7, 96, 0, '08f991973cedeeff'],
    ['unseen-style', 1_000, 48, 0, 'f16a46b229cc2f97'],
    ['train', 0, 224, 12_345, '3b30dc4363f48a41'],
    ['val', 3, 33, 2 ** 52 + 1, 'da907dd983120d93'],
  ])('%s/%i at %i pixels with seed %i', async (split, index, imageSize, seed, expected) => {
    expect(await hashOf(split, index, imageSize, seed)).toBe(expected);
  });

  it('keep their labels', () => {
    expect([...scenesFrom(assets).splits.train.labels.subarray(0, 24)]).toEqual([
      17, 11, 19, 10, 4, 20, 8, 13, 18, 6, 21, 14, 2, 12, 5, 7, 16, 22, 1, 15, 0, 23, 3, 9,
    ]);
  });

  it('have a fingerprint that changes with any of the pictures', () => {
    const { sprites, photographs } = assets;
    const prints = new Set([scenesFrom(assets).fingerprint]);
    prints.add(scenesFrom({ sprites, photographs: { ...photographs, 'march-pastoral': photographs['black-canyon'] } }).fingerprint);
    prints.add(scenesFrom({ sprites: { ...sprites, noto: { ...sprites.noto, panda: sprites.twemoji.panda } }, photographs }).fingerprint);
    expect(prints.size).toBe(3);
  });
});
