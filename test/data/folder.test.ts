/** Folders of class folders: which file becomes which example of which split, and the warnings about the others. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Dataset, openDataset } from '../../src/data/index.js';
import { BLUE, everything, failure, GREEN, namesOf, noisy, pixel, plain, RED, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();

/** `count` different small pictures in a class folder. */
function many(folder: string, count: number, seed = 1): Record<string, Promise<Uint8Array>> {
  const files = Array.from(
    { length: count },
    (_, i) =>
      [
        `${folder}/${i}.png`,
        noisy(3, 2, seed + i)
          .png()
          .toBuffer(),
      ] as const,
  );
  return Object.fromEntries(files);
}

describe('a folder per class', () => {
  let dataset: Dataset;
  const warned: string[] = [];
  let folder: string;
  beforeAll(async () => {
    folder = await tree(join(root, 'flat'), {
      'zebra/2.png': plain(BLUE),
      'zebra/1.PNG': plain(BLUE),
      'ant/b.png': plain(RED),
      'ant/a.png': plain(RED),
      'ant/deep/er/c.png': plain(RED),
      'ant/notes.txt': text('not an image, and not named like one'),
      'ant/._a.png': text('left by a file system'),
      'ant/.thumbs/a.png': plain(GREEN),
      '.git/objects/a.png': plain(GREEN),
      'Moth/1.png': plain(GREEN),
      'Moth/2.png': plain(GREEN),
      'moth10/1.png': plain(GREEN),
      'moth10/2.png': plain(GREEN),
      'moth2/1.png': plain(GREEN),
      'moth2/2.png': plain(GREEN),
    });
    dataset = await openDataset(folder, { onWarning: (message) => warned.push(message) });
  });

  it('names the classes after the folders, in the order of their characters', () => {
    expect(dataset.classes).toEqual(['Moth', 'ant', 'moth10', 'moth2', 'zebra']);
  });

  it('assigns every image to one of two splits, including those in nested folders, but no hidden files', async () => {
    const names = [...(await namesOf(dataset.splits.train)), ...(await namesOf(dataset.splits.val))].sort();
    expect(names).toEqual([
      'Moth/1.png',
      'Moth/2.png',
      'ant/a.png',
      'ant/b.png',
      'ant/deep/er/c.png',
      'moth10/1.png',
      'moth10/2.png',
      'moth2/1.png',
      'moth2/2.png',
      'zebra/1.PNG',
      'zebra/2.png',
    ]);
    expect(warned).toEqual([]);
  });

  it('recognises images by their extensions', async () => {
    const endings = ['jpg', 'jpeg', 'JPG', 'png', 'webp', 'gif', 'tif', 'tiff', 'avif'];
    const others = ['svg', 'txt', 'jpg.part', 'png~', 'xjpg'];
    const files = [...endings, ...others].map((ending) => [`ant/image.${ending}`, plain(RED)] as const);
    const folder = await tree(join(root, 'endings'), { ...Object.fromEntries(files), 'ant/png': plain(RED), 'bee/1.png': plain(BLUE) });
    const { splits } = await openDataset(folder);
    const names = [...(await namesOf(splits.train)), ...(await namesOf(splits.val))].filter((name) => name.startsWith('ant/'));
    expect(names.sort()).toEqual(endings.map((ending) => `ant/image.${ending}`).sort());
  });

  it('labels an image by its class folder before it is decoded', async () => {
    const colours: Record<string, readonly number[]> = { ant: RED, zebra: BLUE };
    for (const split of [dataset.splits.train, dataset.splits.val]) {
      for (const [i, { image, label, index, name }] of (await everything(split)).entries()) {
        const folder = name.split('/')[0];
        expect(dataset.classes[label]).toBe(folder);
        expect(split.labels[i]).toBe(label);
        expect(index).toBe(i);
        expect([image.width, image.height, image.channels]).toEqual([6, 5, 3]);
        expect(pixel(image, 3, 4)).toEqual([...(colours[folder] ?? GREEN)]);
      }
    }
    expect(dataset.channels).toBe(3);
    expect(dataset.imageSize).toBeUndefined();
  });

  it('lists the examples of a split class by class, sorted', async () => {
    const names = await namesOf(dataset.splits.train);
    expect(names).toEqual([...names].sort());
  });

  it('throws for an index beyond the last example', async () => {
    const { val } = dataset.splits;
    for (const index of [val.length, -1, 0.5]) {
      expect((await failure(val.get(index))).message).toContain(
        `${folder}: there is no example ${index}; the split has ${val.length} examples`,
      );
    }
  });
});

