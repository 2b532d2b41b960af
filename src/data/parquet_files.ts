/** Which parquet files a source means, and which split each belongs to. */
import { DataError, reasonOf } from './errors.js';

export interface ShardFile {
  readonly file: string;
  /** Path below the folder that was named, with `/`: what the file is called wherever it lies. */
  readonly path: string;
}

export interface ShardFiles {
  readonly train: ShardFile[];
  /** Empty where no file is named as validation or test data. */
  readonly val: ShardFile[];
  /** Files of a third split, or of none beside files of one. */
  readonly leftOut: ShardFile[];
}

/** The words by which Hugging Face knows splits. */
const SPLITS = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'val', 'dev'],
  test: ['test', 'testing', 'eval', 'evaluation'],
} as const;
type SplitName = keyof typeof SPLITS;

/**
 * The files of `parquet:LIST`: files, folders (all parquet files in them) and patterns with `*` and `?` in the file's name,
 * separated by commas. Sorted by path. A file's split stands in its name, or in the folder it lies in: `train-00000-of-00002.parquet`,
 * `validation/0000.parquet`; `test` is taken for validation where nothing else is. Without any such name all are `train`.
 *
 * @throws DataError naming the part that leads to no file
 */
export async function listShards(list: string): Promise<ShardFiles> {
  const parts = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const found = new Map<string, ShardFile>();
  for (const part of parts) for (const shard of await expand(part)) found.set(shard.file, shard);
  const all = [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const bySplit = (split: SplitName | undefined) => all.filter((shard) => splitOf(shard.path) === split);
  const [train, validation, test, unnamed] = [bySplit('train'), bySplit('validation'), bySplit('test'), bySplit(undefined)];
  if (train.length > 0) {
    const val = validation.length > 0 ? validation : test;
    return { train, val, leftOut: [...unnamed, ...(val === test ? [] : test)] };
  }
  if (unnamed.length > 0) return { train: unnamed, val: [...validation, ...(validation.length > 0 ? [] : test)], leftOut: [] };
  // Only one split was named, perhaps to evaluate on: it is all there is.
  return { train: all, val: [], leftOut: [] };
}

function splitOf(path: string): SplitName | undefined {
  const names = Object.keys(SPLITS) as SplitName[];
  // The file's own name says more than those of its folders.
  for (const part of path.split('/').reverse()) {
    const words = part.toLowerCase().split(/[^a-z]+/);
    const named = names.find((name) => SPLITS[name].some((word) => words.includes(word)));
    if (named) return named;
  }
  return undefined;
}

async function expand(part: string): Promise<ShardFile[]> {
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
      const names = (await readdir(folder)).filter((name) => fits.test(name));
      if (names.length === 0) throw new Error(`no file in ${folder} fits ${pattern}`);
      return names.map((name) => ({ file: join(folder, name), path: name }));
    }
    if (!(await stat(part)).isDirectory()) return [{ file: part, path: pattern }];
    const names = (await readdir(part, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
    const shards = names.filter((name) => name.endsWith('.parquet') && !name.split('/').some((piece) => piece.startsWith('.')));
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
