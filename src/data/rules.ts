/** Rules for images, examples, splits and data sets where they arrive as arguments. */
import { abortSignal, func, integer, objectWith, oneOf, type Rule, rule, show, text } from '../backend/validate.js';
import type { Image } from './dataset.js';

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array || value instanceof Uint8ClampedArray;

/** Bytes: a `Uint8Array` (a `Buffer` is one). */
export const bytes: Rule = rule('a Uint8Array', (value) => value instanceof Uint8Array);

/** An 8-bit image whose data have the length that its size asks for. */
export const image: Rule = rule(
  'an image { width, height, channels: 1 or 3, data: Uint8Array of height · width · channels bytes }',
  (value) => {
    const { width, height, channels, data } = (value ?? {}) as Image;
    return (
      Number.isSafeInteger(width) &&
      Number.isSafeInteger(height) &&
      width > 0 &&
      height > 0 &&
      (channels === 1 || channels === 3) &&
      isBytes(data) &&
      data.length === width * height * channels
    );
  },
);

export const example: Rule = objectWith('an example { image, label, index, name }', { image, label: integer(), index: integer() });

const labels: Rule = rule('an Int32Array', (value) => value instanceof Int32Array || Array.isArray(value));

export const split: Rule = objectWith("a split { length, labels, get }, such as dataset.splits.train of openDataset('…')", {
  length: integer(),
  labels,
  get: func,
});

export const dataset: Rule = objectWith("a data set, such as await openDataset('…')", {
  name: text,
  classes: rule('an array', Array.isArray),
  channels: oneOf(1, 3),
  splits: rule('an object of splits', (value) => typeof value === 'object' && value !== null && Object.values(value).every(split.test)),
});

/** Options that most functions which walk a split take. */
export const walking = { onProgress: func, onBroken: func, signal: abortSignal } as const;

/** An image in words, for errors: what it is, or what is wrong with it. */
export function describeImage(value: unknown): string {
  const { width, height, channels, data } = (value ?? {}) as Image;
  if (!isBytes(data)) return show(value);
  return `an image of ${show(width)}×${show(height)} pixels in ${show(channels)} channels with ${data.length} bytes`;
}
