/** Parts of a split, and splits seen in other channels: views, nothing is copied. */
import { checkIndex, type Dataset, type Image, type Split } from './dataset.js';
import { greyOf } from './image_pixels.js';

/**
 * The examples at some places of a split, in their order; `index` counts anew.
 *
 * @throws DataError for a place that the split has not
 */
export function subset(split: Split, places: ArrayLike<number>): Split {
  const chosen = Int32Array.from(places);
  for (const place of chosen) checkIndex(place, split.length, 'subset');
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
  const n = Math.min(count, length);
  return Array.from({ length: n }, (_, i) => Math.floor((i * length) / n));
}

/** At most `count` examples of a split, evenly spread over it. */
export const spreadSubset = (split: Split, count: number): Split =>
  count >= split.length ? split : subset(split, spreadPlaces(split.length, count));

/** The data set with every image in 3 channels (grey as red, green and blue alike) or in 1 (luma by ITU-R BT.601). */
export function inChannels(dataset: Dataset, channels: 1 | 3): Dataset {
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
