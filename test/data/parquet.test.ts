/** `parquet:FILES`: files that pyarrow wrote (test/fixtures/parquet.py), all their rows, and the errors for damaged ones. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parquetMetadataAsync } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { type Dataset, type Example, type OpenOptions, openDataset } from '../../src/data/index.js';
import { everything, failure, farthest, pixel, temporaryFolder } from './support.js';

const FILES = join(import.meta.dirname, '../fixtures/parquet');
const { names, files } = JSON.parse(readFileSync(join(FILES, 'expected.json'), 'utf8')) as {
  names: string[];
  files: Record<string, { label: number | string | null; colour: number[] | null }[]>;
};
const HUB = 'hub/data';
const TRAIN = ['train-00000-of-00002.parquet', 'train-00001-of-00002.parquet'];
const root = temporaryFolder();
let folders = 0;

const open = (list: string, options?: OpenOptions) => openDataset(`parquet:${list}`, options);

/** A copy of the files of `hub/data`, some of them by other names, or left out where the name is undefined. */
function copyOf(called: Record<string, string | undefined>): string {
  const folder = join(root, `${folders++}`);
  for (const [from, to] of Object.entries(called)) {
    if (!to) continue;
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    copyFileSync(join(FILES, HUB, from), join(folder, to));
  }
  return folder;
}

/** All examples of all splits, which must be the rows of these files, in whatever order. */
async function expectRows({ splits, classes }: Dataset, paths: readonly string[]): Promise<void> {
  const examples = (await Promise.all(Object.values(splits).map(everything))).flat();
  const expected = paths.flatMap((path) => files[path].map((row, i) => ({ ...row, name: `${path.split('/').at(-1)}#${i}` })));
  const byName = new Map<string, Example>(examples.map((example) => [example.name.split('/').at(-1)!, example]));
  expect([...byName.keys()].sort()).toEqual(expected.map(({ name }) => name).sort());
  for (const { name, label, colour } of expected) {
    const example = byName.get(name)!;
    expect(classes[example.label], name).toBe(typeof label === 'number' ? names[label] : label);
    expect([example.image.width, example.image.height], name).toEqual([9, 7]);
    // JPEG is among them.
    expect(farthest(pixel(example.image, 3, 4), colour!), name).toBeLessThanOrEqual(2);
  }
}

