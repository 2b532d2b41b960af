/** Lists the image files in class folders, without opening the files. */
import { neededNodeModule } from '../../backend/node_module.js';
import { firstNames } from '../../backend/validate.js';
import { mapBounded } from '../bounded.js';
import type { OpenOptions, Warnings } from '../dataset.js';
import { DataError, reasonOf } from '../errors.js';
import { shownPath } from '../files/paths.js';
import { AT_ONCE, IMAGE, type Item, identityOf, isRunFolder, itemsIn, sizeOf } from './folder_items.js';
import { listSources } from './kinds.js';
import { LeftOut } from './left_out.js';
import { type SplitName, splitOfFolder } from './split_names.js';

/** An image file: its path below the source, its length in bytes (for the fingerprint), and its class. */
export interface Entry {
  readonly path: string;
  readonly bytes: number;
  readonly className: string;
}

/** The images of each split, or of `all` if the folder has no splits. */
export type Listing = Partial<Record<SplitName | 'all', Entry[]>>;

/** The arguments that the functions of one listing share. */
interface Listed {
  readonly source: string;
  readonly options: OpenOptions;
  readonly warnings: Warnings;
  readonly leftOut: LeftOut;
}

/** Lists the images of `source`, with or without split folders. Throws `DataError` if a folder is missing or has no class folders. */
export async function listImages(source: string, options: OpenOptions, warnings: Warnings): Promise<Listing> {
  const listing: Listed = { source, options, warnings, leftOut: new LeftOut() };
  const top = await topItems(source, source);
  const splits = await splitFolders(source, top, warnings);
  const found = splits ? await listSplits(splits, top, listing) : { all: await listClasses(source, '', listing) };
  const sentence = listing.leftOut.sentence(shownPath(source));
  if (sentence !== undefined) warnings.add(sentence);
  return found;
}

/** Returns the folders of `source` that are splits, or null if its folders are classes. */
async function splitFolders(source: string, top: readonly Item[], warnings: Warnings): Promise<Map<string, SplitName> | null> {
  const { join } = await neededNodeModule('node:path');
  const folders = top.filter(({ kind }) => kind === 'folder').map(({ name }) => name);
  const named = new Map<string, SplitName>();
  for (const name of folders) {
    const split = splitOfFolder(name);
    if (split) named.set(name, split);
  }
  if (named.size === 0) return null;
  // A class may also be called `train` or `test`; a split is recognised by the folders in it.
  const divided = new Map<string, boolean>();
  for (const name of named.keys()) {
    const items = await itemsIn(join(source, name)).catch((): Item[] => []);
    divided.set(
      name,
      items.some(({ kind }) => kind === 'folder'),
    );
  }
  const trains = [...named].filter(([, split]) => split === 'train').map(([name]) => name);
  const alone = named.size === folders.length;
  if (trains.length > 0 ? trains.some((name) => divided.get(name)) || alone : alone && [...divided.values()].every(Boolean)) return named;
  warnings.add(
    `${shownPath(source)}: ${firstNames([...named.keys()], 5)} ${named.size === 1 ? 'is taken for a class, though its name looks' : 'are taken for classes, though their names look'} like a split; a split holds a folder per class, with a folder for train beside it`,
  );
  return null;
}

async function listSplits(splits: ReadonlyMap<string, SplitName>, top: readonly Item[], listing: Listed): Promise<Listing> {
  const { source, warnings } = listing;
  const { join } = await neededNodeModule('node:path');
  const found: Listing = {};
  const taken: string[] = [];
  for (const [name, split] of splits) {
    const [folder, path] = await nested(join(source, name), name, split);
    const items = await topItems(folder, folder);
    const pictures = items.filter((item) => item.kind === 'file' && IMAGE.test(item.name)).length;
    if (split === 'test' && pictures > 0 && !items.some(({ kind }) => kind === 'folder')) {
      warnings.add(`${shownPath(folder)}: ${pictures} images without class folders, which have no labels, are left out`);
      continue;
    }
    taken.push(name);
    found[split] = [...(found[split] ?? []), ...(await listClasses(folder, path, listing))];
  }
  const beside = top.filter(({ name, kind }) => (kind === 'folder' ? !splits.has(name) : IMAGE.test(name)));
  if (beside.length > 0)
    warnings.add(
      `${shownPath(source)}: ${firstNames(
        beside.map(({ name }) => shownPath(name)),
        5,
      )} beside ${taken.join(' and ')} ${beside.length === 1 ? 'is' : 'are'} left out`,
    );
  return found;
}

