/** Subsets of a split, and data sets converted to another number of channels. All of them are views: no image is copied in advance. */
import { arrayOf, checkArgument, integer, oneOf } from '../backend/validate.js';
import { checkIndex, type Dataset, type Image, type Split } from './dataset.js';
import { RandomStream } from './random.js';
import { greyOf } from './reading/image_pixels.js';
import { dataset as datasetRule, exampleAt, split as splitRule } from './rules.js';

/**
 * Returns a split with the examples at the indices `places`, in that order (PyTorch: `Subset`). `Example.index` is the index in the
 * subset.
 *
 * @example const firstTwo = subset(dataset.splits.train, [0, 1]);
 * @throws DataError for an index outside the split
 */
export function subset(split: Split, places: ArrayLike<number>): Split {
  checkArgument('subset', 'split', split, splitRule);
  checkArgument('subset', 'places', places, arrayOf(integer()));
  for (let i = 0; i < places.length; i++) checkIndex(places[i], split.length, 'subset');
  const chosen = Int32Array.from(places);
  return {
    length: chosen.length,
    labels: chosen.map((place) => split.labels[place]),
    get: async (index) => {
      checkIndex(index, chosen.length, 'subset');
      return { ...(await exampleAt(split, chosen[index])), index };
    },
  };
}

/**
 * Returns `count` different random indices below `length`, in ascending order; all indices if `count` is omitted or at least `length`.
 * For the same seed, a smaller sample is contained in a larger one.
 *
 * The indices are random because evenly spaced ones may follow a period of the list: if the classes alternate, they could all be of
 * one class.
 */
export function samplePlaces(length: number, count = length, seed = 0): number[] {
  checkArgument('samplePlaces', 'length', length, integer(0, 2 ** 31 - 1));
  checkArgument('samplePlaces', 'count', count, integer());
  checkArgument('samplePlaces', 'seed', seed, integer());
  if (count >= length) return Array.from({ length }, (_, i) => i);
  return shuffledPlaces(length, seed)
    .slice(0, count)
    .sort((a, b) => a - b);
}

/** Returns the indices below `length` in a random order, which depends only on `length` and `seed`. */
export function shuffledPlaces(length: number, seed = 0): number[] {
  checkArgument('shuffledPlaces', 'length', length, integer(0, 2 ** 31 - 1));
  checkArgument('shuffledPlaces', 'seed', seed, integer());
  return [...new RandomStream(seed, 'samples', 0).shuffle(Int32Array.from({ length }, (_, i) => i))];
}

/**
 * Returns a split with at most `count` random examples, chosen by `seed`.
 *
 * @example const some = sampleSubset(dataset.splits.train, 4);
 */
export function sampleSubset(split: Split, count: number, seed = 0): Split {
  checkArgument('sampleSubset', 'split', split, splitRule);
  checkArgument('sampleSubset', 'count', count, integer());
  return count >= split.length ? split : subset(split, samplePlaces(split.length, count, seed));
}

/**
 * Returns `count` evenly spaced indices below `length`, in ascending order; all of them if there are no more. Meant for displaying some
 * items of a list, such as feature maps; use `samplePlaces` for statistics over images.
 */
export function spreadPlaces(length: number, count = length): number[] {
  checkArgument('spreadPlaces', 'length', length, integer(0, 2 ** 31 - 1));
  checkArgument('spreadPlaces', 'count', count, integer());
  const n = Math.min(count, length);
  return Array.from({ length: n }, (_, i) => Math.floor((i * length) / n));
}

/**
 * Returns the data set with all images converted to 3 channels (grey is repeated) or to 1 channel (luma by ITU-R BT.601).
 *
 * @example const grey = inChannels(dataset, 1);
 */
export function inChannels(dataset: Dataset, channels: 1 | 3): Dataset {
  checkArgument('inChannels', 'dataset', dataset, datasetRule);
  checkArgument('inChannels', 'channels', channels, oneOf(1, 3));
  if (dataset.channels === channels) return dataset;
  const splits = Object.entries(dataset.splits).map(([name, split]): [string, Split] => [
    name,
    {
      length: split.length,
      labels: split.labels,
      get: async (index) => {
        const example = await exampleAt(split, index);
        return { ...example, image: channels === 3 ? inColours(example.image) : inGrey(example.image) };
      },
    },
  ]);
  return { ...dataset, channels, splits: Object.fromEntries(splits) };
}

function inColours({ width, height, data: grey }: Image): Image {
  const data = new Uint8Array(3 * grey.length);
  for (let i = 0; i < grey.length; i++) data.fill(grey[i], 3 * i, 3 * i + 3);
  return { width, height, channels: 3, data };
}

const inGrey = ({ width, height, data }: Image): Image => ({ width, height, channels: 1, data: greyOf(data) });
