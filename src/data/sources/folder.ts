/** Reads a folder of images with one folder per class: `DIR/CLASS/…`, or `DIR/train/CLASS/…` and `DIR/val/CLASS/…`. */

import { neededNodeModule } from '../../backend/node_module.js';
import { firstNames } from '../../backend/validate.js';
import { type Dataset, DEFAULT_CACHE_BYTES, type Example, type OpenOptions, type Split, Warnings } from '../dataset.js';
import { DataError } from '../errors.js';
import { ByteCache } from '../files/cache.js';
import { addSample } from '../files/file_bytes.js';
import { Hash } from '../files/hash.js';
import { shownPath } from '../files/paths.js';
import { readerFor } from '../reading/worker_reader.js';
import { encodedSplit, verified, verifiesAll } from './encoded.js';
import { DEFAULT_VAL_FRACTION, holdOut } from './holdout.js';
import { type Entry, type Listing, listImages } from './listing.js';
import { arrangeSplits } from './split_names.js';

/** Number of files whose contents are sampled for the fingerprint. */
const SAMPLED_FILES = 1000;

/**
 * Opens a folder with one folder per class (PyTorch: `ImageFolder`).
 *
 * @throws DataError if the folder is missing or empty, if no image can be read, or if there is only one class (with `divide`)
 */
export async function openFolder(source: string, options: OpenOptions = {}): Promise<Dataset> {
  const warnings = new Warnings(options.onWarning);
  const divide = options.divide ?? true;
  const splits = await readableSplits(source, divide, options, warnings);
  if (divide && !splits.val) {
    const of = (entry: Entry) => ({ label: entry.className, name: entry.path });
    [splits.train, splits.val] = holdOut(splits.train, options.valFraction ?? DEFAULT_VAL_FRACTION, of);
  }
  const classes = classesOf(source, splits, divide, warnings);

  const { join } = await neededNodeModule('node:path');
  const hash = new Hash().add('folder');
  for (const [name, entries] of Object.entries(splits)) {
    hash.add(name);
    for (const entry of entries) hash.add(entry.path).add(entry.bytes);
  }
  await addContents(hash, source, Object.values(splits).flat());
  const reading = {
    source,
    size: options.imageSize,
    cache: new ByteCache<Example>(options.cacheBytes ?? DEFAULT_CACHE_BYTES),
    reader: readerFor(options, warnings),
    pixelLimit: options.pixelLimit,
  };
  const labelOf = new Map(classes.map((name, label) => [name, label]));
  const split = (entries: readonly Entry[]): Split =>
    encodedSplit(
      {
        labels: Int32Array.from(entries, (entry) => labelOf.get(entry.className) as number),
        at: (index) => ({ place: { file: join(source, entries[index].path) }, name: shownPath(entries[index].path) }),
      },
      reading,
    );
  return {
    name: source,
    classes,
    channels: 3,
    splits: Object.fromEntries(Object.entries(splits).map(([name, entries]) => [name, split(entries)])),
    imageSize: options.imageSize === undefined ? undefined : [options.imageSize, options.imageSize],
    credits: [],
    fingerprint: hash.hex(),
    warnings: warnings.list,
  };
}

/** Returns the readable images of each split. Throws if there are none to train on. */
async function readableSplits(source: string, divide: boolean, options: OpenOptions, warnings: Warnings): Promise<Record<string, Entry[]>> {
  const found = await listImages(source, options, warnings);
  const readableOf: Listing = {};
  for (const [name, entries] of Object.entries(found) as [keyof Listing, Entry[]][]) {
    const good = await readable(source, entries, options, warnings);
    if (good.length > 0) readableOf[name] = good;
  }
  const none = Object.keys(readableOf).length === 0 || (divide && found.train !== undefined && readableOf.train === undefined);
  if (none) throw new DataError(`${source}: no image in it can be read; expected JPEG, PNG, WebP, GIF, TIFF or AVIF files`, source);
  const splits = arrangeSplits(readableOf, divide);
  if (!splits)
    throw new DataError(
      `${source}: has the splits ${Object.keys(readableOf).join(', ')}, but no folder train to learn from; add one, or name one of the folders in it`,
      source,
    );
  return splits;
}

/** Returns the sorted class names of `train`, or of all splits if there is no `train`. */
function classesOf(source: string, splits: Readonly<Record<string, readonly Entry[]>>, divide: boolean, warnings: Warnings): string[] {
  const { train, ...others } = splits;
  const namesOf = (entries: readonly Entry[]) => [...new Set(entries.map(({ className }) => className))].sort();
  const classes = namesOf(train ?? Object.values(others).flat());
  if (divide && classes.length < 2)
    throw new DataError(`${source}: has images of one class only, ${classes[0]}; a classifier needs at least two class folders`, source);
  if (!train) return classes;
  for (const [name, entries] of Object.entries(others)) {
    const there = new Set(namesOf(entries));
    const strangers = [...there].filter((each) => !classes.includes(each));
    if (strangers.length > 0) {
      throw new DataError(
        `${source}: ${name} has classes that train lacks: ${firstNames(strangers, 5)}; expected the same class folders in both`,
        source,
      );
    }
    const unseen = classes.filter((each) => !there.has(each));
    if (unseen.length > 0)
      warnings.add(
        `${source}: ${name} has no image of ${firstNames(unseen, 5)}; its error rates do not cover ${unseen.length === 1 ? 'this class' : 'these classes'}`,
      );
  }
  return classes;
}

/** Returns the entries that can be read. */
async function readable(source: string, entries: readonly Entry[], options: OpenOptions, warnings: Warnings): Promise<Entry[]> {
  const { join } = await neededNodeModule('node:path');
  const places = entries.map(({ path }) => ({ file: join(source, path) }));
  const good = await verified(source, places, verifiesAll(options, entries.length), options, warnings);
  return entries.filter((_, i) => good[i]);
}

/**
 * Adds samples of the file contents to a hash, to detect a file that was replaced by another of the same length. Reading every byte of
 * a large folder would take hours at each resume, and modification times change when files are copied. So the first and last KiB of
 * up to a thousand evenly spaced files are read: another image, or the same one encoded again, differs there. Changes are detected
 * reliably in small folders and when all files change; one replaced file among a million may go undetected.
 */
async function addContents(hash: Hash, source: string, entries: readonly Entry[]): Promise<void> {
  const { join } = await neededNodeModule('node:path');
  const count = Math.min(SAMPLED_FILES, entries.length);
  for (let i = 0; i < count; i++) {
    const { path, bytes } = entries[Math.floor((i * entries.length) / count)];
    await addSample(hash, join(source, path), bytes, 2);
  }
}
