/** What every data source gives: named splits of labelled 8-bit images, fetched one at a time by index. */
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

/** An 8-bit image. `data` is [height, width, channels], rows from the top, channels interleaved (red, green, blue, or grey alone). */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** One labelled image. Images may be shared with a cache: read them, do not write to them. */
export interface Example {
  readonly image: Image;
  /** Place in `Dataset.classes`. */
  readonly label: number;
  /** Place in its split. */
  readonly index: number;
  /** Path of the file below the folder, or another name that finds the image again, such as `train/17`. */
  readonly name: string;
  /** `scenes` only: what was drawn, and where. */
  readonly details?: SceneDetails;
}

export interface Split {
  readonly length: number;
  /** Labels of all examples in order, [length]; known without decoding an image. */
  readonly labels: Int32Array;
  /** The example at `index`. Throws `DataError` naming the file when it cannot be read, or when `index` is outside the split. */
  get(index: number): Promise<Example>;
}

/** Someone's work that the data set contains, with the licence it is used under. */
export interface Credit {
  readonly title: string;
  readonly author: string;
  /** SPDX identifier. */
  readonly license: string;
  readonly url: string;
}

export interface Dataset {
  /** The source as it was asked for. */
  readonly name: string;
  /** The source with absolute paths, the same wherever the program runs; undefined where it has no path. */
  readonly location?: string;
  /** Class names; an example's label is a place in this list. */
  readonly classes: readonly string[];
  /** Channels of every image: 1 for grey digits, otherwise 3. */
  readonly channels: 1 | 3;
  /**
   * `train` and `val`, and `test` where the source has that besides; `scenes` also has `unseen-style`. With `divide: false` those
   * that the source has itself, or `all`.
   */
  readonly splits: Readonly<Record<string, Split>>;
  /** [height, width] of every image, or undefined where images keep sizes of their own. */
  readonly imageSize: readonly [height: number, width: number] | undefined;
  readonly credits: readonly Credit[];
  /**
   * 16 hexadecimal digits that change when the images, the labels or the splits change; the size asked for is not part of it.
   * Of a folder's files it knows paths and lengths, and of up to a thousand of them the first and the last KiB; of parquet files
   * the labels, what stands at their end, and samples.
   */
  readonly fingerprint: string;
  /** What was left out or looked odd, one sentence each. */
  readonly warnings: readonly string[];
}

export interface OpenProgress {
  phase: 'listing' | 'checking' | 'loading';
  done: number;
  /** 0 while it is not known. */
  total: number;
}

export interface OpenOptions {
  /**
   * Side in pixels of the square images to return: the shortest side is resized to it and the middle square cut out.
   * Left out, images keep their own size (`scenes`: 96).
   */
  imageSize?: number;
  /** `scenes` only: which scenes are drawn. 0 unless given. */
  seed?: number;
  /** `scenes` only: examples a split; train 12,000, val 1,920 and unseen-style 1,920 unless given. */
  sizes?: Readonly<Partial<Record<string, number>>>;
  /** Share of the images held out as `val` where the source has none: above 0, below 1, 0.1 unless given. */
  valFraction?: number;
  /**
   * False: a source that is not divided into splits is one split, `all`, none of it is held out, and one class is enough: for
   * evaluation. True unless given.
   */
  divide?: boolean;
  /** Parquet files only: the column of images, where the name and the type of the columns do not tell. */
  imageColumn?: string;
  /** Parquet files only: the column of labels, where the name and the type of the columns do not tell. */
  labelColumn?: string;
  /** Folders and parquet files only: pixels of the largest image that is decoded; 100 million unless given. */
  pixelLimit?: number;
  /** Folders only: decode every image at opening (`all`), read headers alone (`headers`), or choose by the number of images (`auto`). */
  verify?: 'auto' | 'all' | 'headers';
  /** Bytes of decoded images that are kept in memory, 512 MiB unless given; 0 keeps none. */
  cacheBytes?: number;
  /**
   * Folders and parquet files only: threads that read and decode images, started when the first is asked for and ended when
   * there is nothing to do. 0, the default, decodes on behalf of this thread; so does a runtime that has no such threads.
   * The images are the same for any number of them.
   */
  workers?: number;
  onProgress?: (progress: OpenProgress) => void;
  /** Called with each warning as it arises; they are also in `Dataset.warnings`. */
  onWarning?: (message: string) => void;
}

/** Collects the warnings of one opening and passes them on. */
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

/** Throws unless `index` is a place in a split of `length` examples. */
export function checkIndex(index: number, length: number, where: string): void {
  if (!Number.isInteger(index) || index < 0 || index >= length) {
    throw new DataError(`${where}: there is no example ${show(index)}; it has ${length}, counted from 0`);
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

/** Throws a `DataError` for options that no source can honour. */
export function checkOptions(options: OpenOptions): void {
  checkRules('openDataset', options, OPTIONS, DataError);
}
