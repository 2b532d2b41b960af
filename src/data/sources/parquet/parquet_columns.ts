/** Finds the image and label columns of a parquet file, and the class names. */
import type { SchemaTree } from 'hyparquet';
import { firstNames, isPlainObject, nearestName, quote, show } from '../../../backend/validate.js';
import type { OpenOptions, Warnings } from '../../dataset.js';
import { DataError, reasonOf } from '../../errors.js';
import { ParquetShard } from './parquet_shard.js';

const IMAGE_NAMES = ['image', 'img', 'picture', 'photo', 'bytes'];
const LABEL_NAMES = ['label', 'labels', 'class', 'target', 'fine_label'];
/** Page size in bytes from which decompressing a page takes many times longer than decoding an image. */
const LARGE_PAGE = 32 * 2 ** 20;

/** The columns of a data set, and its class names if the first file has them. */
export interface Features {
  readonly image: string;
  readonly label: string;
  readonly names: readonly string[] | undefined;
  /** Whether the label column was given by the user or declared in the file, so that any number of classes is accepted. */
  readonly certain: boolean;
}

/**
 * Finds the image and label columns: those given in the options, else those declared in the metadata of Hugging Face, else by type and
 * name.
 */
export async function featuresOf(file: string, options: OpenOptions, warnings: Warnings): Promise<Features> {
  const shard = await ParquetShard.open(file);
  const described = describedFeatures(shard);
  const image = imageColumn(shard, described, options.imageColumn, warnings);
  const label = labelColumn(shard, described, image, options.labelColumn, warnings);
  const unpacked = await shard.bytesPerImage(image);
  if (unpacked > LARGE_PAGE) {
    warnings.add(
      `${file}: every image read in random order decompresses ${Math.round(unpacked / 2 ** 20)} MiB, which is slow; write the file in row groups of 100 rows, as Hugging Face does, to read it many times faster`,
    );
  }
  const names = classNames(shard, label);
  return { image, label, names, certain: names !== undefined || options.labelColumn !== undefined };
}

type Described = ReadonlyMap<string, Record<string, unknown>>;
type Reported = Pick<Warnings, 'add'>;

function imageColumn(shard: ParquetShard, described: Described, wanted: string | undefined, warnings: Reported): string {
  const { file, columns } = shard;
  if (wanted !== undefined) {
    const column = columnCalled(shard, wanted, 'imageColumn');
    if (!holdsBytes(column))
      throw new DataError(
        `${file}: the column ${quote(wanted)} contains no images; expected a column of bytes, or of { bytes, path } as Hugging Face stores images`,
        file,
      );
    return wanted;
  }
  const names = columns.map(({ element }) => element.name);
  const typed = columns.filter((column) => described.get(column.element.name)?._type === 'Image' && holdsBytes(column));
  const images = (typed.length > 0 ? typed : columns.filter(holdsBytes)).map(({ element }) => element.name);
  if (images.length === 0) {
    throw new DataError(
      `${file}: none of its columns contains images: ${names.join(', ')}; expected a column of bytes, or of { bytes, path } as Hugging Face stores images`,
      file,
    );
  }
  if (images.length === 1) return images[0];
  const usual = IMAGE_NAMES.find((name) => images.includes(name));
  if (usual === undefined)
    throw new DataError(
      `${file}: several of its columns contain images: ${images.join(', ')}; choose one with --image-column (imageColumn)`,
      file,
    );
  const others = images.filter((name) => name !== usual);
  warnings.add(
    `${file}: the images are read from the column ${usual}, but ${others.join(', ')} would be possible too; choose one with --image-column (imageColumn)`,
  );
  return usual;
}

function labelColumn(shard: ParquetShard, described: Described, image: string, wanted: string | undefined, warnings: Reported): string {
  const { file, columns } = shard;
  const names = columns.map(({ element }) => element.name);
  const others = names.filter((name) => name !== image);
  let label = wanted;
  if (label === undefined) {
    const groups = [
      others.filter((name) => described.get(name)?._type === 'ClassLabel'),
      others.filter((name) => LABEL_NAMES.includes(name.toLowerCase())),
      others.length === 1 ? others : [],
    ];
    const some = groups.find((group) => group.length > 0) ?? [];
    label = LABEL_NAMES.find((name) => some.includes(name)) ?? some[0];
    const alike = some.filter((name) => name !== label);
    if (alike.length > 0)
      warnings.add(
        `${file}: the labels are read from the column ${label}, but ${alike.join(', ')} would be possible too; choose one with --label-column (labelColumn)`,
      );
  }
  if (label === undefined)
    throw new DataError(
      `${file}: none of its columns is known to contain labels: ${names.join(', ')}; expected one named label; choose one with --label-column (labelColumn)`,
      file,
    );
  const { children, element } = columnCalled(shard, label, 'labelColumn');
  if (children.length > 0 || element.repetition_type === 'REPEATED')
    throw new DataError(`${file}: the column ${quote(label)} contains a list or a structure per row, expected one label per row`, file);
  return label;
}

