/** Finds the parquet files of a source, and the split of each file. */
import { neededNodeModule } from '../../../backend/node_module.js';
import { mapBounded } from '../../bounded.js';
import { DataError, reasonOf } from '../../errors.js';
import { kindOfEntry } from '../../files/file_bytes.js';
import { AT_ONCE } from '../folder_items.js';
import { arrangeSplits, type SplitName, splitInName } from '../split_names.js';

/** A parquet file of a source. */
export interface ShardFile {
  readonly file: string;
  /** Path below the folder in the source, with `/`; it does not depend on the location of the folder. */
  readonly path: string;
}

/** The result of `listShards`. */
export interface ShardFiles {
  /** Files by split: `train`, `val`, `test`, or `all`. */
  readonly splits: Readonly<Record<string, ShardFile[]>>;
  /** Skipped files with the reason: files without a split among files with one, and entries that are not regular files. */
  readonly leftOut: string[];
}

/**
 * Lists the files of `parquet:LIST`, sorted by path. LIST contains files, folders (with all parquet files in them) and patterns with `*`
 * and `?` in the file name, separated by commas. The split of a file is found in its name or in a folder of its path:
 * `train-00000-of-00002.parquet`, `validation/0000.parquet`. If no name contains a split, all files are `train`.
 *
 * @param divide see `arrangeSplits`
 * @throws DataError naming the part of the list that matches no file
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
  // The name of the file takes precedence over the names of its folders.
  for (const part of path.split('/').reverse()) {
    const named = splitInName(part);
    if (named) return named;
  }
  return undefined;
}

async function expand(part: string, leftOut: string[]): Promise<ShardFile[]> {
  const { readdir, stat } = await neededNodeModule('node:fs/promises');
  const { basename, dirname, join } = await neededNodeModule('node:path');
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
    if (shards.length === 0) throw new Error('the folder contains no .parquet file');
    return shards.map((path) => ({ file: join(part, path), path }));
  } catch (error) {
    throw new DataError(
      `parquet:${part}: cannot be opened: ${reasonOf(error)}; expected parquet files, a folder of them, or a pattern such as data/train-*.parquet, separated by commas`,
      part,
      error,
    );
  }
}

/** Returns the names that are regular files, and adds the other entries with their kind to `leftOut`. */
async function regular(folder: string, names: readonly string[], leftOut: string[]): Promise<string[]> {
  const { stat } = await neededNodeModule('node:fs/promises');
  const { join } = await neededNodeModule('node:path');
  const kinds = await mapBounded(names, AT_ONCE, async (name) => {
    const found = await stat(join(folder, name)).catch(() => undefined);
    // A missing file is kept here: opening it reports the error.
    return found === undefined || found.isFile() ? undefined : kindOfEntry(found);
  });
  for (const [i, kind] of kinds.entries()) if (kind !== undefined && kind !== 'a folder') leftOut.push(`${names[i]} (${kind})`);
  return names.filter((_, i) => kinds[i] === undefined);
}
