/** A data set and a network small enough to train in a test: blurred bars, whose direction is the class. */
import { createHash } from 'node:crypto';
import { philox } from '../../src/backend/philox.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import type { Dataset, Image, Split } from '../../src/data/dataset.js';
import { DataError } from '../../src/data/errors.js';
import { setDefaultBackend } from '../../src/tensor/index.js';
import { type TrainJob, type ZfNet, zfnet } from '../../src/zfnet/index.js';

export const INPUT = 28;
export const SIDE = 32;
export const CLASSES = ['horizontal', 'vertical', 'rising'] as const;

export function useReferenceBackend(): void {
  setDefaultBackend(createReferenceBackend());
}

/** Image i of class i mod 3: a bar at a random position over noise. */
function barImage(index: number, label: number, size: number, channels: 1 | 3): Image {
  const data = new Uint8Array(size * size * channels);
  const words = new Uint32Array(4);
  philox(1, index, words);
  const place = 8 + (words[0] % (size - 16));
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      philox(2, index * size * size + y * size + x, words);
      const distance = [Math.abs(y - place), Math.abs(x - place), Math.abs(x + y - 2 * place)][label];
      for (let c = 0; c < channels; c++) data[(y * size + x) * channels + c] = (words[c] % 60) + (distance < 3 ? 180 : 0);
    }
  return { width: size, height: size, channels, data };
}

export interface BarOptions {
  train?: number;
  val?: number;
  size?: number;
  channels?: 1 | 3;
  classes?: readonly string[];
  fingerprint?: string;
  /** Places in `train` that cannot be read. */
  broken?: readonly number[];
  /** A label in place of the true one, by place in `train`. */
  labels?: Record<number, number>;
}

export function bars(options: BarOptions = {}): Dataset {
  const { train = 24, val = 12, size = SIDE, channels = 1, classes = CLASSES, broken = [], labels = {} } = options;
  const split = (length: number, offset: number): Split => {
    const truth = Int32Array.from({ length }, (_, i) => i % Math.min(3, classes.length));
    const own = truth.map((label, i) => (offset === 0 ? (labels[i] ?? label) : label));
    return {
      length,
      labels: own,
      get: async (index) => {
        if (offset === 0 && broken.includes(index)) throw new DataError(`image ${index} is broken`);
        return { image: barImage(offset + index, truth[index], size, channels), label: own[index], index, name: `${index}` };
      },
    };
  };
  return {
    name: 'bars',
    classes,
    channels,
    splits: { train: split(train, 0), val: split(val, 100_000) },
    imageSize: [size, size],
    credits: [],
    fingerprint: options.fingerprint ?? `bars-${train}-${val}-${classes.length}`,
    warnings: [],
  };
}

export function tinyNet(options: { seed?: number; classes?: number; channels?: number; dropout?: number; width?: number } = {}): ZfNet {
  return zfnet('small', { inputSize: INPUT, channels: 1, classes: 3, width: 0.01, ...options });
}

/** A job that trains in a second: six steps an epoch. */
export function tinyJob(options: Partial<TrainJob> = {}): TrainJob {
  const { options: training, ...rest } = options;
  return {
    model: tinyNet({ seed: 5 }),
    dataset: bars(),
    options: { epochs: 2, batchSize: 4, lr: 0.02, schedule: { kind: 'plateau', factor: 0.5, patience: 0 }, seed: 5, ...training },
    ...rest,
  };
}

/** A digest of each parameter's bits. */
export const weightsOf = (model: ZfNet): Record<string, string> =>
  Object.fromEntries(
    model.namedParameters().map(([name, value]) => {
      const { buffer } = value.dataSync();
      return [name, createHash('sha256').update(new Uint8Array(buffer)).digest('hex').slice(0, 16)];
    }),
  );
