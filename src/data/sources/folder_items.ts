/** What lies in a folder, without what file systems and programs leave there. */
import { mapBounded } from '../bounded.js';
import { kindOfEntry, readWhole } from '../files/file_bytes.js';
import { onDisk, pathOf } from '../files/paths.js';

export const AT_ONCE = 32;

/** Endings of the formats that are decoded; `sharp` knows their contents, whatever they are called. */
export const IMAGE = /\.(jpe?g|jpe|jfif|jif|jfi|pjpe?g|pjp|a?png|webp|gif|tiff?|avifs?)$/i;

/** Names that hidden files, archives of other systems, thumbnails and notebooks have. */
const SYSTEM =
  /^(\..*|@eaDir|#recycle|#snapshot|__MACOSX|\$RECYCLE\.BIN|System Volume Information|lost\+found|__pycache__|node_modules|Thumbs\.db|ehthumbs\.db|desktop\.ini|Icon\r)$/i;

/** Something in a folder; a link counts as what it leads to, and as a file where it leads nowhere. */
export interface Item {
  readonly name: string;
  readonly kind: 'folder' | 'file' | 'other';
  /** What `other` is: `a named pipe`. */
  readonly what?: string;
}

/** What lies in a folder, sorted by name, without what no user put there. Throws what the file system throws. */
export async function itemsIn(path: string): Promise<Item[]> {
  const { readdir, stat } = await import('node:fs/promises');
  const { join } = await import('node:path');
  if (!(await stat(onDisk(path))).isDirectory()) throw new Error('it is a file');
  const read = await readdir(onDisk(path), { withFileTypes: true });
  // Names that are not UTF-8 come out damaged; then all are taken as bytes.
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

/** What tells a folder from all others, by whatever path it is reached; links may lead in a circle. */
export async function identityOf(path: string): Promise<string> {
  const { stat } = await import('node:fs/promises');
  const { dev, ino } = await stat(onDisk(path), { bigint: true });
  return `${dev}:${ino}`;
}

/** Bytes of a file; 0 for one that cannot be looked at, which reading it will report. */
export async function sizeOf(file: string): Promise<number> {
  const { stat } = await import('node:fs/promises');
  return stat(onDisk(file)).then(
    ({ size }) => size,
    () => 0,
  );
}

const MOST_CONFIG_BYTES = 2 ** 20;

/** Whether a folder with these items is a training run of this program, whose pictures are not for training. */
export async function isRunFolder(path: string, items: readonly Item[]): Promise<boolean> {
  if (!items.some(({ name, kind }) => name === 'config.json' && kind === 'file')) return false;
  try {
    const { join } = await import('node:path');
    const bytes = await readWhole(join(path, 'config.json'), MOST_CONFIG_BYTES);
    const config = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> | null;
    return !!config && 'data' in config && ('architecture' in config || 'network' in config);
  } catch {
    return false;
  }
}
