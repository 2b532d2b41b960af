/**
 * Folders as archives, file systems and other programs leave them: splits with their usual names, and content that is not training data.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onDisk, pathOf, shownPath } from '../../src/data/files/paths.js';
import { openDataset } from '../../src/data/index.js';
import { splitOfFolder } from '../../src/data/sources/split_names.js';
import { BLUE, failure, namesOf, plain, RED, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();
let folders = 0;
const place = () => join(root, `${folders++}`);
/** Two pictures of each of two classes. */
const animals = (folder: string, classes = ['cat', 'dog']) =>
  Object.fromEntries(classes.flatMap((name, i) => ['1', '2'].map((file) => [`${folder}${name}/${file}.png`, plain(i ? RED : BLUE)])));
const lengths = ({ splits }: { splits: Record<string, { length: number }> }) =>
  Object.fromEntries(Object.entries(splits).map(([name, { length }]) => [name, length]));

describe('split folders', () => {
  it.each([
    ['Training', 'Testing', { train: 4, val: 4 }],
    ['training_set', 'test_set', { train: 4, val: 4 }],
    ['Train', 'Val', { train: 4, val: 4 }],
    ['TRAIN', 'dev', { train: 4, val: 4 }],
  ])('%s and %s', async (train, other, expected) => {
    const folder = await tree(place(), { ...animals(`${train}/`), ...animals(`${other}/`) });
    const dataset = await openDataset(folder);
    expect(dataset.classes).toEqual(['cat', 'dog']);
    expect(lengths(dataset)).toEqual(expected);
  });

  it('train, valid and test become three separate splits', async () => {
    const folder = await tree(place(), { ...animals('train/'), ...animals('valid/'), ...animals('test/', ['cat']) });
    const { splits } = await openDataset(folder);
    expect([splits.train.length, splits.val.length, splits.test.length]).toEqual([4, 4, 2]);
  });

  it('may be inside a folder of the same name, as some archives unpack', async () => {
    const folder = await tree(place(), { ...animals('training_set/training_set/'), ...animals('test_set/test_set/') });
    expect(lengths(await openDataset(folder))).toEqual({ train: 4, val: 4 });
  });

  it('named test without class folders are skipped with a warning', async () => {
    const folder = await tree(place(), { ...animals('train/'), 'test/1.png': plain(RED) });
    const dataset = await openDataset(folder);
    expect(lengths(dataset)).toEqual({ train: 2, val: 2 });
    expect(dataset.warnings).toEqual([`${join(folder, 'test')}: 1 images without class folders, which have no labels, are left out`]);
  });

  it('may be classes named train or test, with a warning', async () => {
    const folder = await tree(place(), animals('', ['bus', 'test', 'train']));
    const { classes, warnings } = await openDataset(folder);
    expect(classes).toEqual(['bus', 'test', 'train']);
    expect(warnings[0]).toContain('test, train are taken for classes, though their names look like a split');
  });

  it('are recognised by name only if the whole name stands for a split', () => {
    for (const [name, split] of Object.entries({
      train: 'train',
      val2017: 'val',
      'test-images': 'test',
      trainset: 'train',
      evaluation: 'test',
    }))
      expect(splitOfFolder(name)).toBe(split);
    for (const name of ['trainer', 'my train', 'contest', 'set', 'valley']) expect(splitOfFolder(name)).toBeUndefined();
  });
});

describe('a source that is not divided', () => {
  it('becomes one split, which may have a single class', async () => {
    const folder = await tree(place(), animals(''));
    const dataset = await openDataset(folder, { divide: false });
    expect(lengths(dataset)).toEqual({ all: 4 });
    expect([...dataset.splits.all.labels]).toEqual([0, 0, 1, 1]);
    const one = await tree(place(), animals('', ['cat']));
    expect(lengths(await openDataset(one, { divide: false }))).toEqual({ all: 2 });
    expect((await failure(openDataset(one))).message).toContain('one class only');
    const test = await tree(place(), animals('test/'));
    expect(lengths(await openDataset(test, { divide: false }))).toEqual({ test: 4 });
    expect(lengths(await openDataset(test))).toEqual({ train: 2, val: 2 });
  });
});

