/** Fingerprints: the same for the same data in any folder, different when files, labels or splits change. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addSample } from '../../src/data/files/file_bytes.js';
import { Hash } from '../../src/data/files/hash.js';
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

function changeOneByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length - 5] ^= 1;
  writeFileSync(file, bytes);
}

const fingerprint = async (folder: string, options?: OpenOptions) => (await openDataset(folder, options)).fingerprint;

describe('the fingerprint of a folder', () => {
  it('is the same for a copy in another folder, for any image size and any value of verify', async () => {
    const [here, there] = [await animals(), await animals()];
    expect(await fingerprint(here)).toMatch(/^[0-9a-f]{16}$/);
    expect(await fingerprint(there, { imageSize: 8, verify: 'headers' })).toBe(await fingerprint(here));
  });

  it.each<[string, (folder: string) => unknown]>([
    ['a file is added', (folder) => tree(folder, { 'train/cat/3.png': plain(BLUE) })],
    ['a file of val is added', (folder) => tree(folder, { 'val/cat/3.png': plain(BLUE) })],
    ['a file is another', (folder) => tree(folder, { 'train/cat/1.png': noisy(5, 5, 1).png().toBuffer() })],
    ['a file is another of the same length', (folder) => changeOneByte(join(folder, 'val/dog/1.png'))],
    ['a file changes its class', (folder) => renameSync(join(folder, 'train/cat/2.png'), join(folder, 'train/dog/3.png'))],
    ['a file goes over to val', (folder) => renameSync(join(folder, 'train/cat/2.png'), join(folder, 'val/cat/2.png'))],
    ['a file is renamed', (folder) => renameSync(join(folder, 'train/cat/2.png'), join(folder, 'train/cat/3.png'))],
  ])('changes when %s', async (_, change) => {
    const folder = await animals();
    // By headers alone: a file that cannot be decoded would be left out, and change it so.
    const before = await fingerprint(folder, { verify: 'headers' });
    await change(folder);
    expect(await fingerprint(folder, { verify: 'headers' })).not.toBe(before);
  });

  it('changes with valFraction', async () => {
    const files = Array.from({ length: 12 }, (_, i) => [`${i % 2 ? 'cat' : 'dog'}/${i}.png`, plain(RED)] as const);
    const folder = await tree(join(root, 'undivided'), Object.fromEntries(files));
    expect(await fingerprint(folder, { valFraction: 0.5 })).not.toBe(await fingerprint(folder, { valFraction: 0.2 }));
  });
});

describe('the sample of a file', () => {
  const sampled = async (bytes: Uint8Array, pieces: number) => {
    const folder = await tree(join(root, `sample${folders++}`), { file: bytes });
    const hash = new Hash();
    await addSample(hash, join(folder, 'file'), bytes.length, pieces);
    return hash.hex();
  };
  const flipped = (bytes: Uint8Array, at: number) => Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 1 : byte));

  it('contains all bytes of a short file, and of a long one the first bytes, the last and some between', async () => {
    const short = noiseBytes(2048, 1);
    for (const at of [0, 1000, 2047]) expect(await sampled(flipped(short, at), 2)).not.toBe(await sampled(short, 2));
    const long = noiseBytes(10 * 1024, 2);
    const seen = async (at: number, pieces: number) => (await sampled(flipped(long, at), pieces)) !== (await sampled(long, pieces));
    for (const [at, pieces, expected] of [
      [0, 2, true],
      [1023, 2, true],
      [1024, 2, false],
      [9 * 1024 - 1, 2, false],
      [10 * 1024 - 1, 2, true],
      [5 * 1024, 3, true],
      [3 * 1024, 3, false],
    ] as const)
      expect(await seen(at, pieces), `byte ${at}, ${pieces} pieces`).toBe(expected);
  });

  it('is empty for a missing file', async () => {
    const hash = new Hash();
    await addSample(hash, join(root, 'nothing'), 100, 2);
    expect(hash.hex()).toBe(new Hash().hex());
  });
});

describe('the hash', () => {
  it('differs for values that concatenate to the same bytes, and for any flipped bit', () => {
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
