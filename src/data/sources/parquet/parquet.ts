/** Reads `parquet:FILES`: parquet files with columns of encoded images and labels, as Hugging Face stores image data sets. */
import { firstNames, quote, show } from '../../../backend/validate.js';
import { mapBounded } from '../../bounded.js';
import { type Dataset, DEFAULT_CACHE_BYTES, type Example, type OpenOptions, type Split, Warnings } from '../../dataset.js';
import { DataError } from '../../errors.js';
import { ByteCache } from '../../files/cache.js';
import { addSample } from '../../files/file_bytes.js';
import { Hash } from '../../files/hash.js';
import type { Place } from '../../reading/reader.js';
import { readerFor } from '../../reading/worker_reader.js';
import { encodedSplit, verified, verifiesAll } from '../encoded.js';
import { DEFAULT_VAL_FRACTION, holdOut } from '../holdout.js';
import { classPlaces, type Features, featuresOf } from './parquet_columns.js';
import { listShards, type ShardFile } from './parquet_files.js';
import { ParquetShard } from './parquet_shard.js';

/** Number of files whose footers are read concurrently. */
const AT_ONCE = 8;
/** Number of KiB of each file that are sampled for the fingerprint, besides the labels. */
const SAMPLED_KIB = 64;

/** A parquet file with the label of each row; undefined for rows without a label. */
interface LabelledShard extends ShardFile {
  readonly shard: ParquetShard;
  readonly labels: readonly (number | string | undefined)[];
}

/** A row with a label: a class index, or a class name if the column contains strings. */
interface Row {
  readonly shard: LabelledShard;
  readonly row: number;
  readonly label: number | string;
}

/**
 * Opens a comma-separated list of parquet files, folders and patterns.
 *
 * @throws DataError naming the file that cannot be read, or the columns if none contains images or labels
 */
export async function openParquet(list: string, options: OpenOptions = {}): Promise<Dataset> {
  const source = `parquet:${list}`;
  const warnings = new Warnings(options.onWarning);
  const divide = options.divide ?? true;
  const files = await listShards(list, divide);
  if (files.leftOut.length > 0) warnings.add(`${source}: ${firstNames(files.leftOut, 5)}: left out`);
  const all = Object.values(files.splits).flat();
  const features = await featuresOf(all[0].file, options, warnings);
  let opened = 0;
  const shards = new Map(
    await mapBounded(all, AT_ONCE, async (each): Promise<[ShardFile, LabelledShard]> => {
      const labelled = await openLabelled(each, features);
      options.onProgress?.({ phase: 'listing', done: ++opened, total: all.length });
      return [each, labelled];
    }),
  );
  const splits = await rowsOf(source, files.splits, shards, features, options, warnings);
  if (divide && !splits.val) {
    const of = (row: Row) => ({ label: row.label, name: nameOf(row) });
    [splits.train, splits.val] = holdOut(splits.train, options.valFraction ?? DEFAULT_VAL_FRACTION, of);
  }
  const learnt = splits.train ?? Object.values(splits).flat();
  const values = features.names ? features.names.map((_, label) => label) : [...new Set(learnt.map(({ label }) => label))].sort(ascending);
  const classes = features.names ?? values.map(String);
  const labelOf = new Map(values.map((value, label) => [value, label]));
  checkLabels(source, labelOf, splits, divide);
  if (!features.names) checkClasses(source, classes, Object.values(splits).flat().length, features, warnings);

  const reading = {
    source,
    size: options.imageSize,
    cache: new ByteCache<Example>(options.cacheBytes ?? DEFAULT_CACHE_BYTES),
    reader: readerFor(options, warnings),
    pixelLimit: options.pixelLimit,
  };
  const hash = new Hash().add('parquet').add(classes.join('\n'));
  const split = (name: string, rows: readonly Row[]): Split => {
    const labels = Int32Array.from(rows, ({ label }) => labelOf.get(label) as number);
    hash.add(name).add(labels.length).add(new Uint8Array(labels.buffer));
    return encodedSplit({ labels, at: (index) => ({ place: placeOf(rows[index], features), name: nameOf(rows[index]) }) }, reading);
  };
  const views = Object.fromEntries(Object.entries(splits).map(([name, rows]) => [name, split(name, rows)]));
  for (const { path, file, shard } of shards.values()) {
    hash.add(path).add(shard.bytes);
    // The sample includes the last KiB of the file, which is part of the footer with the lengths of all columns.
    await addSample(hash, file, shard.bytes, SAMPLED_KIB);
  }
  return {
    name: source,
    classes,
    channels: 3,
    splits: views,
    imageSize: options.imageSize === undefined ? undefined : [options.imageSize, options.imageSize],
    credits: [],
    fingerprint: hash.hex(),
    warnings: warnings.list,
  };
}

