/** `idx:DIR`: MNIST's four files, plain and gzipped, and all kinds of invalid files. */
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { digits, idxFile, idxFiles } from './pixel_files.js';
import { everything, failure, farthest, pixel, temporaryFolder, text, tree } from './support.js';

const root = temporaryFolder();
let folders = 0;
const train = digits([3, 0, 1, 2, 2, 0], 20, 1);
const val = digits([2, 3, 0], 20, 2);

/** A folder with the four files, some of them replaced, or left out where they are undefined. */
async function folderWith(changed: Record<string, Uint8Array | undefined> = {}): Promise<string> {
  const files = Object.entries({ ...idxFiles(train, val), ...changed }).filter((file): file is [string, Uint8Array] => !!file[1]);
  return tree(join(root, `${folders++}`), Object.fromEntries(files));
}

const faultOf = async (changed: Record<string, Uint8Array | undefined>) => failure(openDataset(`idx:${await folderWith(changed)}`));

describe('the four files', () => {
  it('are read as images, labels, names and classes', async () => {
    const folder = await folderWith();
    const dataset = await openDataset(`idx:${folder}`);
    expect(dataset.name).toBe(`idx:${folder}`);
    expect(dataset.classes).toEqual(['0', '1', '2', '3']);
    expect([dataset.channels, dataset.imageSize]).toEqual([1, [5, 4]]);
    expect(dataset.warnings).toEqual([]);
    for (const [name, part] of Object.entries({ train, val })) {
      const split = dataset.splits[name];
      expect([...split.labels]).toEqual(part.labels);
      for (const [i, example] of (await everything(split)).entries()) {
        expect([example.label, example.index, example.name]).toEqual([part.labels[i], i, `${name}/${i}`]);
        expect([example.image.width, example.image.height, example.image.channels]).toEqual([4, 5, 1]);
        expect([...example.image.data]).toEqual([...part.pixels.subarray(20 * i, 20 * i + 20)]);
      }
      expect((await failure(split.get(part.labels.length))).message).toContain(`there is no example ${part.labels.length}`);
    }
  });

  it('may each be gzipped, and may have a dot in place of the hyphen', async () => {
    const plain = await openDataset(`idx:${await folderWith()}`);
    const files = idxFiles(train, val);
    const folder = await tree(join(root, 'zipped'), {
      'train-images-idx3-ubyte.gz': gzipSync(files['train-images-idx3-ubyte']),
      'train-labels.idx1-ubyte': files['train-labels-idx1-ubyte'],
      't10k-images.idx3-ubyte.gz': gzipSync(files['t10k-images-idx3-ubyte']),
      't10k-labels-idx1-ubyte.gz': gzipSync(files['t10k-labels-idx1-ubyte']),
    });
    const zipped = await openDataset(`idx:${folder}`);
    for (const name of ['train', 'val']) expect(await everything(zipped.splits[name])).toEqual(await everything(plain.splits[name]));
    expect(zipped.fingerprint).toBe(plain.fingerprint);
  });

  it('may have colours as a fourth axis', async () => {
    const [a, b] = [digits([1, 0], 24, 5), digits([0], 24, 6)];
    const folder = await folderWith({
      'train-images-idx3-ubyte': idxFile([2, 4, 2, 3], a.pixels),
      'train-labels-idx1-ubyte': idxFile([2], a.labels),
      't10k-images-idx3-ubyte': idxFile([1, 4, 2, 3], b.pixels),
      't10k-labels-idx1-ubyte': idxFile([1], b.labels),
    });
    const { splits, channels } = await openDataset(`idx:${folder}`);
    expect(channels).toBe(3);
    const { image } = await splits.train.get(1);
    expect(pixel(image, 2, 1)).toEqual([...a.pixels.subarray(24 + 15, 24 + 18)]);
  });

  it('are resized if imageSize is given: the shorter side first, then the central square is cropped', async () => {
    // Two images of 8×4 in four bands of two rows each; the outer bands are cut away.
    const values = [10, 90, 170, 250, 40, 120, 200, 0];
    const pixels = (order: readonly number[]) => Uint8Array.from({ length: 64 }, (_, i) => values[order[i >> 5] + ((i >> 3) & 3)]);
    const folder = await folderWith({
      'train-images-idx3-ubyte': idxFile([2, 8, 4], pixels([0, 4])),
      'train-labels-idx1-ubyte': idxFile([2], [0, 1]),
      't10k-images-idx3-ubyte': idxFile([2, 8, 4], pixels([4, 0])),
      't10k-labels-idx1-ubyte': idxFile([2], [1, 0]),
    });
    const { splits, imageSize, fingerprint } = await openDataset(`idx:${folder}`, { imageSize: 2 });
    expect(imageSize).toEqual([2, 2]);
    // Halving with a linear filter: three quarters of the two rows, an eighth of the row above and of the row below.
    for (const [split, index, rows] of [
      ['train', 0, [90, 170]],
      ['train', 1, [120, 165]],
      ['val', 0, [120, 165]],
    ] as const) {
      const { image } = await splits[split].get(index);
      expect([image.width, image.height, image.channels, image.data.length]).toEqual([2, 2, 1, 4]);
      expect(farthest(image.data, [rows[0], rows[0], rows[1], rows[1]])).toBeLessThanOrEqual(1);
    }
    const natural = await openDataset(`idx:${folder}`, { imageSize: undefined });
    expect(natural.imageSize).toEqual([8, 4]);
    expect(natural.fingerprint).toBe(fingerprint);
  });

  it('may be only the two of train, of which some images of each class are held out', async () => {
    const labels = Array.from({ length: 20 }, (_, i) => i % 2);
    const all = digits(labels, 20, 7);
    const changed = {
      't10k-images-idx3-ubyte': undefined,
      't10k-labels-idx1-ubyte': undefined,
      'train-images-idx3-ubyte': idxFile([20, 5, 4], all.pixels),
      'train-labels-idx1-ubyte': idxFile([20], labels),
    };
    const open = async (valFraction?: number) => openDataset(`idx:${await folderWith(changed)}`, { valFraction });
    const { splits, classes } = await open(0.3);
    expect(classes).toEqual(['0', '1']);
    expect([...splits.val.labels].sort()).toEqual([0, 0, 0, 1, 1, 1]);
    const images = [...(await everything(splits.train)), ...(await everything(splits.val))];
    // Every image is in one of the two, with its own label.
    const before = labels.map((label, i) => `${label}: ${all.pixels.subarray(20 * i, 20 * i + 20)}`);
    expect(images.map(({ label, image }) => `${label}: ${image.data}`).sort()).toEqual(before.sort());
    expect((await open()).splits.val.length).toBe(2);
    expect((await open()).fingerprint).toBe((await open()).fingerprint);
  });

  it('have a fingerprint that changes with a pixel and with a label', async () => {
    const pixels = Uint8Array.from(train.pixels);
    pixels[17] ^= 1;
    const prints = [
      {},
      { 'train-images-idx3-ubyte': idxFile([6, 5, 4], pixels) },
      { 't10k-labels-idx1-ubyte': idxFile([3], [2, 3, 1]) },
    ].map(async (changed) => (await openDataset(`idx:${await folderWith(changed)}`)).fingerprint);
    expect(new Set(await Promise.all(prints)).size).toBe(3);
  });
});

