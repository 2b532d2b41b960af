/** Finds the reader for a data source. */
import { checkArgument, text } from '../../backend/validate.js';
import { checkOptions, type Dataset, type OpenOptions } from '../dataset.js';
import { DataError } from '../errors.js';
import { openScenes } from '../scenes/index.js';
import { openCifar10 } from './cifar10.js';
import { openFolder } from './folder.js';
import { openIdx } from './idx/idx.js';
import { openMnist } from './mnist.js';
import { openParquet } from './parquet/parquet.js';

/**
 * Opens a source of labelled images:
 * - a folder with a folder a class, with or without `train/` and `val/` above them
 * - `idx:DIR`, MNIST's four `-ubyte` files, gzipped or not; without the `t10k` pair some of `train` are held out
 * - `cifar10:DIR`, the binary version
 * - `parquet:FILES`, image bytes and labels in columns, as Hugging Face stores image data sets: files, folders and patterns such as
 *   `data/train-*.parquet`, separated by commas; read a page at a time, so that they may be larger than memory
 * - `mnist`, 10,000 handwritten digits; `scenes`, drawn on the spot
 *
 * Decoding, parquet files and the last two need optional packages, which `@zfnet/cli` brings.
 *
 * @throws DataError saying what was found, what was expected and what to do
 */
export async function openDataset(source: string, options: OpenOptions = {}): Promise<Dataset> {
  checkArgument('openDataset', 'source', source, text, DataError);
  checkOptions(options);
  if (source === '')
    throw new DataError('the data source is empty; expected a folder, idx:DIR, cifar10:DIR, parquet:FILES, mnist or scenes');
  const [scheme, rest] = split(source);
  if ((scheme === 'idx' || scheme === 'cifar10') && rest === '') throw new DataError(`${source} names no folder; expected ${scheme}:DIR`);
  if (scheme === 'parquet' && rest.replaceAll(/[\s,]/g, '') === '') throw new DataError(`${source} names no files; expected parquet:FILES`);
  const dataset = await open(source, scheme, rest, options);
  const location = await locate(source);
  return location === undefined ? dataset : { ...dataset, location };
}

function open(source: string, scheme: string, rest: string, options: OpenOptions): Promise<Dataset> {
  switch (scheme) {
    case 'scenes':
      return openScenes(options);
    case 'mnist':
      return openMnist(options);
    case 'idx':
      return openIdx(rest, options);
    case 'cifar10':
      return openCifar10(rest, options);
    case 'parquet':
      return openParquet(rest, options);
    default:
      return openFolder(source, options);
  }
}

/** A source with absolute paths, the same from every working folder; undefined for one that has no path. */
export async function locate(source: string): Promise<string | undefined> {
  checkArgument('locate', 'source', source, text, DataError);
  if (source === 'scenes' || source === 'mnist') return undefined;
  const { resolve } = await import('node:path');
  const [scheme, rest] = split(source);
  if (scheme === 'parquet') {
    const parts = rest.split(',').map((part) => part.trim());
    return `parquet:${parts.flatMap((part) => (part === '' ? [] : [resolve(part)])).join(',')}`;
  }
  return scheme === '' ? resolve(rest) : `${scheme}:${resolve(rest)}`;
}

/** The scheme of a source and what follows it; a plain path (with a drive letter, perhaps) has none. */
function split(source: string): [scheme: string, rest: string] {
  if (source === 'scenes' || source === 'mnist') return [source, ''];
  const match = /^(idx|cifar10|parquet):(.*)$/s.exec(source);
  return match ? [match[1], match[2]] : ['', source];
}
