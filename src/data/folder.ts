/** A folder of images, a folder a class: `DIR/CLASS/…`, or `DIR/train/CLASS/…` with `DIR/val/CLASS/…` beside it. */
import { ByteCache } from './cache.js';
import { type Dataset, DEFAULT_CACHE_BYTES, type Example, type OpenOptions, type Split, Warnings } from './dataset.js';
import { encodedSplit, verified, verifiesAll } from './encoded.js';
import { DataError } from './errors.js';
import { addSample } from './file_bytes.js';
import { Hash } from './hash.js';
import { DEFAULT_VAL_FRACTION, holdOut } from './holdout.js';
import { type Entry, listImages } from './listing.js';
import { readerFor } from './worker_reader.js';

/** Of so many files the fingerprint knows contents too. */
const SAMPLED_FILES = 1000;

/** Opens a folder of class folders. Throws `DataError` where there is nothing to learn from: missing, empty, one class, no readable image. */
export async function openFolder(source: string, options: OpenOptions = {}): Promise<Dataset> {
  const warnings = new Warnings(options.onWarning);
  const listed = await listImages(source, options, warnings);
  let train = await readable(source, listed.train, options, warnings);
  let val = await readable(source, listed.val, options, warnings);
  if (train.length === 0)
    throw new DataError(`${source}: no image in it can be read; expected JPEG, PNG, WebP, GIF, TIFF or AVIF files`, source);
  if (val.length === 0) {
    const of = (entry: Entry) => ({ label: entry.className, name: entry.path });
    [train, val] = holdOut(train, options.valFraction ?? DEFAULT_VAL_FRACTION, of);
  }

  const classes = [...new Set(train.map((entry) => entry.className))].sort();
  if (classes.length < 2) {
    throw new DataError(`${source}: has images of one class only, ${classes[0]}; a classifier needs at least two class folders`, source);
  }
  const strangers = [...new Set(val.map((entry) => entry.className).filter((name) => !classes.includes(name)))];
  if (strangers.length > 0) {
    throw new DataError(
      `${source}: val has classes that train lacks: ${strangers.join(', ')}; expected the same class folders in both`,
      source,
    );
  }
  const unseen = classes.filter((name) => !val.some((entry) => entry.className === name));
  if (unseen.length > 0)
    warnings.add(`${source}: val has no image of ${unseen.join(', ')}; errors say nothing about ${unseen.length === 1 ? 'it' : 'them'}`);

  const { join } = await import('node:path');
  const hash = new Hash().add('folder');
  for (const [name, entries] of [
    ['train', train],
    ['val', val],
  ] as const) {
    hash.add(name);
    for (const entry of entries) hash.add(entry.path).add(entry.bytes);
  }
  await addContents(hash, source, [...train, ...val]);
  const reading = {
    source,
    size: options.imageSize,
    cache: new ByteCache<Example>(options.cacheBytes ?? DEFAULT_CACHE_BYTES),
    reader: readerFor(options, warnings),
  };
  const split = (entries: readonly Entry[]): Split =>
    encodedSplit(
      {
        labels: Int32Array.from(entries, (entry) => classes.indexOf(entry.className)),
        at: (index) => ({ place: { file: join(source, entries[index].path) }, name: entries[index].path }),
      },
      reading,
    );
  return {
    name: source,
    classes,
    channels: 3,
    splits: { train: split(train), val: split(val) },
    imageSize: options.imageSize === undefined ? undefined : [options.imageSize, options.imageSize],
    credits: [],
    fingerprint: hash.hex(),
    warnings: warnings.list,
  };
}

/** The entries that can be read. */
async function readable(source: string, entries: readonly Entry[], options: OpenOptions, warnings: Warnings): Promise<Entry[]> {
  const { join } = await import('node:path');
  const places = entries.map(({ path }) => ({ file: join(source, path) }));
  const good = await verified(source, places, verifiesAll(options, entries.length), options, warnings);
  return entries.filter((_, i) => good[i]);
}

/**
 * Adds to a hash what paths and lengths do not tell: that a file was replaced by another of its length. To read every byte of a
 * large folder would take hours at each resume, and dates of change do not survive copying. So of a thousand files, evenly
 * spread, the first and the last KiB are taken: another picture, or the same encoded anew, differs there. A small folder, or
 * the change of a whole folder, is noticed for certain; a single file exchanged among a million may go unseen.
 */
async function addContents(hash: Hash, source: string, entries: readonly Entry[]): Promise<void> {
  const { join } = await import('node:path');
  const count = Math.min(SAMPLED_FILES, entries.length);
  for (let i = 0; i < count; i++) {
    const { path, bytes } = entries[Math.floor((i * entries.length) / count)];
    await addSample(hash, join(source, path), bytes, 2);
  }
}
