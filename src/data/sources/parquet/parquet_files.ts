/** Which parquet files a source means, and which split each belongs to. */
import { mapBounded } from '../../bounded.js';
import { DataError, reasonOf } from '../../errors.js';
import { kindOfEntry } from '../../files/file_bytes.js';
import { AT_ONCE } from '../folder_items.js';
import { arrangeSplits, type SplitName, splitInName } from '../split_names.js';

export interface ShardFile {
  readonly file: string;
  /** Path below the folder that was named, with `/`: what the file is called wherever it lies. */
  readonly path: string;
}

export interface ShardFiles {
  /** By split: `train`, `val`, `test`, or `all`. */
  readonly splits: Readonly<Record<string, ShardFile[]>>;
  /** What is left out and why: files of no split beside files of one, and what is no regular file. */
  readonly leftOut: string[];
}

/**
 * The files of `parquet:LIST`: files, folders (all parquet files in them) and patterns with `*` and `?` in the file's name,
 * separated by commas. Sorted by path. A file's split stands in its name, or in the folder it lies in: `train-00000-of-00002.parquet`,
 * `validation/0000.parquet`. Without any such name all are `train`.
 *
 * @param divide see `arrangeSplits`
 * @throws DataError naming the part that leads to no file
 */
export async function listShards(list: string, divide = true): Promise<ShardFiles> {
  const parts = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const found = new Map<string, ShardFile>();
  const leftOut: string[] = [];
  for (const part of parts) for (const shard of await expand(part, leftOut)) found.set(shard.file, shard);
  const all = [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const of = (split: SplitName | undefined) => {
    const members = all.filter((shard) => splitOf(shard.path) === split);
    return members.length > 0 ? members : undefined;
  };
  const [train, val, test, unnamed] = [of('train'), of('val'), of('test'), of(undefined)];
  if (train && unnamed) leftOut.push(...unnamed.map(({ path }) => `${path} (neither train nor val)`));
  const undivided = !train && !val && !test;
  const parted = undivided ? { all: unnamed } : { train: train ?? unnamed, val, test };
  return { splits: arrangeSplits(parted, divide) ?? { train: all }, leftOut };
}

function splitOf(path: string): SplitName | undefined {
  // The file's own name says more than those of its folders.
  for (const part of path.split('/').reverse()) {
    const named = splitInName(part);
    if (named) return named;
  }
  return undefined;
}

async function expand(part: string, leftOut: string[]): Promise<ShardFile[]> {
  const { readdir, stat } = await import('node:fs/promises');
  const { basename, dirname, join } = await import('node:path');
  const pattern = basename(part);
  try {
    if (/[*?]/.test(pattern)) {
      const folder = dirname(part);
      const fits = new RegExp(
        `^${pattern
          .replace(/[.+^${}()|[\]\\]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('?', '.')}$`,
      );
      const names = await regular(
        folder,
        (await readdir(folder)).filter((name) => fits.test(name)),
        leftOut,
      );
      if (names.length === 0) throw new Error(`no file in ${folder} fits ${pattern}`);
      return names.map((name) => ({ file: join(folder, name), path: name }));
    }
    if (!(await stat(part)).isDirectory()) return [{ file: part, path: pattern }];
    const names = (await readdir(part, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
    const shards = await regular(
      part,
      names.filter((name) => name.endsWith('.parquet') && !name.split('/').some((piece) => piece.startsWith('.'))),
      leftOut,
    );
    if (shards.length === 0) throw new Error('the folder holds no .parquet file');
    return shards.map((path) => ({ file: join(part, path), path }));
  } catch (error) {
    throw new DataError(
      `parquet:${part}: cannot be opened: ${reasonOf(error)}; expected parquet files, a folder of them, or a pattern such as data/train-*.parquet, separated by commas`,
      part,
      error,
    );
  }
}

/** Those of some names in a folder that are regular files; of the others it is noted what they are. */
async function regular(folder: string, names: readonly string[], leftOut: string[]): Promise<string[]> {
  const { stat } = await import('node:fs/promises');
  const { join } = await import('node:path');
  const kinds = await mapBounded(names, AT_ONCE, async (name) => {
    const found = await stat(join(folder, name)).catch(() => undefined);
    // What is not there will be told when it is opened.
    return found === undefined || found.isFile() ? undefined : kindOfEntry(found);
  });
  for (const [i, kind] of kinds.entries()) if (kind !== undefined && kind !== 'a folder') leftOut.push(`${names[i]} (${kind})`);
  return names.filter((_, i) => kinds[i] === undefined);
}
