/** Fingerprints: the same for the same data wherever it lies, another when files, labels or splits change. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Hash } from '../../src/data/hash.js';
import { type OpenOptions, openDataset } from '../../src/data/index.js';
import { BLUE, GREEN, noiseBytes, noisy, plain, RED, temporaryFolder, tree } from './support.js';

const root = temporaryFolder();
let folders = 0;

async function animals(): Promise<string> {
  return tree(join(root, `copy${folders++}`), {
    'train/cat/1.png': plain(RED),
    'train/cat/2.png': plain(GREEN),
    'train/dog/1.png': plain(BLUE),
    'train/dog/2.png': plain(RED),
    'val/cat/1.png': plain(RED),
    'val/dog/1.png': plain(BLUE),
  });
}

const fingerprint = async (folder: string, options?: OpenOptions) => (await openDataset(folder, options)).fingerprint;

describe('the fingerprint of a folder', () => {
  it('is the same for a copy elsewhere, at any size, however it is verified', async () => {
    const [here, there] = [await animals(), await animals()];
    expect(await fingerprint(here)).toMatch(/^[0-9a-f]{16}$/);
    expect(await fingerprint(there, { imageSize: 8, verify: 'headers' })).toBe(await fingerprint(here));
  });

  it.each<[string, (folder: string) => unknown]>([
    ['a file is added', (folder) => tree(folder, { 'train/cat/3.png': plain(BLUE) })],
    ['a file of val is added', (folder) => tree(folder, { 'val/cat/3.png': plain(BLUE) })],
    ['a file is another', (folder) => tree(folder, { 'train/cat/1.png': noisy(5, 5, 1).png().toBuffer() })],
    ['a file changes its class', (folder) => renameSync(join(folder, 'train/cat/2.png'), join(folder, 'train/dog/3.png'))],
    ['a file goes over to val', (folder) => renameSync(join(folder, 'train/cat/2.png'), join(folder, 'val/cat/2.png'))],
    ['a file is renamed', (folder) => renameSync(join(folder, 'train/cat/2.png'), join(folder, 'train/cat/3.png'))],
  ])('changes when %s', async (_, change) => {
    const folder = await animals();
    const before = await fingerprint(folder);
    await change(folder);
    expect(await fingerprint(folder)).not.toBe(before);
  });

  it('changes with the share that is held out', async () => {
    const files = Array.from({ length: 12 }, (_, i) => [`${i % 2 ? 'cat' : 'dog'}/${i}.png`, plain(RED)] as const);
    const folder = await tree(join(root, 'undivided'), Object.fromEntries(files));
    expect(await fingerprint(folder, { valFraction: 0.5 })).not.toBe(await fingerprint(folder, { valFraction: 0.2 }));
  });
});

describe('the hash below it', () => {
  it('tells apart what runs together, and any flipped bit', () => {
    expect(new Hash().add('ab').add('c').hex()).not.toBe(new Hash().add('a').add('bc').hex());
    expect(new Hash().add(1).add(23).hex()).not.toBe(new Hash().add(12).add(3).hex());
    const bytes = noiseBytes(32, 9);
    const seen = new Set([new Hash().add(bytes).hex()]);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] ^= 1 << (bit & 7);
      seen.add(new Hash().add(flipped).hex());
    }
    expect(seen.size).toBe(257);
  });

  it('spreads similar paths evenly over its range', () => {
    const counts = new Array(16).fill(0);
    for (let i = 0; i < 4096; i++) counts[new Hash().add(`class/${i}.png`).word() >>> 28]++;
    for (const count of counts) expect(Math.abs(count - 256)).toBeLessThan(80);
  });
});
