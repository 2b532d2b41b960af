/** The kinds of data source: how each is written, and what it contains. Readers, messages and help texts follow this one table. */
import { checkArgument, text } from '../../backend/validate.js';
import { DataError } from '../errors.js';

/** One kind of data source. */
export interface SourceKind {
  /** The word before the colon, or the whole source if it has no path. Empty for a folder. */
  readonly scheme: string;
  /** How the source is written: `idx:DIR`. */
  readonly form: string;
  /** What the source contains, for help texts. */
  readonly description: string;
  /** Kind of path that follows the colon; absent if there is none. */
  readonly rest?: 'folder' | 'files';
  /** Side in pixels of its square images, if all of them have one size. */
  readonly side?: number;
}

/** The kinds of data source that `openDataset` accepts. */
export const DATA_SOURCES: readonly SourceKind[] = [
  {
    scheme: '',
    form: 'a folder with one folder per class',
    description: 'image files; the class folders may lie in train/ and val/',
    rest: 'folder',
  },
  { scheme: 'idx', form: 'idx:DIR', description: 'the four -ubyte files of MNIST, gzipped or not; the t10k pair is val', rest: 'folder' },
  { scheme: 'cifar10', form: 'cifar10:DIR', description: 'the binary version of CIFAR-10; test_batch is val', rest: 'folder', side: 32 },
  {
    scheme: 'parquet',
    form: 'parquet:FILES',
    description: 'files, folders or patterns, separated by commas, with columns of image bytes and labels, as Hugging Face stores them',
    rest: 'files',
  },
  { scheme: 'mnist', form: 'mnist', description: '10,000 handwritten digits (embedded)', side: 28 },
  { scheme: 'scenes', form: 'scenes', description: 'emoji over photographs, 24 classes, in any image size (embedded)' },
];

/** A data source, taken apart. */
export interface ParsedSource {
  /** Entry of `DATA_SOURCES` for the word before the colon, for an embedded source or for a plain path. */
  readonly kind: SourceKind;
  /** The part that follows the colon, or the path of a folder, as written. */
  readonly rest: string;
  /** Its paths: one folder, or the files, folders and patterns of `parquet:`. Empty for an embedded source. */
  readonly paths: readonly string[];
}

/**
 * Takes a data source apart. A plain path, also one with a drive letter, is a folder.
 *
 *     parseSource('parquet:a.parquet, b.parquet').paths // ['a.parquet', 'b.parquet']
 *
 * @throws DataError for an empty source, and for a scheme without a path
 */
export function parseSource(source: string): ParsedSource {
  checkArgument('openDataset', 'source', source, text, DataError);
  if (source === '') throw new DataError(`the data source is empty; expected ${listSources()}`);
  const [folder, ...others] = DATA_SOURCES;
  const kind = others.find(({ scheme, rest }) => (rest ? source.startsWith(`${scheme}:`) : source === scheme)) ?? folder;
  if (!kind.rest) return { kind, rest: '', paths: [] };
  const rest = kind === folder ? source : source.slice(kind.scheme.length + 1);
  const paths = kind.rest === 'folder' ? [rest] : rest.split(',').map((part) => part.trim());
  const named = paths.filter((path) => path !== '');
  if (named.length === 0) throw new DataError(`${source} names no ${kind.rest}; expected ${kind.form}`);
  return { kind, rest, paths: named };
}

/** Lists the kinds of source for a message: `a folder with one folder per class, idx:DIR, … or scenes`. */
export function listSources(): string {
  const forms = DATA_SOURCES.map(({ form }) => form);
  return `${forms.slice(0, -1).join(', ')} or ${forms[forms.length - 1]}`;
}