describe('shards as Hugging Face stores them', () => {
  it('give the splits in their names, one image per row, and the names of the classes', async () => {
    const dataset = await open(join(FILES, 'hub'));
    expect(dataset.name).toBe(`parquet:${join(FILES, 'hub')}`);
    expect(dataset.classes).toEqual(names);
    expect([dataset.channels, dataset.imageSize]).toEqual([3, undefined]);
    expect(dataset.splits.train.length).toBe(11);
    expect([...dataset.splits.val.labels]).toEqual([1, 2]);
    expect((await everything(dataset.splits.train)).map(({ name }) => name)).toEqual([
      ...Array.from({ length: 8 }, (_, row) => `data/${TRAIN[0]}#${row}`),
      ...Array.from({ length: 3 }, (_, row) => `data/${TRAIN[1]}#${row}`),
    ]);
    await expectRows(
      dataset,
      [...TRAIN, 'validation-00000-of-00001.parquet'].map((name) => `${HUB}/${name}`),
    );
    expect(dataset.warnings).toEqual([`parquet:${join(FILES, 'hub')}: 2 rows have no label and are left out`]);
    expect((await failure(dataset.splits.val.get(2))).message).toContain('there is no example 2; the split has 2 examples');
  });

  it('may have row groups of several pages, of which the later ones have no dictionary', async () => {
    const file = join(FILES, HUB, TRAIN[0]);
    const bytes = readFileSync(file);
    const { row_groups } = await parquetMetadataAsync({
      byteLength: bytes.length,
      slice: (start, end) => Uint8Array.from(bytes.subarray(start, end)).buffer,
    });
    expect(row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([5, 3]);
    const image = row_groups[1].columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === 'image.bytes')!;
    const { dictionary_page_offset, data_page_offset, total_compressed_size } = image.meta_data!;
    // The first page of data ends before the row group does: a dictionary of at most 300 bytes and three images do not fit it.
    expect(Number(data_page_offset! - dictionary_page_offset!)).toBeLessThan(Number(total_compressed_size) / 2);
    expect(image.meta_data!.encodings).toContain('RLE_DICTIONARY');
  });

  it('may be given as a pattern, as a list, or as folders', async () => {
    const pattern = await open(join(FILES, HUB, 'train-*.parquet'));
    const list = await open(`${join(FILES, HUB, TRAIN[0])}, ${join(FILES, HUB, TRAIN[1])},`);
    expect(pattern.splits.train.length + pattern.splits.val.length).toBe(11);
    expect(list.fingerprint).toBe(pattern.fingerprint);
    const folders = await open(
      copyOf({ [TRAIN[0]]: 'default/train/0000.parquet', 'validation-00000-of-00001.parquet': 'default/valid/0000.parquet' }),
    );
    expect([folders.splits.train.length, folders.splits.val.length]).toEqual([8, 2]);
  });

  it('use test as val if there is no other, and hold out part of train if there is neither', async () => {
    const folder = copyOf({ [TRAIN[0]]: 'train-0.parquet', [TRAIN[1]]: 'test-0.parquet' });
    const { splits, warnings } = await open(folder);
    expect([splits.train.length, splits.val.length]).toEqual([8, 3]);
    expect(warnings).toEqual([]);
    const held = await open(copyOf({ [TRAIN[0]]: 'a.parquet', [TRAIN[1]]: 'b.parquet' }), { valFraction: 0.4 });
    expect([held.splits.train.length, held.splits.val.length]).toEqual([6, 5]);
    expect([...new Set(held.splits.train.labels)].sort()).toEqual([0, 1, 2]);
  });

  it('skip rows without a label', async () => {
    const folder = copyOf({ [TRAIN[0]]: 'train-0.parquet', 'test-00000-of-00001.parquet': 'train-1.parquet' });
    const { splits, warnings } = await open(folder);
    expect(splits.train.length + splits.val.length).toBe(8);
    expect(warnings).toEqual([`parquet:${folder}: 2 rows have no label and are left out`]);
  });
});

describe('files of other writers', () => {
  it.each(['none', 'gzip', 'brotli', 'zstd', 'lz4'])('have bytes and text, compressed with %s', async (codec) => {
    const path = `bytes-${codec}.parquet`;
    const dataset = await open(join(FILES, path));
    expect(dataset.classes).toEqual(['no', 'yes']);
    await expectRows(dataset, [path]);
  });

  it('have numeric labels without names, missing labels and missing images', async () => {
    const file = join(FILES, 'gaps.parquet');
    const { classes, splits, warnings } = await open(file);
    expect(classes).toEqual(['3', '7']);
    const labels = Object.values(splits).flatMap((split) => [...split.labels]);
    expect(labels.sort()).toEqual([0, 0, 1, 1]);
    expect(warnings).toEqual([
      `parquet:${file}: 1 row has no label and is left out`,
      `${file}, row 4 (image contains no image, or only the path of one; expected the bytes of an image file): cannot be read as an image; skipped`,
    ]);
    // Without a look at every image beforehand it is met when its turn comes.
    const unseen = await open(file, { verify: 'headers', valFraction: 0.01 });
    const met = (
      await Promise.all(
        Object.values(unseen.splits).flatMap((split) => Array.from(split.labels, (_, i) => split.get(i).catch((error) => error))),
      )
    ).filter((each) => each instanceof Error);
    expect(met).toHaveLength(1);
    expect(met[0]).toMatchObject({ file, message: expect.stringMatching(/^.*gaps\.parquet, row 4: image contains no image/) });
  });

  it('are resized if imageSize is given', async () => {
    const { splits, imageSize } = await open(join(FILES, 'hub'), { imageSize: 4 });
    expect(imageSize).toEqual([4, 4]);
    for (const { image } of await everything(splits.val)) expect([image.width, image.height, image.data.length]).toEqual([4, 4, 48]);
  });
});

