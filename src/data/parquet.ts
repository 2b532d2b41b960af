/** `parquet:FILES`: encoded images and labels in the columns of parquet files, as Hugging Face stores image data sets. */
import type { SchemaTree } from 'hyparquet';
import { mapBounded } from './bounded.js';
import { ByteCache } from './cache.js';
import { type Dataset, DEFAULT_CACHE_BYTES, type Example, type OpenOptions, type Split, Warnings } from './dataset.js';
import { encodedSplit, verified, verifiesAll } from './encoded.js';
import { DataError, reasonOf } from './errors.js';
import { addSample } from './file_bytes.js';
import { Hash } from './hash.js';
import { DEFAULT_VAL_FRACTION, holdOut } from './holdout.js';
import { listShards, type ShardFile } from './parquet_files.js';
import { ParquetShard } from './parquet_shard.js';
import type { Place } from './reader.js';
import { readerFor } from './worker_reader.js';

/** Files whose ends are read at once. */
const AT_ONCE = 8;
/** KiB of each file that the fingerprint knows, besides the labels. */
const SAMPLED_KIB = 64;
/** From here on a page takes many times longer to unpack than an image to decode. */
const LARGE_PAGE = 32 * 2 ** 20;

const IMAGE_NAMES = ['image', 'img', 'picture', 'photo', 'bytes'];
const LABEL_NAMES = ['label', 'labels', 'class', 'target', 'fine_label'];

/** The columns of a data set, and its classes where the files name them. */
interface Features {
  readonly image: string;
  readonly label: string;
  readonly names: readonly string[] | undefined;
}

/** One file, with the label of each row that has one. */
interface LabelledShard extends ShardFile {
  readonly shard: ParquetShard;
  readonly labels: readonly (number | string | undefined)[];
}

/** A row that has a label: its class's number, or the class's name in a column of strings. */
interface Row {
  readonly shard: LabelledShard;
  readonly row: number;
  readonly label: number | string;
}

/**
 * Opens the files of a comma-separated list of files, folders and patterns. Throws `DataError` naming the file that cannot be
 * read, or the columns where none holds images or labels.
 */
export async function openParquet(list: string, options: OpenOptions = {}): Promise<Dataset> {
  const source = `parquet:${list}`;
  const warnings = new Warnings(options.onWarning);
  const files = await listShards(list);
  if (files.leftOut.length > 0) {
    const names = files.leftOut.slice(0, 5).map(({ path }) => path);
    const more = files.leftOut.length > names.length ? ` and ${files.leftOut.length - names.length} more` : '';
    warnings.add(`${source}: ${names.join(', ')}${more}: neither train nor val; left out`);
  }
  const features = await featuresOf(files.train[0].file, warnings);
  let opened = 0;
  const shardsOf = (shards: readonly ShardFile[]) =>
    mapBounded(shards, AT_ONCE, async (each) => {
      const labelled = await openLabelled(each, features);
      options.onProgress?.({ phase: 'listing', done: ++opened, total: files.train.length + files.val.length });
      return labelled;
    });
  const [trainShards, valShards] = [await shardsOf(files.train), await shardsOf(files.val)];
  const rowsOf = async (shards: readonly LabelledShard[]) =>
    readable(source, labelledRows(source, shards, warnings), features, options, warnings);
  let [train, val] = [await rowsOf(trainShards), await rowsOf(valShards)];
  if (train.length === 0) {
    throw new DataError(`${source}: has no row with a label and an image that can be read`, files.train[0].file);
  }
  if (val.length === 0) {
    [train, val] = holdOut(train, options.valFraction ?? DEFAULT_VAL_FRACTION, (row) => ({ label: row.label, name: nameOf(row) }));
  }
  const values = features.names ? features.names.map((_, label) => label) : [...new Set(train.map(({ label }) => label))].sort(ascending);
  const classes = features.names ?? values.map(String);
  const labelOf = new Map(values.map((value, label) => [value, label]));
  checkLabels(source, labelOf, train, val);

  const reading = {
    source,
    size: options.imageSize,
    cache: new ByteCache<Example>(options.cacheBytes ?? DEFAULT_CACHE_BYTES),
    reader: readerFor(options, warnings),
  };
  const hash = new Hash().add('parquet').add(classes.join('\n'));
  const split = (name: string, rows: readonly Row[]): Split => {
    const labels = Int32Array.from(rows, ({ label }) => labelOf.get(label) as number);
    hash.add(name).add(labels.length).add(new Uint8Array(labels.buffer));
    return encodedSplit({ labels, at: (index) => ({ place: placeOf(rows[index], features), name: nameOf(rows[index]) }) }, reading);
  };
  const splits = { train: split('train', train), val: split('val', val) };
  for (const { path, file, shard } of [...trainShards, ...valShards]) {
    hash.add(path).add(shard.bytes);
    // The end of a file, which tells the length of every column in every row group, is in its last KiB.
    await addSample(hash, file, shard.bytes, SAMPLED_KIB);
  }
  return {
    name: source,
    classes,
    channels: 3,
    splits,
    imageSize: options.imageSize === undefined ? undefined : [options.imageSize, options.imageSize],
    credits: [],
    fingerprint: hash.hex(),
    warnings: warnings.list,
  };
}

const placeOf = ({ shard, row }: Row, { image }: Features): Place => ({ file: shard.file, column: image, row });
const nameOf = ({ shard, row }: Row): string => `${shard.path}#${row}`;
const ascending = (a: number | string, b: number | string): number => (a < b ? -1 : 1);

