/** Writes tiny data sets in the formats of MNIST (idx) and CIFAR-10. */
import { noiseBytes } from './support.js';

/** A file in idx format: two zeros, the type 0x08 (bytes), the number of axes, their sizes in big-endian order, the values. */
export function idxFile(shape: readonly number[], values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length);
  bytes.set([0, 0, 0x08, shape.length]);
  const view = new DataView(bytes.buffer);
  for (const [i, extent] of shape.entries()) view.setUint32(4 + 4 * i, extent);
  bytes.set(Array.from(values), 4 + 4 * shape.length);
  return bytes;
}

export interface Digits {
  readonly labels: readonly number[];
  readonly pixels: Uint8Array;
}

/** Noise images, [labels.length, height, width, channels]. */
export const digits = (labels: readonly number[], area: number, seed: number): Digits => ({
  labels,
  pixels: noiseBytes(labels.length * area, seed),
});

/** The four files of an idx folder with images of 5×4 grey pixels. */
export function idxFiles(train: Digits, val: Digits): Record<string, Uint8Array> {
  return {
    'train-images-idx3-ubyte': idxFile([train.labels.length, 5, 4], train.pixels),
    'train-labels-idx1-ubyte': idxFile([train.labels.length], train.labels),
    't10k-images-idx3-ubyte': idxFile([val.labels.length, 5, 4], val.pixels),
    't10k-labels-idx1-ubyte': idxFile([val.labels.length], val.labels),
  };
}

/**
 * A batch of CIFAR-10's binary version: a label, then 1024 red, 1024 green and 1024 blue values per image. `planes` contains the colours
 * of all images.
 */
export function cifarBatch(labels: readonly number[], planes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(labels.length * 3073);
  for (const [i, label] of labels.entries()) {
    bytes[i * 3073] = label;
    bytes.set(planes.subarray(i * 3072, (i + 1) * 3072), i * 3073 + 1);
  }
  return bytes;
}
