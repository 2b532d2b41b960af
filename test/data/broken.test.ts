/** Unreadable images: found at opening, skipped and named; or, if only headers are checked, named when they are read. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { batches, type DataError, type OpenProgress, openDataset } from '../../src/data/index.js';
import { failure, namesOf, noisy, plain, RED, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();
const jpeg = (seed: number) => noisy(16, 16, seed).jpeg().toBuffer();

/** The first part of a tall JPEG: so much of it that only rows far below the middle square are missing. */
async function truncated(share: number): Promise<Uint8Array> {
  const whole = await noisy(20, 200, 3).jpeg().toBuffer();
  return whole.subarray(0, Math.floor(whole.length * share));
}

describe('decoding every image at opening', () => {
  it('skips truncated files, empty files and files that are not images, and names them', async () => {
    const folder = await tree(join(root, 'some'), {
      'cat/1.jpg': jpeg(1),
      'cat/2.jpg': jpeg(2),
      'cat/half.jpg': truncated(0.5),
      'dog/1.jpg': jpeg(3),
      'dog/2.jpg': jpeg(4),
      'dog/end-missing.jpg': truncated(0.97),
      'dog/words.jpg': text('these are words'),
      'dog/empty.png': new Uint8Array(0),
    });
    const { splits, warnings } = await openDataset(folder);
    const names = [...(await namesOf(splits.train)), ...(await namesOf(splits.val))].sort();
    expect(names).toEqual(['cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg', 'dog/2.jpg']);
    expect(warnings).toHaveLength(4);
    for (const [i, name] of ['cat/half.jpg', 'dog/empty.png', 'dog/end-missing.jpg', 'dog/words.jpg'].entries()) {
      expect(warnings[i]).toMatch(/: cannot be read as an image; skipped$/);
      expect(warnings[i]).toContain(`${join(folder, name)} (`);
    }
  });

  it('names the first five broken images and counts all of them', async () => {
    const bad = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`cat/bad${i}.jpg`, text(`no image ${i}`)]));
    const folder = await tree(join(root, 'many'), {
      'cat/1.jpg': jpeg(1),
      'cat/2.jpg': jpeg(2),
      'dog/1.jpg': jpeg(3),
      'dog/2.jpg': jpeg(4),
      ...bad,
    });
    const { warnings } = await openDataset(folder);
    expect(warnings).toHaveLength(6);
    expect(warnings[4]).toContain('bad4.jpg');
    expect(warnings[5]).toBe(`${folder}: 7 images in all cannot be read and are skipped`);
  });

  it('throws if no image can be read, or only images of one class', async () => {
    const none = await tree(join(root, 'none'), { 'cat/1.jpg': text('no'), 'dog/1.jpg': text('nor this') });
    expect((await failure(openDataset(none))).message).toContain(`${none}: no image in it can be read`);
    const one = await tree(join(root, 'one'), { 'cat/1.jpg': text('no'), 'dog/1.jpg': jpeg(1), 'dog/2.jpg': jpeg(2) });
    expect((await failure(openDataset(one))).message).toContain(`${one}: has images of one class only, dog;`);
  });

  it('reports progress', async () => {
    const folder = await tree(join(root, 'progress'), { 'cat/1.jpg': jpeg(1), 'cat/2.jpg': jpeg(2), 'dog/1.jpg': jpeg(3) });
    const seen: OpenProgress[] = [];
    await openDataset(folder, { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { phase: 'listing', done: 2, total: 0 },
      { phase: 'listing', done: 3, total: 0 },
      ...[1, 2, 3].map((done) => ({ phase: 'checking', done, total: 3 })),
    ]);
  });
});

describe('reading headers alone at opening', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await tree(join(root, 'headers'), {
      'train/cat/1.png': plain(RED),
      'train/cat/half.jpg': truncated(0.5),
      'train/cat/words.jpg': text('these are words'),
      'train/dog/1.jpg': jpeg(3),
      'val/dog/1.jpg': jpeg(4),
      'val/cat/1.jpg': jpeg(5),
    });
  });
  const open = () => openDataset(folder, { verify: 'headers', imageSize: 8 });

  it('skips files without an image header and keeps truncated ones', async () => {
    const { splits, warnings } = await open();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(join(folder, 'train/cat/words.jpg'));
    expect([...splits.train.labels]).toEqual([0, 0, 1]);
  });

  it('throws an error that names the broken file when that file is read', async () => {
    const { splits } = await open();
    const error = await failure(splits.train.get(1));
    expect(error.message).toContain(`${join(folder, 'train/cat/half.jpg')}: cannot be read as an image: `);
    expect(error.file).toBe(join(folder, 'train/cat/half.jpg'));
    expect((await splits.train.get(2)).name).toBe('train/dog/1.jpg');
  });

  it('lets the loader omit the broken file, or throw the error', async () => {
    const { splits } = await open();
    const broken: DataError[] = [];
    const names: string[][] = [];
    for await (const batch of batches(splits.train, { batchSize: 2, onBroken: (error) => broken.push(error) })) {
      names.push(batch.map((example) => example.name));
    }
    expect(names).toEqual([['train/cat/1.png'], ['train/dog/1.jpg']]);
    expect(broken.map((error) => error.file)).toEqual([join(folder, 'train/cat/half.jpg')]);
    expect((await failure(batches(splits.train, { batchSize: 2 }).next())).file).toBe(join(folder, 'train/cat/half.jpg'));
  });
});
