/** Splits of encoded images: files of their own, or rows of parquet files. They are decoded when they are asked for. */
import { mapBounded } from '../bounded.js';
import { checkIndex, type Example, type OpenOptions, type Split, type Warnings } from '../dataset.js';
import { reasonOf } from '../errors.js';
import type { ByteCache } from '../files/cache.js';
import { type ImageReader, LocalReader, type Place, placeName } from '../reading/reader.js';

/** Decoding goes on in sharp's own threads; this many images are on their way at once. */
const AT_ONCE = 8;
/** Up to here every image is decoded once at opening, so that a broken one is known before hours of training. */
const VERIFY_ALL_BELOW = 5_000;
/** So many broken images are named one by one. */
const NAMED_BROKEN = 5;

/** The images of a split, not decoded yet. */
export interface Encoded {
  /** [count] */
  readonly labels: Int32Array;
  /** Where an image lies, and its name: the path below the source, with the row where there is one. */
  at(index: number): { readonly place: Place; readonly name: string };
}

export interface EncodedOptions {
  /** The source, for messages. */
  source: string;
  size: number | undefined;
  cache: ByteCache<Example>;
  reader: ImageReader;
  pixelLimit: number | undefined;
}

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

/** Whether every image is decoded once at opening. */
export const verifiesAll = ({ verify = 'auto' }: OpenOptions, images: number): boolean =>
  verify === 'all' || (verify === 'auto' && images <= VERIFY_ALL_BELOW);

/**
 * Decodes every image, or its header alone, and names and counts those that cannot be read.
 *
 * @returns for each image whether it can be read
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