function columnCalled({ file, columns }: ParquetShard, name: string, option: string): SchemaTree {
  const found = columns.find(({ element }) => element.name === name);
  if (found) return found;
  const names = columns.map(({ element }) => element.name);
  const near = nearestName(name, names);
  throw new DataError(
    `${file}: ${option} is ${quote(name)}, expected one of its columns: ${names.join(', ')}${near ? `; did you mean ${quote(near)}?` : ''}`,
    file,
  );
}

/** Whether a column contains bytes, or a struct with a field `bytes`. */
function holdsBytes({ element, children }: SchemaTree): boolean {
  const field = children.length > 0 ? children.find((child) => child.element.name === 'bytes')?.element : element;
  if (!field || element.repetition_type === 'REPEATED' || field.repetition_type === 'REPEATED') return false;
  return field.type === 'BYTE_ARRAY' && field.converted_type === undefined && field.logical_type === undefined;
}

/**
 * Reads the column descriptions that Hugging Face's `datasets` writes to the file metadata:
 * { info: { features: { label: { names, _type: 'ClassLabel' } } } }.
 */
function describedFeatures({ file, metadata }: ParquetShard): Described {
  const text = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
  if (text === undefined || text === null) return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new DataError(`${file}: its Hugging Face metadata is not JSON: ${reasonOf(error)}`, file, error);
  }
  const info = isPlainObject(parsed) ? parsed.info : undefined;
  const features = isPlainObject(info) ? info.features : undefined;
  const entries = isPlainObject(features) ? Object.entries(features) : [];
  return new Map(entries.filter((entry): entry is [string, Record<string, unknown>] => isPlainObject(entry[1])));
}

/** Returns the class names in the order of this file's labels, or undefined if the file has none. */
export function classNames(shard: ParquetShard, label: string): string[] | undefined {
  const feature = describedFeatures(shard).get(label);
  if (feature?._type !== 'ClassLabel' || feature.names === undefined || feature.names === null) return undefined;
  const { names } = feature;
  // A list, or an object from label to name.
  const count = isPlainObject(names) ? Object.keys(names).length : 0;
  const list = isPlainObject(names) ? Array.from({ length: count }, (_, i) => (Object.hasOwn(names, i) ? names[i] : undefined)) : names;
  const fault = (got: string, wanted: string) =>
    new DataError(
      `${shard.file}: the classes of ${quote(label)} are described by ${got}, expected ${wanted}; write the file again`,
      shard.file,
    );
  if (!Array.isArray(list) || list.length === 0 || !list.every((name) => typeof name === 'string'))
    throw fault(show(names), 'a list of names, or an object from 0, 1, … to names');
  const classes = (list as string[]).map((name) => name.normalize('NFC'));
  const twice = classes.find((name, i) => classes.indexOf(name) !== i);
  if (twice !== undefined) throw fault(`a list with ${quote(twice)} twice`, 'names that differ');
  return classes;
}

/**
 * Maps the labels of a file to the class indices of the data set, because files may list the same classes in different orders. Returns
 * undefined if neither has class names.
 */
export function classPlaces(shard: ParquetShard, { label, names }: Features): readonly number[] | undefined {
  const own = classNames(shard, label);
  if (own === undefined && names === undefined) return undefined;
  const places = own?.map((name) => names?.indexOf(name) ?? -1);
  if (places && places.length === names?.length && !places.includes(-1)) return places;
  const told = (list: readonly string[] | undefined) => (list ? firstNames(list, 8) : 'without names');
  throw new DataError(
    `${shard.file}: its classes are ${told(own)}, those of the first file ${told(names)}; expected the same names in every file, in any order`,
    shard.file,
  );
}