describe('train and val folders', () => {
  it('become the splits train and val', async () => {
    const folder = await tree(join(root, 'divided'), {
      'train/cat/1.png': plain(RED),
      'train/cat/2.png': plain(RED),
      'train/dog/1.png': plain(BLUE),
      'val/dog/1.png': plain(BLUE),
      'val/cat/9.png': plain(RED),
    });
    const { splits, classes, warnings } = await openDataset(folder);
    expect(classes).toEqual(['cat', 'dog']);
    expect(await namesOf(splits.train)).toEqual(['train/cat/1.png', 'train/cat/2.png', 'train/dog/1.png']);
    expect(await namesOf(splits.val)).toEqual(['val/cat/9.png', 'val/dog/1.png']);
    expect([...splits.val.labels]).toEqual([0, 1]);
    expect(warnings).toEqual([]);
  });

  it('without val, part of train is held out', async () => {
    const folder = await tree(join(root, 'no-val'), { ...many('train/cat', 3), ...many('train/dog', 3) });
    const { splits } = await openDataset(folder);
    expect([...splits.train.labels]).toEqual([0, 0, 1, 1]);
    expect([...splits.val.labels]).toEqual([0, 1]);
  });

  it('next to other folders and files, which are skipped with a warning that names them', async () => {
    const folder = await tree(join(root, 'beside'), {
      ...many('train/cat', 2),
      ...many('train/dog', 2),
      ...many('val/cat', 1),
      ...many('val/dog', 1),
      ...many('test/cat', 1),
      ...many('cats', 1),
      'cover.jpg': text('never opened'),
      'README.md': text('expected to lie there'),
    });
    const { splits, warnings } = await openDataset(folder);
    expect(splits.train.length).toBe(4);
    expect(splits.test.length).toBe(1);
    expect(warnings).toEqual([
      `${folder}: cats, cover.jpg beside test and train and val are left out`,
      `${folder}: test has no image of dog; its error rates do not cover this class`,
    ]);
  });

  it('throw an error that names the class if val has a class that train lacks', async () => {
    const folder = await tree(join(root, 'stranger'), { ...many('train/cat', 2), ...many('train/dog', 2), ...many('val/wolf', 1) });
    expect((await failure(openDataset(folder))).message).toContain('val has classes that train lacks: wolf');
  });

  it('give a warning that names the class if val lacks a class of train', async () => {
    const folder = await tree(join(root, 'lacking'), { ...many('train/cat', 2), ...many('train/dog', 2), ...many('val/cat', 1) });
    const { splits, warnings } = await openDataset(folder);
    expect(splits.val.length).toBe(1);
    expect(warnings).toEqual([`${folder}: val has no image of dog; its error rates do not cover this class`]);
  });
});

describe('the held-out part', () => {
  it('depends only on the paths relative to the folder', async () => {
    const here = await tree(join(root, 'here'), { ...many('cat', 12), ...many('dog', 12) });
    const there = await tree(join(root, 'elsewhere/there'), { ...many('dog', 12, 500), ...many('cat', 12, 700) });
    const [a, b] = [await openDataset(here, { valFraction: 0.3 }), await openDataset(there, { valFraction: 0.3 })];
    expect(await namesOf(a.splits.val)).toEqual(await namesOf(b.splits.val));
    expect(await namesOf(a.splits.train)).toEqual(await namesOf(b.splits.train));
  });

  it('is valFraction of every class, not its first files, and at least one image', async () => {
    const folder = await tree(join(root, 'shares'), { ...many('large', 40), ...many('small', 8), ...many('two', 2) });
    const { splits, warnings } = await openDataset(folder, { valFraction: 0.25 });
    const held = await namesOf(splits.val);
    const of = (name: string) => held.filter((path) => path.startsWith(`${name}/`));
    expect([of('large').length, of('small').length, of('two').length]).toEqual([10, 2, 1]);
    expect(of('large')).not.toEqual(
      Array.from({ length: 40 }, (_, i) => `large/${i}.png`)
        .sort()
        .slice(0, 10),
    );
    expect(splits.train.length).toBe(37);
    expect(warnings).toEqual([]);
    expect((await openDataset(folder, { valFraction: 0.01 })).splits.val.length).toBe(3);
    expect([...(await openDataset(folder, { valFraction: 0.99 })).splits.train.labels]).toEqual([0, 1, 2]);
  });

  it('is never the only image of a class', async () => {
    const folder = await tree(join(root, 'single'), { ...many('common', 3), ...many('rare', 1) });
    const { splits, warnings } = await openDataset(folder);
    expect([...splits.train.labels]).toEqual([0, 0, 1]);
    expect(warnings).toEqual([`${folder}: val has no image of rare; its error rates do not cover this class`]);
  });
});

