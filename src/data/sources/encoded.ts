/** Splits of encoded images (files, or rows of parquet files), which are decoded on request. */
import { mapBounded } from '../bounded.js';
import { checkIndex, type Example, type OpenOptions, type Split, type Warnings } from '../dataset.js';
import { reasonOf } from '../errors.js';
import type { ByteCache } from '../files/cache.js';
import { type ImageReader, LocalReader, type Place, placeName } from '../reading/reader.js';

/** Number of images that are decoded concurrently in sharp's own threads. */
const AT_ONCE = 8;
/** Up to this number of images, all are decoded once on opening, so that broken ones are reported before the training starts. */
const VERIFY_ALL_BELOW = 5_000;
/** Number of broken images that get a warning each; further ones are only counted. */
const NAMED_BROKEN = 5;

/** The labels and locations of a split's images. */
export interface Encoded {
  /** [count] */
  readonly labels: Int32Array;
  /** Returns the location of an image, and its name: the path below the source, and the row if there is one. */
  at(index: number): { readonly place: Place; readonly name: string };
}

export interface EncodedOptions {
  /** Name of the source, for messages. */
  source: string;
  size: number | undefined;
  cache: ByteCache<Example>;
  reader: ImageReader;
  pixelLimit: number | undefined;
}

/** Creates a split that decodes its images on request and caches them. */
export function encodedSplit(images: Encoded, { source, size, cache, reader, pixelLimit }: EncodedOptions): Split {
  const { labels } = images;
  return {
    length: labels.length,
    labels,
    async get(index) {
      checkIndex(index, labels.length, source);
      const { place, name } = images.at(index);
      const key = 'row' in place ? `${place.file}#${place.row}` : place.file;
      const kept = cache.get(key);
      if (kept) return kept;
      const example = { image: await reader.read(place, { size, pixelLimit }), label: labels[index], index, name };
      cache.set(key, example, example.image.data.length);
      return example;
    },
  };
}

/** Whether to decode every image once on opening. */
export const verifiesAll = ({ verify = 'auto' }: OpenOptions, images: number): boolean =>
  verify === 'all' || (verify === 'auto' && images <= VERIFY_ALL_BELOW);

/**
 * Checks that images can be read, and adds warnings for those that cannot.
 *
 * @param whole whether to decode the images; otherwise only their headers are read
 * @returns for each image, whether it can be read
 */
export async function verified(
  source: string,
  places: readonly Place[],
  whole: boolean,
  options: OpenOptions,
  warnings: Warnings,
): Promise<boolean[]> {
  const reader = new LocalReader();
  let done = 0;
  const faults = await mapBounded(places, AT_ONCE, async (place) => {
    const fault = await reader.check(place, whole, { pixelLimit: options.pixelLimit }).then(() => undefined, reasonOf);
    options.onProgress?.({ phase: 'checking', done: ++done, total: places.length });
    return fault;
  });
  const broken = places.flatMap((place, i) => (faults[i] === undefined ? [] : [`${placeName(place)} (${faults[i]})`]));
  for (const name of broken.slice(0, NAMED_BROKEN)) warnings.add(`${name}: cannot be read as an image; skipped`);
  if (broken.length > NAMED_BROKEN) warnings.add(`${source}: ${broken.length} images in all cannot be read and are skipped`);
  return faults.map((fault) => fault === undefined);
}