const placeOf = ({ shard, row }: Row, { image }: Features): Place => ({ file: shard.file, column: image, row });
const nameOf = ({ shard, row }: Row): string => `${shard.path}#${row}`;
const ascending = (a: number | string, b: number | string): number => (a < b ? -1 : 1);

/** Returns the rows of each split that have a label and, as far as it is checked, a readable image. */
async function rowsOf(
  source: string,
  files: Readonly<Record<string, readonly ShardFile[]>>,
  shards: ReadonlyMap<ShardFile, LabelledShard>,
  features: Features,
  options: OpenOptions,
  warnings: Warnings,
): Promise<Record<string, Row[]>> {
  const splits: Record<string, Row[]> = {};
  for (const [name, members] of Object.entries(files)) {
    const labelled = labelledRows(
      source,
      members.map((each) => shards.get(each) as LabelledShard),
      warnings,
    );
    const rows = await readable(source, labelled, features, options, warnings);
    if (rows.length > 0) splits[name] = rows;
  }
  const [[first]] = Object.values(files);
  if (Object.keys(splits).length === 0 || (files.train && !splits.train))
    throw new DataError(`${source}: has no row with a label and an image that can be read`, first.file);
  return splits;
}

async function openLabelled(each: ShardFile, features: Features): Promise<LabelledShard> {
  const { image, label } = features;
  const shard = await ParquetShard.open(each.file);
  const found = shard.columns.map(({ element }) => element.name);
  for (const wanted of [image, label]) {
    if (!found.includes(wanted))
      throw new DataError(
        `${each.file}: has the columns ${found.join(', ')}; expected ${wanted} among them, as in the first file`,
        each.file,
      );
  }
  const places = classPlaces(shard, features);
  const values = await shard.column(label);
  return { ...each, shard, labels: values.map((value, row) => labelOfRow(each.file, row, value, features, places)) };
}

/** Returns the label of a row: an integer, a string, or undefined if there is none. */
function labelOfRow(
  file: string,
  row: number,
  value: unknown,
  { label, names }: Features,
  places: readonly number[] | undefined,
): number | string | undefined {
  // The label is missing, or -1, which Hugging Face uses for the rows of a test split without labels.
  if (value === null || value === undefined || (typeof value !== 'string' && Number(value) < 0)) return undefined;
  if (typeof value === 'boolean' && !places) return String(value);
  if (typeof value === 'string' && !places) return value.normalize('NFC');
  const number = typeof value === 'bigint' || typeof value === 'boolean' ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number < (places?.length ?? Number.POSITIVE_INFINITY))
    return places ? places[number] : number;
  const expected = names ? `a whole number below ${names.length}, the number of classes` : 'a whole number or text';
  throw new DataError(`${file}, row ${row}: ${label} is ${show(value)}, expected ${expected}`, file);
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

/** Returns the rows whose images can be read. Large data sets are not checked, because all of their data would have to be read. */
async function readable(source: string, rows: Row[], features: Features, options: OpenOptions, warnings: Warnings): Promise<Row[]> {
  if (!verifiesAll(options, rows.length)) return rows;
  const places = rows.map((row) => placeOf(row, features));
  const good = await verified(source, places, true, options, warnings);
  return rows.filter((_, i) => good[i]);
}

function checkLabels(
  source: string,
  labelOf: ReadonlyMap<number | string, number>,
  { train, ...others }: Readonly<Record<string, readonly Row[]>>,
  divide: boolean,
): void {
  if (divide && new Set(train.map(({ label }) => label)).size < 2)
    throw new DataError(`${source}: has images of one class only; a classifier needs at least two`);
  for (const rows of Object.values(others)) {
    const stranger = rows.find(({ label }) => !labelOf.has(label));
    if (stranger)
      throw new DataError(
        `${nameOf(stranger)}: has the label ${show(stranger.label)}, which train lacks; expected the same classes in both`,
        stranger.shard.file,
      );
  }
}

/** Below this number of rows, `checkClasses` does nothing. */
const FEW_ROWS = 8;

/** Detects a column of captions or identifiers, which differ in almost every row, that was taken for the labels. */
function checkClasses(source: string, classes: readonly string[], rows: number, { label, certain }: Features, warnings: Warnings): void {
  if (rows < FEW_ROWS || 2 * classes.length <= rows) return;
  const found = `${source}: the column ${label} has ${classes.length} different values in ${rows} rows (${firstNames(classes.map(quote), 3)})`;
  if (!certain)
    throw new DataError(
      `${found}, too many for classes; choose the label column with --label-column (labelColumn), or confirm ${label} by naming it there`,
    );
  warnings.add(`${found}: most classes have a single image`);
}
