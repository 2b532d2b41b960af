/** The mean image of a split, which `Preprocess` subtracts from every image (paper, section 3.1). */
import { abortSignal, checkArgument, checkOptions, func, integer, oneOf, type RulesFor } from '../../backend/validate.js';
import type { Split } from '../../data/dataset.js';
import { DataError } from '../../data/errors.js';
import { readExamples } from '../../data/read_batches.js';
import { split as splitRule } from '../../data/rules.js';
import { samplePlaces } from '../../data/subset.js';
import type { HostTensor } from '../../formats/safetensors.js';
import { ShapeError } from '../../tensor/index.js';
import { MOST_PIXELS } from './preprocess.js';

/** Options of `meanImage`. */
export interface MeanOptions {
  /** Largest number of examples, sampled at random from the split. Default: all of them. */
  examples?: number;
  /** Seed of the sample. Default 0. */
  seed?: number;
  /** Called with the number of images that are summed up, and their total. */
  onProgress?: (done: number, total: number) => void;
  /** Called for each example that cannot be read; the example is then skipped. Without it, the error is thrown. */
  onBroken?: (error: DataError) => void;
  /** Aborting it makes `meanImage` throw the signal's reason before the next images. */
  signal?: AbortSignal;
}

const MEAN_OPTIONS: RulesFor<MeanOptions> = {
  examples: integer(1),
  seed: integer(),
  onProgress: func,
  onBroken: func,
  signal: abortSignal,
};

/**
 * Mean image of a split: the mean of each pixel over the images, [channels, side, side], 0 to 255.
 *
 * @example const { shape, data } = await meanImage(dataset.splits.train, 73, 3);
 * @param side of the images in pixels
 * @throws ShapeError for an image of another size or number of channels; DataError if no image can be read
 */
export async function meanImage(split: Split, side: number, channels: 1 | 3, options: MeanOptions = {}): Promise<HostTensor> {
  checkArgument('meanImage', 'split', split, splitRule);
  checkArgument('meanImage', 'side', side, integer(1, MOST_PIXELS));
  checkArgument('meanImage', 'channels', channels, oneOf(1, 3));
  checkOptions('meanImage', options, MEAN_OPTIONS);
  const order = samplePlaces(split.length, options.examples, options.seed);
  const total = order.length;
  const sums = new Float64Array(side * side * channels);
  const READ_AHEAD = 64;
  let counted = 0;
  for (let start = 0; start < total; start += READ_AHEAD) {
    options.signal?.throwIfAborted();
    const places = order.slice(start, start + READ_AHEAD);
    const examples = await readExamples(split, places, options.onBroken);
    for (const { image } of examples) {
      if (image.data.length !== sums.length)
        throw new ShapeError(
          `meanImage: got an image of ${image.width}×${image.height} pixels in ${image.channels} channels, expected ${side}×${side} in ${channels}`,
        );
      for (let i = 0; i < sums.length; i++) sums[i] += image.data[i];
      counted++;
    }
    if (counted === 0) throw new DataError(`none of ${places.length} images can be read; there is no image to compute the mean from`);
    options.onProgress?.(Math.min(start + READ_AHEAD, total), total);
  }
  const data = new Float32Array(sums.length);
  const plane = side * side;
  for (let place = 0; place < plane; place++)
    for (let c = 0; c < channels; c++) data[c * plane + place] = sums[place * channels + c] / Math.max(counted, 1);
  return { shape: [channels, side, side], data };
}
