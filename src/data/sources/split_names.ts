/** How folders and files name splits, and which of them a data set has. */

export type SplitName = 'train' | 'val' | 'test';

/** The words by which splits are known (those of Hugging Face among them). */
const WORDS: Readonly<Record<SplitName, readonly string[]>> = {
  train: ['train', 'training'],
  val: ['validation', 'valid', 'val', 'validate', 'dev'],
  test: ['test', 'testing', 'eval', 'evaluation'],
};
const NAMES = Object.keys(WORDS) as SplitName[];
/** Words that may stand beside them in a folder's name. */
const FILLERS = ['', 'set', 'data', 'dataset', 'images', 'imgs', 'img', 'split', 'pictures', 'photos'];

const wordsOf = (name: string): string[] => name.toLowerCase().split(/[^a-z]+/);

/** The split that one of the words in a file's name stands for: `train-00000-of-00002`. */
export function splitInName(name: string): SplitName | undefined {
  const words = wordsOf(name);
  return NAMES.find((split) => WORDS[split].some((word) => words.includes(word)));
}

/** The split that a folder's whole name stands for: `Training`, `test_set`, `val2017`. */
export function splitOfFolder(name: string): SplitName | undefined {
  const words = wordsOf(name)
    .map((word) => word.replace(/^(.{3,}?)(set|data|images)$/, '$1'))
    .filter((word) => !FILLERS.includes(word));
  return words.length === 1 ? NAMES.find((split) => WORDS[split].includes(words[0])) : undefined;
}

/**
 * The splits of a data set from what was found of each.
 *
 * @param found by split, or under `all` where nothing is divided
 * @param divide see `OpenOptions.divide`; `test` is taken for `val` then where there is no other
 * @returns null where training is to be divided off, but there are several splits and none of them is `train`
 */
export function arrangeSplits<T>(found: Partial<Record<SplitName | 'all', T>>, divide: boolean): Record<string, T> | null {
  const { train, val, test, all } = found;
  const present = (splits: Record<string, T | undefined>) =>
    Object.fromEntries(Object.entries(splits).filter(([, part]) => part !== undefined)) as Record<string, T>;
  if (!divide) return present({ train, val, test, all });
  if (train !== undefined) return val === undefined ? present({ train, val: test }) : present({ train, val, test });
  const others = [all, val, test].filter((part) => part !== undefined);
  // Only one split was named, perhaps to evaluate on: it is all there is.
  return others.length === 1 ? { train: others[0] } : null;
}
