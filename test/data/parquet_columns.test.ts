/** Columns of parquet files and names of classes: chosen by option, by type or by name; ambiguous ones are refused. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DataError, openDataset } from '../../src/data/index.js';
import { classNames, classPlaces } from '../../src/data/sources/parquet/parquet_columns.js';
import { ParquetShard } from '../../src/data/sources/parquet/parquet_shard.js';
import { failure, noiseBytes, temporaryFolder } from './support.js';

const FILES = join(import.meta.dirname, '../fixtures/parquet');
const TRAIN = join(FILES, 'hub/data/train-00000-of-00002.parquet');
const root = temporaryFolder();

/** A shard of which the description by Hugging Face alone is there. */
const described = (value: string) =>
  ({ file: 'a.parquet', metadata: { key_value_metadata: [{ key: 'huggingface', value }] } }) as unknown as ParquetShard;
const withNames = (names: unknown) => described(JSON.stringify({ info: { features: { label: { _type: 'ClassLabel', names } } } }));

describe('names of classes', () => {
  it('are given as a list, or as an object from numbers to names', () => {
    expect(classNames(withNames(['rose', 'tulip']), 'label')).toEqual(['rose', 'tulip']);
    expect(classNames(withNames({ 1: 'tulip', 0: 'rose' }), 'label')).toEqual(['rose', 'tulip']);
    expect(classNames(described('{}'), 'label')).toBeUndefined();
  });

  it('of any other kind throw an error that names the file', () => {
    for (const junk of [7, 'rose', [], {}, [1, 2], ['a', null], { a: 'rose' }, { 1: 'rose' }, ['a', 'b', 'a'], [['a']]])
      expect(() => classNames(withNames(junk), 'label'), JSON.stringify(junk)).toThrow(DataError);
    for (const junk of ['null', '7', '[]', '{"info":null}', '{"info":{"features":[1]}}', '{"info":{"features":{"label":null}}}'])
      expect(classNames(described(junk), 'label')).toBeUndefined();
    expect(() => classNames(described('{"info":'), 'label')).toThrow(DataError);
    expect(classNames(described('{"info":{"features":{"__proto__":{"_type":"ClassLabel"}}}}'), 'constructor')).toBeUndefined();
  });

  it('may be in another order in later files; other names are refused', () => {
    const features = { image: 'image', label: 'label', names: ['rose', 'tulip', 'daisy'], certain: true };
    expect(classPlaces(withNames(['daisy', 'rose', 'tulip']), features)).toEqual([2, 0, 1]);
    for (const names of [['rose', 'tulip'], ['rose', 'tulip', 'oak'], undefined])
      expect(() => classPlaces(withNames(names), features)).toThrow(/expected the same names in every file, in any order/);
    expect(() => classPlaces(withNames(['rose']), { ...features, names: undefined })).toThrow(DataError);
  });

  it('are matched in the files of a data set', async () => {
    const bytes = readFileSync(TRAIN);
    const names = classNames(await ParquetShard.open(TRAIN), 'label')!;
    const folder = join(root, 'orders');
    mkdirSync(folder);
    copyFileSync(TRAIN, join(folder, 'train-0.parquet'));
    // The same names in another order have the same length in bytes.
    const [list, other] = [names, [...names].reverse()].map((each) => each.map((name) => JSON.stringify(name)));
    const [before, after] = [', ', ',']
      .map((between) => [list.join(between), other.join(between)])
      .find(([found]) => bytes.includes(found))!;
    bytes.write(after, bytes.indexOf(before));
    writeFileSync(join(folder, 'val-0.parquet'), bytes);
    const { splits, classes } = await openDataset(`parquet:${folder}`);
    expect(classes).toEqual(names);
    expect([...splits.val.labels]).toEqual([...splits.train.labels].map((label) => names.length - 1 - label));
  });
});

describe('columns', () => {
  const file = join(FILES, 'bytes-none.parquet');

  it('that are named by an option must exist and have a suitable type', async () => {
    const fault = async (options: object) => (await failure(openDataset(`parquet:${file}`, options))).message;
    expect(await fault({ imageColumn: 'imgs' })).toMatch(/imageColumn is 'imgs', expected one of its columns: .*; did you mean 'img'\?/);
    expect(await fault({ labelColumn: 'labels' })).toContain("did you mean 'label'?");
    expect(await fault({ imageColumn: 'label' })).toContain("the column 'label' contains no images");
    expect(await fault({ imageColumn: 7 })).toContain('imageColumn is 7, expected a string');
    const usual = await openDataset(`parquet:${file}`);
    const asked = await openDataset(`parquet:${file}`, { imageColumn: 'img', labelColumn: 'label' });
    expect(asked.fingerprint).toBe(usual.fingerprint);
  });
});

it('a damaged file throws a DataError, whatever part is damaged', async () => {
  const bytes = readFileSync(TRAIN);
  const damaged = join(root, 'damaged.parquet');
  const places = noiseBytes(120, 3);
  for (let i = 0; i < 60; i++) {
    const changed = Buffer.from(bytes);
    // Most of the important data is at the end.
    const at = bytes.length - 1 - ((places[2 * i] * 7 + i) % Math.min(1400, bytes.length));
    changed[at] = places[2 * i + 1];
    writeFileSync(damaged, changed);
    await openDataset(`parquet:${damaged}`).then(
      () => undefined,
      (error) => expect(error, `byte ${at} is ${changed[at]}`).toBeInstanceOf(DataError),
    );
  }
}, 60_000);
