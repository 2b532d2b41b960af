/** Opens a data source with the reader for its format. */
import { neededNodeModule } from '../../backend/node_module.js';
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
 * Opens a data set of labelled images. `source` is one of:
 * - a folder with one folder per class, optionally inside `train/` and `val/`
 * - `idx:DIR`, the four `-ubyte` files of MNIST, optionally gzipped; without the `t10k` pair, some of `train` is held out as `val`
 * - `cifar10:DIR`, the binary version of CIFAR-10
 * - `parquet:FILES`, files, folders and patterns such as `data/train-*.parquet`, separated by commas, with columns of image bytes and
 *   labels, as Hugging Face stores image data sets; they are read page by page, so that they may be larger than memory
 * - `mnist`, 10,000 handwritten digits
 * - `scenes`, synthetic images of 24 classes
 *
 * Decoding image files, parquet files, `mnist` and `scenes` need optional packages, which `@zfnet/cli` depends on.
 *
 *     const dataset = await openDataset('photos', { imageSize: 96 });
 *     const { image, label } = await dataset.splits.train.get(0);
 *
 * @throws DataError if the source cannot be opened; the message says what was found, what was expected and what to do
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

/** Returns a source with absolute paths, which does not depend on the working directory; undefined for a source without a path. */
export async function locate(source: string): Promise<string | undefined> {
  checkArgument('locate', 'source', source, text, DataError);
  if (source === 'scenes' || source === 'mnist') return undefined;
  const { resolve } = await neededNodeModule('node:path');
  const [scheme, rest] = split(source);
  if (scheme === 'parquet') {
    const parts = rest.split(',').map((part) => part.trim());
    return `parquet:${parts.flatMap((part) => (part === '' ? [] : [resolve(part)])).join(',')}`;
  }
  return scheme === '' ? resolve(rest) : `${scheme}:${resolve(rest)}`;
}

/** Splits a source into its scheme and the rest. A plain path, also one with a drive letter, has the scheme ''. */
function split(source: string): [scheme: string, rest: string] {
  if (source === 'scenes' || source === 'mnist') return [source, ''];
  const match = /^(idx|cifar10|parquet):(.*)$/s.exec(source);
  return match ? [match[1], match[2]] : ['', source];
}
