/** A folder of images, a folder a class: `DIR/CLASS/…`, or `DIR/train/CLASS/…` with `DIR/val/CLASS/…` beside it. */
import { mapBounded } from './bounded.js';
import { ByteCache } from './cache.js';
import { checkIndex, type Dataset, DEFAULT_CACHE_BYTES, type Example, type OpenOptions, type Split, Warnings } from './dataset.js';
import { DataError, reasonOf } from './errors.js';
import { Hash } from './hash.js';
import { loadSharp, readImage } from './image.js';
import { type Entry, listImages } from './listing.js';

/** Decoding goes on in sharp's own threads; this many files are on their way at once. */
const AT_ONCE = 8;
/** Up to here every image is decoded once at opening, so that a broken one is known before hours of training. */
const VERIFY_ALL_BELOW = 5_000;
/** So many broken files are named one by one. */
const NAMED_BROKEN = 5;

/** Opens a folder of class folders. Throws `DataError` where there is nothing to learn from: missing, empty, one class, no readable image. */
export async function openFolder(source: string, options: OpenOptions = {}): Promise<Dataset> {
  const warnings = new Warnings(options.onWarning);
  const listed = await listImages(source, options, warnings);
  let train = await verified(source, listed.train, options, warnings);
  let val = await verified(source, listed.val, options, warnings);
  if (train.length === 0)
    throw new DataError(`${source}: no image in it can be read; expected JPEG, PNG, WebP, GIF, TIFF or AVIF files`, source);
  if (val.length === 0) [train, val] = holdOut(train, options.valFraction ?? 0.1);

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

  const cache = new ByteCache<Example>(options.cacheBytes ?? DEFAULT_CACHE_BYTES);
  const hash = new Hash().add('folder');
  for (const [name, entries] of [
    ['train', train],
    ['val', val],
  ] as const) {
    hash.add(name);
    for (const entry of entries) hash.add(entry.path).add(entry.bytes);
  }
  const split = (entries: readonly Entry[]): Split => fileSplit(source, entries, classes, options.imageSize, cache);
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

function fileSplit(
  root: string,
  entries: readonly Entry[],
  classes: readonly string[],
  size: number | undefined,
  cache: ByteCache<Example>,
): Split {
  const labels = Int32Array.from(entries, (entry) => classes.indexOf(entry.className));
  return {
    length: entries.length,
    labels,
    async get(index) {
      checkIndex(index, entries.length, root);
      const name = entries[index].path;
      const kept = cache.get(name);
      if (kept) return kept;
      const { join } = await import('node:path');
      const example = { image: await readImage(join(root, name), { size }), label: labels[index], index, name };
      cache.set(name, example, example.image.data.length);
      return example;
    },
  };
}

/** The entries that can be read; the others are named, counted and left out. */
async function verified(root: string, entries: readonly Entry[], options: OpenOptions, warnings: Warnings): Promise<Entry[]> {
  const { join } = await import('node:path');
  const { verify = 'auto' } = options;
  const whole = verify === 'all' || (verify === 'auto' && entries.length <= VERIFY_ALL_BELOW);
  const sharp = await loadSharp();
  let done = 0;
  const faults = await mapBounded(entries, AT_ONCE, async (entry) => {
    const file = join(root, entry.path);
    let fault: string | undefined;
    try {
      // To fill, not to cover: what is cut away would not be decoded.
      if (whole) await sharp(file, { failOn: 'warning' }).resize(8, 8, { fit: 'fill' }).raw().toBuffer();
      else await sharp(file).metadata();
    } catch (error) {
      fault = reasonOf(error);
    }
    options.onProgress?.({ phase: 'checking', done: ++done, total: entries.length });
    return fault;
  });
  const broken = entries.flatMap((entry, i) => (faults[i] === undefined ? [] : [`${join(root, entry.path)} (${faults[i]})`]));
  for (const name of broken.slice(0, NAMED_BROKEN)) warnings.add(`${name}: cannot be read as an image; skipped`);
  if (broken.length > NAMED_BROKEN) warnings.add(`${root}: ${broken.length} images in all cannot be read and are skipped`);
  return entries.filter((_, i) => faults[i] === undefined);
}

/** Holds out the share `fraction` of every class, at least one image of each that has two, chosen by a hash of the path. */
function holdOut(entries: readonly Entry[], fraction: number): [train: Entry[], val: Entry[]] {
  const held = new Set<Entry>();
  const byClass = new Map<string, Entry[]>();
  for (const entry of entries) {
    const members = byClass.get(entry.className);
    if (members) members.push(entry);
    else byClass.set(entry.className, [entry]);
  }
  for (const members of byClass.values()) {
    if (members.length < 2) continue;
    const order = members
      .map((entry) => ({ entry, key: new Hash().add(entry.path).word() }))
      .sort((a, b) => a.key - b.key || (a.entry.path < b.entry.path ? -1 : 1));
    const count = Math.min(members.length - 1, Math.max(1, Math.round(members.length * fraction)));
    for (const { entry } of order.slice(0, count)) held.add(entry);
  }
  return [entries.filter((entry) => !held.has(entry)), entries.filter((entry) => held.has(entry))];
}
