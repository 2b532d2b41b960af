/** Lists the image files of a folder of class folders, without opening them. */
import { mapBounded } from './bounded.js';
import type { OpenOptions, Warnings } from './dataset.js';
import { DataError, reasonOf } from './errors.js';

const IMAGE = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;
const AT_ONCE = 32;

/** One image file: its path below the source, its size for the fingerprint, and its class. */
export interface Entry {
  readonly path: string;
  readonly bytes: number;
  readonly className: string;
}

export interface Listing {
  readonly train: Entry[];
  /** Empty where the source has no `val`. */
  readonly val: Entry[];
}

/** What lies in a folder; a link counts as what it leads to. */
interface Item {
  readonly name: string;
  readonly directory: boolean;
}

/** Lists `source`, divided into `train` and `val` or not. Throws `DataError` where a folder is missing or has no class folders. */
export async function listImages(source: string, options: OpenOptions, warnings: Warnings): Promise<Listing> {
  const { join } = await import('node:path');
  const top = await list(source, source);
  const isFolder = (name: string) => top.some((item) => item.name === name && item.directory);
  if (!isFolder('train')) return { train: await listClasses(source, '', options, warnings), val: [] };
  const beside = top.filter(({ name, directory }) => (directory ? name !== 'train' && name !== 'val' : IMAGE.test(name)));
  if (beside.length > 0) warnings.add(`${source}: ${named(beside)} beside train and val ${beside.length === 1 ? 'is' : 'are'} left out`);
  return {
    train: await listClasses(join(source, 'train'), 'train', options, warnings),
    val: isFolder('val') ? await listClasses(join(source, 'val'), 'val', options, warnings) : [],
  };
}

function named(items: readonly Item[]): string {
  const names = items.slice(0, 5).map((item) => item.name);
  return names.join(', ') + (items.length > names.length ? ` and ${items.length - names.length} more` : '');
}

/** The images of every class folder in `folder`, class by class. `prefix` is the folder's own path below the source. */
async function listClasses(folder: string, prefix: string, options: OpenOptions, warnings: Warnings): Promise<Entry[]> {
  const { join } = await import('node:path');
  const entries: Entry[] = [];
  let stray = 0;
  let folders = 0;
  for (const item of await list(folder, folder)) {
    if (!item.directory) {
      if (IMAGE.test(item.name)) stray++;
      continue;
    }
    folders++;
    const path = prefix ? `${prefix}/${item.name}` : item.name;
    const before = entries.length;
    await walk(join(folder, item.name), path, item.name, entries, []);
    if (entries.length === before) warnings.add(`${join(folder, item.name)}: holds no images; the class is left out`);
    options.onProgress?.({ phase: 'listing', done: entries.length, total: 0 });
  }
  if (stray > 0) {
    warnings.add(
      `${folder}: ${stray} ${stray === 1 ? 'image lies' : 'images lie'} outside the class folders and ${stray === 1 ? 'is' : 'are'} left out`,
    );
  }
  if (folders === 0) throw new DataError(`${folder}: has no class folders; expected a folder a class, each with images in it`, folder);
  return entries;
}

/** Adds the images of a folder, then those of the folders in it. `above` holds the real paths on the way here: links may lead in a circle. */
async function walk(folder: string, path: string, className: string, into: Entry[], above: readonly string[]): Promise<void> {
  const { realpath } = await import('node:fs/promises');
  const { join } = await import('node:path');
  const items = await list(folder, folder);
  const real = await realpath(folder);
  if (above.includes(real)) return;
  const files = items.filter((item) => !item.directory && IMAGE.test(item.name));
  const sizes = await mapBounded(files, AT_ONCE, (item) => sizeOf(join(folder, item.name)));
  for (const [i, item] of files.entries()) into.push({ path: `${path}/${item.name}`, bytes: sizes[i], className });
  for (const { name, directory } of items) {
    if (directory) await walk(join(folder, name), `${path}/${name}`, className, into, [...above, real]);
  }
}

/** Bytes of a file; 0 for one that cannot be looked at, which reading it will report. */
async function sizeOf(file: string): Promise<number> {
  const { stat } = await import('node:fs/promises');
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** What lies in a folder, sorted by name, without hidden files. */
async function list(path: string, source: string): Promise<Item[]> {
  const { readdir, stat } = await import('node:fs/promises');
  const { join } = await import('node:path');
  try {
    if (!(await stat(path)).isDirectory()) throw new Error('it is a file');
    const entries = await readdir(path, { withFileTypes: true });
    const shown = entries.filter((entry) => !entry.name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1));
    return await mapBounded(shown, AT_ONCE, async (entry) => ({
      name: entry.name,
      directory: entry.isSymbolicLink()
        ? await stat(join(path, entry.name)).then(
            (target) => target.isDirectory(),
            () => false,
          )
        : entry.isDirectory(),
    }));
  } catch (error) {
    throw new DataError(
      `${source}: cannot be opened as a folder of images: ${reasonOf(error)}; expected a folder with a folder a class, or idx:DIR, cifar10:DIR, parquet:FILES, mnist or scenes`,
      path,
      error,
    );
  }
}