describe('content that is not training data', () => {
  it('is skipped: folders and files of file systems, and run folders, which are counted', async () => {
    const folder = await tree(place(), {
      ...animals(''),
      '@eaDir/1.png/thumb.jpg': plain(RED),
      '__MACOSX/cat/1.png': plain(RED),
      'lost+found/1.png': plain(RED),
      '.thumbnails/1.png': plain(RED),
      'cat/Thumbs.db': text('x'),
      'cat/desktop.ini': text('x'),
      'cat/@eaDir/1.png': plain(RED),
      'run/config.json': text(JSON.stringify({ version: 1, architecture: {}, data: {} })),
      'run/report/1.png': plain(RED),
      'dog/config.json': text('{"not": "a run"}'),
    });
    const { classes, splits, warnings } = await openDataset(folder);
    expect(classes).toEqual(['cat', 'dog']);
    expect(splits.train.length + splits.val.length).toBe(4);
    expect(warnings).toEqual([`${folder}: left out: 1 folder of a training run (run)`]);
  });

  it('is counted in one warning, by ending and kind, and a named pipe is not waited for', async () => {
    const folder = await tree(place(), {
      ...animals(''),
      'cat/a.bmp': text('BM'),
      'cat/b.BMP': text('BM'),
      'dog/c.heic': text('x'),
      'dog/noending': text('x'),
      'dog/words.txt': text('x'),
      'dog/d.jfif': plain(RED),
      'dog/e.jpe': plain(RED),
    });
    execFileSync('mkfifo', [join(folder, 'cat/pipe.jpg')]);
    mkdirSync(join(folder, 'cat/folder.jpg'));
    symlinkSync(join(folder, 'cat/loop.txt'), join(folder, 'cat/loop.txt'));
    const { splits, warnings } = await openDataset(folder);
    expect(splits.train.length + splits.val.length).toBe(6);
    expect(warnings).toEqual([
      `${folder}: left out: 4 files that are not read as images (2 .bmp, 1 without an ending, 1 .heic; convert pictures among them to JPEG or PNG); 1 named pipe (cat/pipe.jpg)`,
    ]);
  });
});

describe('names of classes', () => {
  it('are the same in both Unicode forms, between splits and within one', async () => {
    const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
    const folder = await tree(place(), { ...animals('train/', [composed, 'the']), ...animals('val/', [decomposed, 'the']) });
    const dataset = await openDataset(folder);
    expect(dataset.classes).toEqual([composed, 'the']);
    expect([...dataset.splits.val.labels].sort()).toEqual([0, 0, 1, 1]);
    const twice = await tree(place(), animals('', [composed, decomposed]));
    expect((await failure(openDataset(twice))).message).toMatch(
      /has two folders for the class café, whose names differ only in their Unicode form/,
    );
  });

  it('that are not UTF-8 are shown escaped, and their images are used', async () => {
    const folder = await tree(place(), animals('', ['dog']));
    const latin = Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9])]);
    mkdirSync(latin);
    for (const name of ['1', '2']) writeFileSync(Buffer.concat([latin, Buffer.from(`/${name}.png`)]), await plain(RED));
    for (const verify of ['all', 'headers'] as const) {
      const dataset = await openDataset(folder, { verify });
      expect(dataset.warnings).toEqual([]);
      expect(dataset.classes).toEqual(['caf\\xe9', 'dog']);
      const names = [...(await namesOf(dataset.splits.train)), ...(await namesOf(dataset.splits.val))].sort();
      expect(names.slice(0, 2)).toEqual(['caf\\xe9/1.png', 'caf\\xe9/2.png']);
    }
  });

  it('that are not UTF-8 survive the conversion to text and back', () => {
    for (const bytes of [[0xe9], [0x61, 0xc3, 0xa9, 0xff], [0xf0, 0x9f, 0x98, 0x80, 0x80], [0xed, 0xb2, 0x80], [0xc3]]) {
      expect([...Buffer.from(onDisk(pathOf(Uint8Array.from(bytes))))]).toEqual(bytes);
      expect(shownPath(pathOf(Uint8Array.from(bytes)))).not.toMatch(/[\udc80-\udcff](?<![\ud800-\udbff].)/);
    }
  });
});