/** What the files call image and label: by Hugging Face's description of the features where there is one, else by type and name. */
async function featuresOf(file: string, warnings: Warnings): Promise<Features> {
  const shard = await ParquetShard.open(file);
  const described = describedFeatures(shard);
  const names = shard.columns.map(({ element }) => element.name);
  const ofType = (type: string) => names.filter((name) => described[name]?._type === type);
  const images =
    [ofType('Image'), shard.columns.filter(holdsBytes).map(({ element }) => element.name)].find((some) => some.length > 0) ?? [];
  const image = oneOf(images, IMAGE_NAMES);
  if (image === undefined) {
    throw new DataError(
      `${file}: none of its columns holds images: ${names.join(', ')}; expected a column of bytes, or of { bytes, path } as Hugging Face stores images`,
      file,
    );
  }
  const others = names.filter((name) => name !== image);
  const labels = [
    ofType('ClassLabel'),
    others.filter((name) => LABEL_NAMES.includes(name.toLowerCase())),
    others.length === 1 ? others : [],
  ];
  const label = oneOf(labels.find((some) => some.length > 0) ?? [], LABEL_NAMES);
  if (label === undefined) {
    throw new DataError(`${file}: none of its columns holds labels: ${names.join(', ')}; expected one that is called label`, file);
  }
  const alike = (labels.find((some) => some.length > 0) ?? []).filter((name) => name !== label);
  if (alike.length > 0) warnings.add(`${file}: ${label} is taken for the label; ${alike.join(', ')} would do as well`);
  const unpacked = await shard.bytesAnImage(image);
  if (unpacked > LARGE_PAGE) {
    warnings.add(
      `${file}: every image read in random order unpacks ${Math.round(unpacked / 2 ** 20)} MiB, which is slow; written in row groups of 100 rows, as Hugging Face does, it is read many times faster`,
    );
  }
  return { image, label, names: described[label]?._type === 'ClassLabel' ? described[label].names : undefined };
}

/** The first of the usual names among some, or the first of all. */
const oneOf = (some: readonly string[], usual: readonly string[]): string | undefined =>
  usual.find((name) => some.includes(name)) ?? some[0];

/** Bytes, or a struct with a field of bytes. */
function holdsBytes({ element, children }: SchemaTree): boolean {
  const { type, converted_type, logical_type } = children.find((child) => child.element.name === 'bytes')?.element ?? element;
  return type === 'BYTE_ARRAY' && converted_type === undefined && logical_type === undefined;
}

type Described = Record<string, { _type?: string; names?: string[] } | undefined>;

/** What `datasets` writes about the columns into the file's metadata: { info: { features: { label: { names, _type: 'ClassLabel' } } } }. */
function describedFeatures({ file, metadata }: ParquetShard): Described {
  const text = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
  if (text === undefined) return {};
  try {
    return (JSON.parse(text) as { info?: { features?: Described } }).info?.features ?? {};
  } catch (error) {
    throw new DataError(`${file}: its description by Hugging Face is not JSON: ${reasonOf(error)}`, file, error);
  }
}

async function openLabelled(each: ShardFile, { image, label, names }: Features): Promise<LabelledShard> {
  const shard = await ParquetShard.open(each.file);
  const found = shard.columns.map(({ element }) => element.name);
  for (const wanted of [image, label]) {
    if (!found.includes(wanted))
      throw new DataError(
        `${each.file}: has the columns ${found.join(', ')}; expected ${wanted} among them, as in the first file`,
        each.file,
      );
  }
  const values = await shard.column(label);
  const labels = values.map((value, row) => {
    // Missing, or -1 as Hugging Face marks the rows of a test split.
    if (value === null || value === undefined || (typeof value !== 'string' && Number(value) < 0)) return undefined;
    if (typeof value === 'string' && !names) return value;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number < (names?.length ?? Number.POSITIVE_INFINITY)) return number;
    const expected = names ? `a whole number below ${names.length}, the number of classes` : 'a whole number or text';
    throw new DataError(`${each.file}, row ${row}: ${label} is ${String(value)}, expected ${expected}`, each.file);
  });
  return { ...each, shard, labels };
}

function labelledRows(source: string, shards: readonly LabelledShard[], warnings: Warnings): Row[] {
  const rows: Row[] = [];
  let without = 0;
  for (const shard of shards) {
    for (const [row, label] of shard.labels.entries()) {
      if (label === undefined) without++;
      else rows.push({ shard, row, label });
    }
  }
  if (without > 0)
    warnings.add(`${source}: ${without} ${without === 1 ? 'row has no label and is' : 'rows have no label and are'} left out`);
  return rows;
}

/** The rows whose images can be read. Of a large data set that is not looked at: it would mean to read all of it. */
async function readable(source: string, rows: Row[], features: Features, options: OpenOptions, warnings: Warnings): Promise<Row[]> {
  if (!verifiesAll(options, rows.length)) return rows;
  const places = rows.map((row) => placeOf(row, features));
  const good = await verified(source, places, true, options, warnings);
  return rows.filter((_, i) => good[i]);
}

function checkLabels(source: string, labelOf: ReadonlyMap<number | string, number>, train: readonly Row[], val: readonly Row[]): void {
  const seen = new Set(train.map(({ label }) => label));
  if (seen.size < 2) throw new DataError(`${source}: has images of one class only; a classifier needs at least two`);
  const stranger = val.find(({ label }) => !labelOf.has(label));
  if (stranger)
    throw new DataError(
      `${nameOf(stranger)}: has the label ${stranger.label}, which train lacks; expected the same classes in both`,
      stranger.shard.file,
    );
}