describe('invalid files are refused with their name and what was found:', () => {
  const images = idxFile([6, 5, 4], train.pixels);

  it('a missing one, and a missing folder', async () => {
    const folder = await folderWith();
    rmSync(join(folder, 't10k-labels-idx1-ubyte'));
    const error = await failure(openDataset(`idx:${folder}`));
    expect(error.message).toContain(`idx:${folder}: has no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz; expected train-images`);
    renameSync(folder, `${folder}-moved`);
    expect((await failure(openDataset(`idx:${folder}`))).message).toContain('has no train-images-idx3-ubyte');
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['another kind of file', text('PK\u0003\u0004, a zip'), /starts with 50 4b 03 04, expected an idx header/],
    ['an empty file', new Uint8Array(0), /starts with nothing, expected an idx header/],
    [
      'values of another type',
      images.map((byte, i) => (i === 2 ? 0x0d : byte)),
      /contains values of type 0xd, expected unsigned bytes \(0x08\)/,
    ],
    ['too many axes', images.map((byte, i) => (i === 3 ? 9 : byte)), /has 9 axes in a file of 136 bytes/],
    ['a file cut off', images.subarray(0, 100), /has 100 bytes, its header \[6,5,4\] requires 136; it is truncated/],
    ['a file too long', Uint8Array.from([...images, 7]), /has 137 bytes, its header \[6,5,4\] requires 136/],
    ['a gzip cut off', gzipSync(images).subarray(0, 60), /cannot be unpacked: .*; it may be truncated/],
    ['labels in place of images', idxFile([6], train.labels), /has shape \[6\], expected \[count, rows, columns\]/],
    ['two channels', idxFile([6, 5, 2, 2], train.pixels), /has shape \[6,5,2,2\], expected/],
    ['no images', idxFile([6, 0, 4], []), /has shape \[6,0,4\], which contains no images/],
  ])('%s', async (_, bytes, message) => {
    const error = await faultOf({ 'train-images-idx3-ubyte': bytes });
    expect(error.message).toMatch(message);
    expect(error.message).toContain('train-images-idx3-ubyte: ');
    expect(error.file).toMatch(/train-images-idx3-ubyte$/);
  });

  it('a number of labels that differs from the number of images', async () => {
    const fewer = await faultOf({ 'train-labels-idx1-ubyte': idxFile([4], [0, 1, 2, 3]) });
    expect(fewer.message).toMatch(/train-labels-idx1-ubyte: has 4 labels, .*train-images-idx3-ubyte has 6 images/);
    const square = await faultOf({ 'train-labels-idx1-ubyte': idxFile([3, 2], train.labels) });
    expect(square.message).toMatch(/train-labels-idx1-ubyte: has shape \[3,2\], expected \[count\]/);
  });

  it('splits with different image sizes', async () => {
    const error = await faultOf({ 't10k-images-idx3-ubyte': idxFile([3, 4, 5], val.pixels) });
    expect(error.message).toContain('train images are 5×4×1, t10k images 4×5×1; expected one size');
  });

  it('labels of a single class, whichever it is', async () => {
    for (const only of [0, 3]) {
      const labels = idxFile([6], new Array(6).fill(only));
      expect((await faultOf({ 'train-labels-idx1-ubyte': labels })).message).toContain(`has images of one class only, ${only};`);
    }
  });

  it('a label in t10k that train does not have', async () => {
    const error = await faultOf({ 't10k-labels-idx1-ubyte': idxFile([3], [0, 7, 1]) });
    expect(error.message).toContain('t10k has the label 7, train has labels 0 to 3 only');
  });

  it('a class without images is a warning', async () => {
    const folder = await folderWith({ 'train-labels-idx1-ubyte': idxFile([6], [0, 3, 3, 1, 0, 1]) });
    const warned: string[] = [];
    const { classes, warnings } = await openDataset(`idx:${folder}`, { onWarning: (message) => warned.push(message) });
    expect(classes).toEqual(['0', '1', '2', '3']);
    expect(warnings).toEqual([`idx:${folder}: train has no image of class 2`]);
    expect(warned).toEqual(warnings);
  });
});