/** Returns the folder of a split, or its only subfolder if that is named after the split again (as in some archives). */
async function nested(folder: string, path: string, split: SplitName): Promise<[folder: string, path: string]> {
  const { join } = await neededNodeModule('node:path');
  const folders = (await itemsIn(folder).catch((): Item[] => [])).filter(({ kind }) => kind === 'folder');
  const [only] = folders;
  return folders.length === 1 && splitOfFolder(only.name) === split ? [join(folder, only.name), `${path}/${only.name}`] : [folder, path];
}

/** Lists the images of every class folder in `folder`, ordered by class. `prefix` is the path of `folder` below the source. */
async function listClasses(folder: string, prefix: string, listing: Listed): Promise<Entry[]> {
  const { warnings, options, leftOut } = listing;
  const { join } = await neededNodeModule('node:path');
  const entries: Entry[] = [];
  /** The folder of each class. Names are compared in Unicode normalisation form C. */
  const classes = new Map<string, string>();
  let stray = 0;
  for (const item of await topItems(folder, folder)) {
    if (item.kind !== 'folder') {
      if (item.kind === 'file' && IMAGE.test(item.name)) stray++;
      continue;
    }
    const className = shownPath(item.name).normalize('NFC');
    if (classes.has(className))
      throw new DataError(
        `${shownPath(folder)}: has two folders for the class ${className}, whose names differ only in their Unicode form; rename one, or merge the folders`,
        folder,
      );
    classes.set(className, item.name);
    const path = prefix ? `${prefix}/${item.name}` : item.name;
    const before = entries.length;
    const walked = await walk(join(folder, item.name), path, className, entries, [], leftOut);
    if (walked && entries.length === before)
      warnings.add(`${shownPath(join(folder, item.name))}: contains no images; the class is left out`);
    options.onProgress?.({ phase: 'listing', done: entries.length, total: 0 });
  }
  if (stray > 0) {
    warnings.add(`${shownPath(folder)}: ${stray} ${stray === 1 ? 'image is' : 'images are'} outside the class folders and left out`);
  }
  if (classes.size === 0)
    throw new DataError(`${shownPath(folder)}: has no class folders; expected one folder per class, each with images in it`, folder);
  return entries;
}

/**
 * Adds the images of a folder and, recursively, of its subfolders.
 *
 * @param above identities of the parent folders, to detect cycles of links
 * @returns false if the folder was skipped
 */
async function walk(
  folder: string,
  path: string,
  className: string,
  into: Entry[],
  above: readonly string[],
  leftOut: LeftOut,
): Promise<boolean> {
  const { join } = await neededNodeModule('node:path');
  let items: Item[];
  let identity: string;
  try {
    [items, identity] = [await itemsIn(folder), await identityOf(folder)];
  } catch (error) {
    leftOut.add('folder that cannot be opened', `${shownPath(path)}: ${reasonOf(error)}`);
    return false;
  }
  if (above.includes(identity)) return false;
  if (await isRunFolder(folder, items)) {
    leftOut.add('folder of a training run', shownPath(path));
    return false;
  }
  const files = items.filter(({ kind, name }) => kind === 'file' && IMAGE.test(name));
  const sizes = await mapBounded(files, AT_ONCE, (item) => sizeOf(join(folder, item.name)));
  for (const [i, item] of files.entries()) into.push({ path: `${path}/${item.name}`, bytes: sizes[i], className });
  for (const { name, kind, what = '' } of items) {
    if (kind === 'folder') await walk(join(folder, name), `${path}/${name}`, className, into, [...above, identity], leftOut);
    else if (kind === 'other') leftOut.add(what.replace(/^an? /, ''), shownPath(`${path}/${name}`));
    else if (!IMAGE.test(name)) leftOut.addFile(name);
  }
  return true;
}

/** Lists a folder that must exist. */
async function topItems(path: string, source: string): Promise<Item[]> {
  try {
    return await itemsIn(path);
  } catch (error) {
    throw new DataError(
      `${shownPath(source)}: cannot be opened as a folder of images: ${reasonOf(error)}; expected ${listSources()}`,
      path,
      error,
    );
  }
}
