/** The types that all data sources share: a data set with named splits of labelled 8-bit images, which are fetched by index. */
import {
  boolean,
  checkOptions as checkRules,
  finite,
  func,
  integer,
  isPlainObject,
  oneOf,
  type RulesFor,
  rule,
  show,
  text,
} from '../backend/validate.js';
import { DataError } from './errors.js';
import type { SceneDetails } from './scenes/scene.js';

/** An 8-bit image. `data` is [height, width, channels]: rows from the top, channels interleaved (red, green, blue, or only grey). */
export interface Image {
  /** Number of columns. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** 3 for red, green and blue, 1 for grey. There is no transparency: it is laid over white on decoding. */
  readonly channels: 1 | 3;
  /** Values 0 to 255; pixel (y, x) begins at (y · width + x) · channels. */
  readonly data: Uint8Array;
}

/** One labelled image. The image may be shared with a cache: do not write to its data. */
export interface Example {
  /** The decoded image, resized to `imageSize` if the data set was opened with one. */
  readonly image: Image;
  /** Index into `Dataset.classes`. */
  readonly label: number;
  /** Index in its split. */
  readonly index: number;
  /** Identifies the image in its source: the file's path below the folder, or split and index, such as `train/17`. */
  readonly name: string;
  /** `scenes` only: the rendered scene and the position of its emoji. */
  readonly details?: SceneDetails;
}

/** One part of a data set, such as `train`. */
export interface Split {
  /** Number of examples, unreadable ones included. */
  readonly length: number;
  /** Labels of all examples in order, [length]. Reading them decodes no image. */
  readonly labels: Int32Array;
  /**
   * Returns the example at `index`.
   *
   * @throws DataError if `index` is outside the split, or if the image cannot be read (the error names the file)
   */
  get(index: number): Promise<Example>;
}

/** Title, author and licence of a work that the data set contains. */
export interface Credit {
  /** Title of the work or collection. */
  readonly title: string;
  /** Author or rights holder, as the licence asks to be named. */
  readonly author: string;
  /** SPDX identifier. */
  readonly license: string;
  /** Page of the work, where its licence is stated. */
  readonly url: string;
}

/** A data set, as `openDataset` returns it. */
export interface Dataset {
  /** The source as it was passed to `openDataset`. */
  readonly name: string;
  /** The source with absolute paths, which does not depend on the working directory. Undefined for sources without a path. */
  readonly location?: string;
  /** Class names. The label of an example is an index into this list. */
  readonly classes: readonly string[];
  /** Channels of every image: 1 for grey digits, otherwise 3. */
  readonly channels: 1 | 3;
  /**
   * `train` and `val`, and also `test` if the source has one; `scenes` also has `unseen-style`. With `divide: false`, the splits that
   * the source itself has, or a single split `all`.
   */
  readonly splits: Readonly<Record<string, Split>>;
  /** [height, width] of every image, or undefined if the images differ in size. */
  readonly imageSize: readonly [height: number, width: number] | undefined;
  /** Works to be credited wherever images of the data set are shown; empty for the user's own data. */
  readonly credits: readonly Credit[];
  /**
   * Hash of the data set, 16 hexadecimal digits: it changes when the images, the labels or the splits change. The requested image size
   * does not enter it. For a folder it covers the paths and lengths of all files, and the first and last KiB of up to a thousand of
   * them; for parquet files it covers the labels, the file footers, and samples of the contents.
   */
  readonly fingerprint: string;
  /** Warnings about skipped files and suspicious contents, one sentence each. */
  readonly warnings: readonly string[];
}

/** Progress of `openDataset`. */
export interface OpenProgress {
  /** `listing`: finding files; `checking`: reading their headers or contents; `loading`: reading embedded assets. */
  phase: 'listing' | 'checking' | 'loading';
  /** Number of finished items. */
  done: number;
  /** Number of all items; 0 while it is not known. */
  total: number;
}

/** Options of `openDataset`. */
export interface OpenOptions {
  /**
   * Side in pixels of the square images to return: the shorter side is resized to this length, then the central square is cropped.
   * Default: images keep their own size (`scenes`: 96).
   */
  imageSize?: number;
  /** `scenes` only: seed of the random scenes. Default 0. */
  seed?: number;
  /** `scenes` only: number of examples per split. Default: train 12,000, val 1,920, unseen-style 1,920. */
  sizes?: Readonly<Partial<Record<string, number>>>;
  /** Fraction of the images held out as `val` if the source has no validation split: above 0 and below 1. Default 0.1. */
  valFraction?: number;
  /**
   * Whether to divide the source into `train` and `val` if it has no splits. False is for evaluation: such a source becomes one split
   * `all`, no images are held out, and a single class is enough. Default true.
   */
  divide?: boolean;
  /** Parquet files only: name of the image column. Default: found by the type and name of the columns. */
  imageColumn?: string;
  /** Parquet files only: name of the label column. Default: found by the type and name of the columns. */
  labelColumn?: string;
  /** Folders and parquet files only: images with more pixels than this are not decoded. Default 100 million. */
  pixelLimit?: number;
  /**
   * Folders only: on opening, decode every image (`all`), read only the headers (`headers`), or choose by the number of images
   * (`auto`, the default).
   */
  verify?: 'auto' | 'all' | 'headers';
  /** Size in bytes of the cache of decoded images; 0 turns it off. Default 512 MiB. */
  cacheBytes?: number;
  /**
   * Folders and parquet files only: number of worker threads that read and decode images. They start with the first request and end
   * when they are idle. With 0 (default), and in runtimes without worker threads, the calling thread starts the decoding. The
   * images do not depend on the number of workers.
   */
  workers?: number;
  /** Called while the source is listed, checked and loaded. */
  onProgress?: (progress: OpenProgress) => void;
  /** Called with each warning as soon as it occurs. All warnings are also in `Dataset.warnings`. */
  onWarning?: (message: string) => void;
}

/** Collects the warnings of one `openDataset` call and passes them to `onWarning`. */
export class Warnings {
  readonly list: string[] = [];
  constructor(private readonly onWarning: OpenOptions['onWarning']) {}
  add(message: string): void {
    this.list.push(message);
    this.onWarning?.(message);
  }
}

export const DEFAULT_CACHE_BYTES = 512 * 2 ** 20;
const MAX_WORKERS = 64;

/** Throws a `DataError` unless `index` is a valid index of a split of `length` examples. */
export function checkIndex(index: number, length: number, where: string): void {
  if (!Number.isInteger(index) || index < 0 || index >= length) {
    throw new DataError(`${where}: there is no example ${show(index)}; the split has ${length} examples, counted from 0`);
  }
}

const OPTIONS: RulesFor<OpenOptions> = {
  imageSize: integer(1, 2 ** 15),
  seed: integer(),
  sizes: rule('an object of numbers by split', isPlainObject),
  valFraction: rule('a number above 0 and below 1', (value) => finite(0, 1).test(value) && value !== 0 && value !== 1),
  verify: oneOf('auto', 'all', 'headers'),
  divide: boolean,
  imageColumn: text,
  labelColumn: text,
  pixelLimit: integer(1),
  cacheBytes: rule('a number of at least 0', (value) => typeof value === 'number' && value >= 0),
  workers: integer(0, MAX_WORKERS),
  onProgress: func,
  onWarning: func,
};

/** Throws a `DataError` for unknown options and for options of the wrong type or range. */
export function checkOptions(options: OpenOptions): void {
  checkRules('openDataset', options, OPTIONS, DataError);
}
