/** Validation rules for images, examples, splits and data sets that users pass as arguments. */
import { ValueError } from '../backend/errors.js';
import { abortSignal, func, integer, objectWith, oneOf, type Rule, rule, show, text } from '../backend/validate.js';
import type { Example, Image, Split } from './dataset.js';

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array || value instanceof Uint8ClampedArray;

/** A `Uint8Array`; Node's `Buffer` is one. */
export const bytes: Rule = rule('a Uint8Array', (value) => value instanceof Uint8Array);

/** An 8-bit image whose data length is width × height × channels. */
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

const labels: Rule = rule(
  'an Int32Array',
  (value) => value instanceof Int32Array || (Array.isArray(value) && value.every((label) => Number.isInteger(label))),
);

const splitFields = objectWith('a split', { length: integer(), labels, get: func });

export const split: Rule = rule(
  "a split { length, labels, get } with a label for each of its examples, such as dataset.splits.train of openDataset('…')",
  (value) => splitFields.test(value) && (value as Split).labels.length === (value as Split).length,
);

/**
 * Reads one example of a split. The result is checked, because the split may be an object of the caller's.
 *
 * @throws ValueError if the split's `get` does not return an example; errors of `get` are passed on
 */
export async function exampleAt(source: Split, place: number): Promise<Example> {
  const given = await source.get(place);
  if (example.test(given)) return given;
  const { image: picture, label, index } = (given ?? {}) as Example;
  const wrong =
    typeof given !== 'object' || given === null
      ? show(given)
      : image.test(picture)
        ? `an object with label ${show(label)} and index ${show(index)}`
        : `an object with the image ${describeImage(picture)}`;
  throw new ValueError(
    `split: get(${place}) gave ${wrong}, expected an example { image: { width, height, channels: 1 or 3, data: Uint8Array }, label, index, name }`,
  );
}

export const dataset: Rule = objectWith("a data set, such as await openDataset('…')", {
  name: text,
  classes: rule('an array', Array.isArray),
  channels: oneOf(1, 3),
  splits: rule('an object of splits', (value) => typeof value === 'object' && value !== null && Object.values(value).every(split.test)),
});

/** Options shared by most functions that iterate a split. */
export const walking = { onProgress: func, onBroken: func, signal: abortSignal } as const;

/** Describes an image (or another value in its place) by size, channels and bytes, for error messages. */
export function describeImage(value: unknown): string {
  const { width, height, channels, data } = (value ?? {}) as Image;
  if (!isBytes(data)) return show(value);
  return `an image of ${show(width)}×${show(height)} pixels in ${show(channels)} channels with ${data.length} bytes`;
}
