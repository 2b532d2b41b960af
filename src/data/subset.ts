/** Parts of a split, and splits seen in other channels: views, nothing is copied. */
import { arrayOf, checkArgument, integer, oneOf } from '../backend/validate.js';
import { checkIndex, type Dataset, type Image, type Split } from './dataset.js';
import { greyOf } from './image_pixels.js';
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

/** `count` places below `length`, evenly spread and rising; all of them where there are no more, or no count is given. */
export function spreadPlaces(length: number, count = length): number[] {
  checkArgument('spreadPlaces', 'length', length, integer(0, 2 ** 31 - 1));
  checkArgument('spreadPlaces', 'count', count, integer());
  const n = Math.min(count, length);
  return Array.from({ length: n }, (_, i) => Math.floor((i * length) / n));
}

/** At most `count` examples of a split, evenly spread over it. */
export function spreadSubset(split: Split, count: number): Split {
  checkArgument('spreadSubset', 'split', split, splitRule);
  checkArgument('spreadSubset', 'count', count, integer());
  return count >= split.length ? split : subset(split, spreadPlaces(split.length, count));
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
