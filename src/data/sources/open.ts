/** Opens a data source with the reader for its format. */
import { neededNodeModule } from '../../backend/node_module.js';
import { checkOptions, type Dataset, type OpenOptions } from '../dataset.js';
import { openScenes } from '../scenes/index.js';
import { openCifar10 } from './cifar10.js';
import { openFolder } from './folder.js';
import { openIdx } from './idx/idx.js';
import { type ParsedSource, parseSource } from './kinds.js';
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
 * @example
 * const dataset = await openDataset('scenes', { imageSize: 72, sizes: { train: 48, val: 24, 'unseen-style': 24 } });
 * const { image, label } = await dataset.splits.train.get(0);
 * @throws DataError if the source cannot be opened; the message says what was found, what was expected and what to do
 */
export async function openDataset(source: string, options: OpenOptions = {}): Promise<Dataset> {
  const parsed = parseSource(source);
  checkOptions(options);
  const dataset = await open(parsed, options);
  const location = await locate(source);
  return location === undefined ? dataset : { ...dataset, location };
}

function open({ kind, rest }: ParsedSource, options: OpenOptions): Promise<Dataset> {
  switch (kind.scheme) {
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
      return openFolder(rest, options);
  }
}

/** Returns a source with absolute paths, which does not depend on the working directory; undefined for a source without a path. */
export async function locate(source: string): Promise<string | undefined> {
  const { kind, paths } = parseSource(source);
  if (paths.length === 0) return undefined;
  const { resolve } = await neededNodeModule('node:path');
  const absolute = paths.map((path) => resolve(path)).join(',');
  return kind.scheme === '' ? absolute : `${kind.scheme}:${absolute}`;
}