describe('warnings', () => {
  it('are given for images outside the class folders and for class folders without images', async () => {
    const folder = await tree(join(root, 'odd'), {
      ...many('cat', 2),
      ...many('dog', 2),
      'stray.jpg': text('never opened'),
      'another.webp': text('never opened'),
      'labels.csv': text('may lie there'),
      'empty/': text(''),
      'words/read.txt': text('no image'),
    });
    const warned: string[] = [];
    const { classes, warnings } = await openDataset(folder, { onWarning: (message) => warned.push(message) });
    expect(classes).toEqual(['cat', 'dog']);
    expect(warnings).toEqual([
      `${join(folder, 'empty')}: contains no images; the class is left out`,
      `${join(folder, 'words')}: contains no images; the class is left out`,
      `${folder}: 2 images are outside the class folders and left out`,
    ]);
    expect(warned).toEqual(warnings);
  });
});

describe('links', () => {
  it('to folders and files are followed; cycles end, and a dangling link is a broken image', async () => {
    const store = await tree(join(root, 'store'), { ...many('dogs', 3), 'one.png': plain(RED) });
    const folder = await tree(join(root, 'linked'), { ...many('cat', 2) });
    symlinkSync(join(store, 'dogs'), join(folder, 'dog'));
    symlinkSync(join(store, 'one.png'), join(folder, 'cat/7.png'));
    symlinkSync(join(folder, 'cat'), join(folder, 'cat/again'));
    symlinkSync(join(store, 'nowhere.png'), join(folder, 'cat/8.png'));
    const { splits, classes, warnings } = await openDataset(folder);
    expect(classes).toEqual(['cat', 'dog']);
    const names = [...(await namesOf(splits.train)), ...(await namesOf(splits.val))].sort();
    expect(names).toEqual(['cat/0.png', 'cat/1.png', 'cat/7.png', 'dog/0.png', 'dog/1.png', 'dog/2.png']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(join(folder, 'cat/8.png'));
  });
});

describe('a folder without training data is refused:', () => {
  it('a missing folder, or a file', async () => {
    const missing = join(root, 'not-there');
    const error = await failure(openDataset(missing));
    expect(error.message).toMatch(
      /not-there: cannot be opened as a folder of images: ENOENT.*expected a folder with one folder per class, idx:DIR/,
    );
    expect(error.file).toBe(missing);
    await tree(root, { 'picture.png': plain(RED) });
    expect((await failure(openDataset(join(root, 'picture.png')))).message).toMatch(
      /picture\.png: cannot be .*: it is a file; expected a folder/,
    );
  });

  it('a folder without class folders, at the top or in train or val', async () => {
    const flat = await tree(join(root, 'no-classes'), { '1.png': plain(RED), '2.png': plain(BLUE) });
    expect((await failure(openDataset(flat))).message).toContain(`${flat}: has no class folders; expected one folder per class`);
    const below = await tree(join(root, 'no-classes-below'), { 'train/1.png': plain(RED), 'train/2.png': plain(BLUE) });
    expect((await failure(openDataset(below))).message).toContain(`${join(below, 'train')}: has no class folders`);
    const val = await tree(join(root, 'no-val-classes'), { ...many('train/cat', 1), ...many('train/dog', 1), 'val/1.png': plain(RED) });
    expect((await failure(openDataset(val))).message).toContain(`${join(val, 'val')}: has no class folders`);
  });

  it('a folder with a single class', async () => {
    const folder = await tree(join(root, 'one-class'), { ...many('cat', 4), 'dog/': text('') });
    expect((await failure(openDataset(folder))).message).toContain(`${folder}: has images of one class only, cat;`);
  });

  it('a folder without images', async () => {
    const folder = await tree(join(root, 'nothing'), { 'cat/a.txt': text('a'), 'dog/': text('') });
    expect((await failure(openDataset(folder))).message).toContain(`${folder}: no image in it can be read; expected JPEG, PNG`);
  });
});