describe('the fingerprint', () => {
  const whole = { [TRAIN[0]]: 'train-0.parquet', [TRAIN[1]]: 'train-1.parquet' };

  it('is the same for a copy in another folder, for any image size', async () => {
    const here = await open(copyOf(whole));
    expect((await open(copyOf(whole), { imageSize: 8, workers: 1 })).fingerprint).toBe(here.fingerprint);
  });

  it('changes with a byte of an image, with an additional file and with a class name', async () => {
    const changed = copyOf(whole);
    const file = join(changed, 'train-1.parquet');
    const bytes = readFileSync(file);
    bytes[200] ^= 1;
    writeFileSync(file, bytes);
    const more = copyOf({ ...whole, 'validation-00000-of-00001.parquet': 'train-2.parquet' });
    const renamed = copyOf({ ...whole, [TRAIN[1]]: 'train-8.parquet' });
    const prints = [copyOf(whole), changed, more, renamed].map(async (folder) => (await open(folder, { verify: 'headers' })).fingerprint);
    expect(new Set(await Promise.all(prints)).size).toBe(4);
  });
});

describe('errors name', () => {
  it('a list that matches no file', async () => {
    expect((await failure(openDataset('parquet: ,'))).message).toBe('parquet: , names no files; expected parquet:FILES');
    const empty = join(root, 'empty');
    mkdirSync(empty);
    expect((await failure(open(empty))).message).toContain(
      `parquet:${empty}: cannot be opened: the folder contains no .parquet file; expected`,
    );
    expect((await failure(open(join(empty, 'train-*.parquet')))).message).toContain(`no file in ${empty} fits train-*.parquet`);
    expect((await failure(open(join(empty, 'none.parquet')))).message).toContain('ENOENT');
  });

  it('a file that is truncated or not a parquet file', async () => {
    const folder = copyOf({ [TRAIN[0]]: 'train-0.parquet' });
    const file = join(folder, 'train-0.parquet');
    writeFileSync(file, readFileSync(file).subarray(0, 3000));
    const error = await failure(open(folder));
    expect(error.message).toContain(`${file}: cannot be read as a parquet file: `);
    expect(error.file).toBe(file);
  });

  it('columns that do not exist', async () => {
    const mixed = copyOf({ [TRAIN[0]]: 'train-0.parquet' });
    copyFileSync(join(FILES, 'bytes-zstd.parquet'), join(mixed, 'train-1.parquet'));
    expect((await failure(open(mixed))).message).toContain('train-1.parquet: has the columns id, img, label; expected image among them');
  });

  it('damaged pages and deleted files when they are read; the other rows remain readable', async () => {
    const folder = copyOf({ [TRAIN[0]]: 'train-0.parquet', [TRAIN[1]]: 'val-0.parquet' });
    const file = join(folder, 'train-0.parquet');
    const { splits } = await open(folder, { verify: 'headers' });
    const bytes = readFileSync(file);
    // The second row group's dictionary, whose position is in the metadata of the fixture.
    bytes.fill(0xff, 1820, 1850);
    writeFileSync(file, bytes);
    const error = await failure(splits.train.get(6));
    expect(error.message).toContain(`${file}: column image cannot be read: `);
    expect(error.file).toBe(file);
    expect(farthest(pixel((await splits.train.get(1)).image, 2, 2), files[`${HUB}/${TRAIN[0]}`][1].colour!)).toBeLessThanOrEqual(2);
    const other = await open(folder, { verify: 'headers' });
    rmSync(file);
    expect((await failure(other.splits.train.get(0))).message).toMatch(/train-0\.parquet: .*cannot be read.*ENOENT/);
    expect((await splits.val.get(0)).label).toBe(2);
  });
});