describe('files under other names', () => {
  const files = idxFiles(train, val);

  it('are found in folders of the same name, as Kaggle unpacks them, with or without the files beside them', async () => {
    const inside = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${name}/${name}`, bytes]));
    const beside = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name.replace('-idx', '.idx'), bytes]));
    const plain = await openDataset(`idx:${await folderWith()}`);
    for (const each of [inside, { ...inside, ...beside }]) {
      const folder = await tree(join(root, `${folders++}`), each);
      expect((await openDataset(`idx:${folder}`)).fingerprint).toBe(plain.fingerprint);
    }
  });

  it('are found in EMNIST, which has test for t10k; of several data sets, one must be named', async () => {
    const named = (prefix: string) =>
      Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${prefix}-${name.replace('t10k', 'test')}`, bytes]));
    const one = await tree(join(root, `${folders++}`), named('emnist-letters'));
    expect((await openDataset(`idx:${one}`)).splits.val.length).toBe(3);
    const two = await tree(join(root, `${folders++}`), { ...named('emnist-letters'), ...named('emnist-digits') });
    expect((await failure(openDataset(`idx:${two}`))).message).toContain(
      'contains the files of emnist-digits, emnist-letters; name one of them: idx:',
    );
    expect((await openDataset(`idx:${two}/emnist-digits`)).splits.train.length).toBe(6);
  });

  it('may be the t10k pair alone if divide is false', async () => {
    const folder = await folderWith({ 'train-images-idx3-ubyte': undefined, 'train-labels-idx1-ubyte': undefined });
    expect(Object.keys((await openDataset(`idx:${folder}`, { divide: false })).splits)).toEqual(['val']);
    expect((await failure(openDataset(`idx:${folder}`))).message).toContain('has no train-images-idx3-ubyte');
  });
});

describe('unusual files', () => {
  it('with a label of 255 give one short warning', async () => {
    const folder = await folderWith({ 'train-labels-idx1-ubyte': idxFile([6], [0, 1, 2, 3, 4, 255]) });
    const { warnings } = await openDataset(`idx:${folder}`);
    expect(warnings).toEqual([`idx:${folder}: train has no image of class 5, 6, 7, 8, 9, … (250 in all)`]);
  });

  it('that are gzipped are decompressed to the length in their header, up to a limit', async () => {
    const zeros = gzipSync(Buffer.alloc(200 * 2 ** 20));
    const header = idxFile([6, 5, 4], []);
    const bomb = Buffer.concat([gzipSync(header), zeros]);
    const before = process.memoryUsage().rss;
    expect((await faultOf({ 'train-images-idx3-ubyte': bomb })).message).toMatch(/has 137 bytes, its header \[6,5,4\] requires 136/);
    const honest = Buffer.concat([gzipSync(idxFile([2 ** 20, 64, 64], [])), zeros]);
    expect((await faultOf({ 'train-images-idx3-ubyte': honest })).message).toContain('more than the limit of 67108864');
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 2 ** 20);
  });

  it('that are named pipes are refused without waiting', async () => {
    const folder = await folderWith({ 'train-images-idx3-ubyte': undefined });
    execFileSync('mkfifo', [join(folder, 'train-images-idx3-ubyte')]);
    expect((await failure(openDataset(`idx:${folder}`))).message).toContain('it is a named pipe, expected a regular file');
  });
});
