/** The cache of decoded images: what it contains, what it evicts first, and that it stays within its limit. */
import { describe, expect, it } from 'vitest';
import { ByteCache } from '../../src/data/files/cache.js';
import { type OpenOptions, openDataset } from '../../src/data/index.js';
import { BLUE, plain, RED, temporaryFolder, tree } from './support.js';

describe('a cache of bytes', () => {
  it('evicts the least recently used entries, no more than necessary', () => {
    const cache = new ByteCache<string>(100);
    cache.set('a', 'A', 40);
    cache.set('b', 'B', 30);
    cache.set('c', 'C', 30);
    expect(cache.get('a')).toBe('A');
    cache.set('d', 'D', 35);
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual(['A', undefined, undefined, 'D']);
    expect(cache.bytes).toBe(75);
  });

  it('does not cache a value larger than its limit, and evicts nothing for it', () => {
    const cache = new ByteCache<string>(100);
    cache.set('a', 'A', 60);
    cache.set('huge', 'H', 101);
    expect([cache.get('a'), cache.get('huge'), cache.bytes]).toEqual(['A', undefined, 60]);
  });

  it('counts a replaced value only once', () => {
    const cache = new ByteCache<string>(100);
    cache.set('a', 'A', 60);
    cache.set('b', 'B', 30);
    cache.set('a', 'A2', 70);
    expect([cache.get('a'), cache.get('b'), cache.bytes]).toEqual(['A2', 'B', 100]);
  });

  it('never exceeds its limit', () => {
    const cache = new ByteCache<number>(1000);
    let kept = 0;
    for (let i = 0; i < 500; i++) {
      cache.set(`${(i * 7919) % 61}`, i, 1 + ((i * 104729) % 400));
      if (i % 3 === 0) kept += cache.get(`${(i * 31) % 61}`) === undefined ? 0 : 1;
      expect(cache.bytes).toBeLessThanOrEqual(1000);
    }
    expect(kept).toBeGreaterThan(0);
  });
});

describe('a data set', () => {
  const root = temporaryFolder();
  /** Four train images of 6×5×3 = 90 bytes. */
  const open = async (cacheBytes: number | undefined) => {
    await tree(root, {
      ...Object.fromEntries(['a', 'b'].flatMap((name) => [1, 2].map((i) => [`train/${name}/${i}.png`, plain(name === 'a' ? RED : BLUE)]))),
      'val/a/1.png': plain(RED),
      'val/b/1.png': plain(BLUE),
    });
    return (await openDataset(root, { cacheBytes })).splits;
  };

  it('caches the most recently used images of both splits and decodes the others again', async () => {
    const { train, val } = await open(200);
    const first = await train.get(0);
    const held = await val.get(0);
    expect(await train.get(0)).toBe(first);
    await train.get(3);
    expect(await train.get(0)).toBe(first);
    const again = await val.get(0);
    expect(again).not.toBe(held);
    expect(again).toEqual(held);
  });

  it('caches all images of a small set by default, and none with a limit of 0 bytes', async () => {
    const kept = (await open(undefined)).train;
    const examples = [await kept.get(0), await kept.get(1), await kept.get(2), await kept.get(3)];
    for (const [i, example] of examples.entries()) expect(await kept.get(i)).toBe(example);
    const none = (await open(0)).train;
    expect(await none.get(0)).not.toBe(await none.get(0));
  });

  it('caches resized images of data sets that are in memory', async () => {
    const open = async (options: OpenOptions) => (await openDataset('mnist', options)).splits;
    const resized = await open({ imageSize: 32 });
    expect(await resized.train.get(7)).toBe(await resized.train.get(7));
    expect((await resized.train.get(7)).image.data).not.toEqual((await resized.val.get(7)).image.data);
    const none = (await open({ imageSize: 32, cacheBytes: 0 })).train;
    expect(await none.get(7)).not.toBe(await none.get(7));
    expect(await none.get(7)).toEqual(await resized.train.get(7));
  });
});
