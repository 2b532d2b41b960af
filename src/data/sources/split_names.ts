/** Recognises the splits in the names of folders and files, and decides which splits a data set has. */

/** The splits that are recognised by name. */
export type SplitName = 'train' | 'val' | 'test';

/** The words that name a split (including those of Hugging Face). */
const WORDS: Readonly<Record<SplitName, readonly string[]>> = {
  train: ['train', 'training'],
  val: ['validation', 'valid', 'val', 'validate', 'dev'],
  test: ['test', 'testing', 'eval', 'evaluation'],
};
const NAMES = Object.keys(WORDS) as SplitName[];
/** Words that are ignored in the name of a split folder. */
const FILLERS = ['', 'set', 'data', 'dataset', 'images', 'imgs', 'img', 'split', 'pictures', 'photos'];

const wordsOf = (name: string): string[] => name.toLowerCase().split(/[^a-z]+/);

/** Returns the split that a word of a file name stands for: `train` for `train-00000-of-00002`. */
export function splitInName(name: string): SplitName | undefined {
  const words = wordsOf(name);
  return NAMES.find((split) => WORDS[split].some((word) => words.includes(word)));
}

/** Returns the split that a folder's whole name stands for, such as `Training`, `test_set` or `val2017`. */
export function splitOfFolder(name: string): SplitName | undefined {
  const words = wordsOf(name)
    .map((word) => word.replace(/^(.{3,}?)(set|data|images)$/, '$1'))
    .filter((word) => !FILLERS.includes(word));
  return words.length === 1 ? NAMES.find((split) => WORDS[split].includes(words[0])) : undefined;
}

/**
 * Maps the splits that were found to the splits of the data set.
 *
 * @param found parts by split name, or under `all` if the source has no splits
 * @param divide see `OpenOptions.divide`; if true, `test` becomes `val` if there is no `val`
 * @returns null if a training split is needed, but there are several splits and none is `train`
 */
export function arrangeSplits<T>(found: Partial<Record<SplitName | 'all', T>>, divide: boolean): Record<string, T> | null {
  const { train, val, test, all } = found;
  const present = (splits: Record<string, T | undefined>) =>
    Object.fromEntries(Object.entries(splits).filter(([, part]) => part !== undefined)) as Record<string, T>;
  if (!divide) return present({ train, val, test, all });
  if (train !== undefined) return val === undefined ? present({ train, val: test }) : present({ train, val, test });
  const others = [all, val, test].filter((part) => part !== undefined);
  // A single split without the name `train` is used for training.
  return others.length === 1 ? { train: others[0] } : null;
}
