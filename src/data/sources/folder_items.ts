/** Lists the items of a folder, without hidden files and the files that operating systems and tools create. */
import { neededNodeModule } from '../../backend/node_module.js';
import { mapBounded } from '../bounded.js';
import { kindOfEntry, readWhole } from '../files/file_bytes.js';
import { onDisk, pathOf } from '../files/paths.js';

/** Number of concurrent file system calls. */
export const AT_ONCE = 32;

/** File extensions of the supported formats. The format itself is detected by the contents, whatever the extension. */
export const IMAGE = /\.(jpe?g|jpe|jfif|jif|jfi|pjpe?g|pjp|a?png|webp|gif|tiff?|avifs?)$/i;

/** Names of hidden files, system folders, thumbnails and caches, which are ignored without a warning. */
const SYSTEM =
  /^(\..*|@eaDir|#recycle|#snapshot|__MACOSX|\$RECYCLE\.BIN|System Volume Information|lost\+found|__pycache__|node_modules|Thumbs\.db|ehthumbs\.db|desktop\.ini|Icon\r)$/i;

/** An item of a folder. A symbolic link has the kind of its target, and a broken one is a file. */
export interface Item {
  readonly name: string;
  readonly kind: 'folder' | 'file' | 'other';
  /** Description of an item of kind `other`: `a named pipe`. */
  readonly what?: string;
}

/** Lists a folder sorted by name, without hidden and system files. Throws the errors of the file system. */
export async function itemsIn(path: string): Promise<Item[]> {
  const { readdir, stat } = await neededNodeModule('node:fs/promises');
  const { join } = await neededNodeModule('node:path');
  if (!(await stat(onDisk(path))).isDirectory()) throw new Error('it is a file');
  const read = await readdir(onDisk(path), { withFileTypes: true });
  // Node replaces invalid UTF-8 in names by U+FFFD; in that case list the folder again with names as bytes.
  const damaged = read.some(({ name }) => name.includes('\ufffd'));
  const entries = damaged ? await readdir(onDisk(path), { withFileTypes: true, encoding: 'buffer' }) : read;
  const named = entries.map((entry) => ({ entry, name: typeof entry.name === 'string' ? entry.name : pathOf(entry.name) }));
  const shown = named.filter(({ name }) => !SYSTEM.test(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  return mapBounded(shown, AT_ONCE, async ({ entry, name }): Promise<Item> => {
    const target = entry.isSymbolicLink() ? await stat(onDisk(join(path, name))).catch(() => undefined) : entry;
    if (target === undefined || target.isFile()) return { name, kind: 'file' };
    return target.isDirectory() ? { name, kind: 'folder' } : { name, kind: 'other', what: kindOfEntry(target) };
  });
}

/** Returns the device and inode of a folder, which identify it by any path. Used to detect cycles of links. */
export async function identityOf(path: string): Promise<string> {
  const { stat } = await neededNodeModule('node:fs/promises');
  const { dev, ino } = await stat(onDisk(path), { bigint: true });
  return `${dev}:${ino}`;
}

/** Returns the length of a file in bytes, or 0 if it cannot be determined (reading the file will report the error). */
export async function sizeOf(file: string): Promise<number> {
  const { stat } = await neededNodeModule('node:fs/promises');
  return stat(onDisk(file)).then(
    ({ size }) => size,
    () => 0,
  );
}

const MOST_CONFIG_BYTES = 2 ** 20;

/** Whether a folder with these items is the output of a training run of this program; its images are not training data. */
export async function isRunFolder(path: string, items: readonly Item[]): Promise<boolean> {
  if (!items.some(({ name, kind }) => name === 'config.json' && kind === 'file')) return false;
  try {
    const { join } = await neededNodeModule('node:path');
    const bytes = await readWhole(join(path, 'config.json'), MOST_CONFIG_BYTES);
    const config = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> | null;
    return !!config && 'data' in config && ('architecture' in config || 'network' in config);
  } catch {
    return false;
  }
}
