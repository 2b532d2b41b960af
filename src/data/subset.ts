/** Parts of a split, and splits seen in other channels: views, nothing is copied. */
import { arrayOf, checkArgument, integer, oneOf } from '../backend/validate.js';
import { checkIndex, type Dataset, type Image, type Split } from './dataset.js';
import { Draws } from './random.js';
import { greyOf } from './reading/image_pixels.js';
import { dataset as datasetRule, split as splitRule } from './rules.js';

/**
 * The examples at some places of a split, in their order; `index` counts anew.
 *
 * @throws DataError for a place that the split has not
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
      return { ...(await split.get(chosen[index])), index };
    },
  };
}

/**
 * `count` different places below `length`, sampled at random by `seed` and rising; all places if there are no more than `count`, or
 * if no count is given. A smaller sample is contained in a larger one.
 *
 * Evenly spaced places would repeat the period of a list: of a list with its classes in turn they could meet one class only.
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

/** The places below `length` in a random order that depends on `length` and `seed` only. */
export function shuffledPlaces(length: number, seed = 0): number[] {
  checkArgument('shuffledPlaces', 'length', length, integer(0, 2 ** 31 - 1));
  checkArgument('shuffledPlaces', 'seed', seed, integer());
  return [...new Draws(seed, 'samples', 0).shuffle(Int32Array.from({ length }, (_, i) => i))];
}

/** At most `count` examples of a split, sampled at random by `seed`. */
export function sampleSubset(split: Split, count: number, seed = 0): Split {
  checkArgument('sampleSubset', 'split', split, splitRule);
  checkArgument('sampleSubset', 'count', count, integer());
  return count >= split.length ? split : subset(split, samplePlaces(split.length, count, seed));
}

/**
 * `count` places below `length`, evenly spaced and rising; all of them if there are no more. For showing some of a list, such as
 * maps; statistics over images take `samplePlaces`.
 */
export function spreadPlaces(length: number, count = length): number[] {
  checkArgument('spreadPlaces', 'length', length, integer(0, 2 ** 31 - 1));
  checkArgument('spreadPlaces', 'count', count, integer());
  const n = Math.min(count, length);
  return Array.from({ length: n }, (_, i) => Math.floor((i * length) / n));
}

/** The data set with every image in 3 channels (grey as red, green and blue alike) or in 1 (luma by ITU-R BT.601). */
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
        const example = await split.get(index);
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
