/** Data sets whose uncompressed images are in memory and have the same size: MNIST, idx files, CIFAR-10. */

import { checkIndex, type Dataset, DEFAULT_CACHE_BYTES, type Example, type Image, type OpenOptions, type Split } from '../dataset.js';
import { ByteCache } from '../files/cache.js';
import { Hash } from '../files/hash.js';
import { resizeImage } from '../reading/image.js';

/** The images and labels of one split. */
export interface PixelSplit {
  /** [count, height, width, channels] */
  readonly pixels: Uint8Array;
  /** [count] */
  readonly labels: Int32Array;
}

/** The arguments of `fromPixels`. */
export interface PixelSet {
  readonly name: string;
  readonly classes: readonly string[];
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** `train` and `val`, or the existing ones. */
  readonly splits: Readonly<Record<string, PixelSplit>>;
  readonly credits?: Dataset['credits'];
  readonly warnings?: readonly string[];
}

/** Creates a data set from pixels in memory. Images are resized only if `imageSize` is given. */
export function fromPixels(set: PixelSet, options: OpenOptions): Dataset {
  const { name, classes, channels, height, width } = set;
  const size = options.imageSize;
  const area = height * width * channels;
  // Only resized images are cached: images of the original size are views of the pixels.
  const cache = new ByteCache<Example>(options.cacheBytes ?? DEFAULT_CACHE_BYTES);
  const split = (part: string, { pixels, labels }: PixelSplit): Split => {
    return {
      length: labels.length,
      labels,
      async get(index) {
        checkIndex(index, labels.length, `${name}, ${part}`);
        const place = `${part}/${index}`;
        const kept = cache.get(place);
        if (kept) return kept;
        const natural: Image = { width, height, channels, data: pixels.subarray(index * area, (index + 1) * area) };
        const image = size === undefined ? natural : await resizeImage(natural, size);
        const example = { image, label: labels[index], index, name: place };
        if (image !== natural) cache.set(place, example, image.data.length);
        return example;
      },
    };
  };
  const hash = new Hash().add('pixels').add(height).add(width).add(channels);
  for (const { pixels, labels } of Object.values(set.splits))
    hash
      .add(labels.length)
      .add(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength))
      .add(pixels);
  return {
    name,
    classes,
    channels,
    splits: Object.fromEntries(Object.entries(set.splits).map(([part, pixels]) => [part, split(part, pixels)])),
    imageSize: size === undefined ? [height, width] : [size, size],
    credits: set.credits ?? [],
    fingerprint: hash.hex(),
    warnings: set.warnings ?? [],
  };
}
