/** The training that is compared with PyTorch's: by interop/pytorch/test/run.ts live, by pytorch.test.ts with its record. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { openDataset } from '../../src/data/index.js';
import { MemoryStore, type RunStore, type TrainingOptions, train, zfnet } from '../../src/zfnet/index.js';
import { bars, CLASSES } from './support.js';

export const EPOCHS = 10;
export const STEPS_AN_EPOCH = 20;
const BATCH = 8;
const SIDE = 73;
/** The last batch of an epoch is one image: of two processes, one gets none. */
export const IMAGES = { train: (STEPS_AN_EPOCH - 1) * BATCH + 1, val: 45 };
export const MAX_RMS = 0.1;
/** Largest relative difference of a loss over the first 20 steps, and over all. */
export const NEAR = 1e-4;
export const FAR = 1e-3;

/**
 * Both sides round float32 differently, and sooner or later a pool's switch flips. How fast two trainings part from there depends
 * on the rate: at ten times this one, losses are 1 % apart after 200 steps.
 */
const LR = 2e-4;
const SEED = 3;
const NETWORK = { inputSize: 64, width: 0.25, dropout: 0 };
const RECIPE: Partial<TrainingOptions> = {
  epochs: EPOCHS,
  batchSize: BATCH,
  lr: LR,
  maxFilterRms: MAX_RMS,
  schedule: { kind: 'plateau', factor: 0.1, patience: 1 },
  augment: 'random',
  seed: SEED,
};

/** The same for `zfnet train`. */
export const ARGUMENTS = [
  ...['--preset', 'a', '--input-size', `${NETWORK.inputSize}`, '--width', `${NETWORK.width}`, '--dropout', `${NETWORK.dropout}`],
  ...['--epochs', `${EPOCHS}`, '--batch-size', `${BATCH}`, '--lr', `${LR}`, '--max-filter-rms', `${MAX_RMS}`],
  ...['--schedule', 'plateau', '--patience', '1', '--augment', 'random', '--seed', `${SEED}`],
];

/** The images have the size for training and a lossless format, so that no program resizes them. */
export async function writeImages(folder: string): Promise<void> {
  const { splits } = bars({ ...IMAGES, size: SIDE, channels: 3 });
  for (const [name, split] of Object.entries(splits)) {
    for (const label of CLASSES) await mkdir(join(folder, name, label), { recursive: true });
    for (let i = 0; i < split.length; i++) {
      const { image, label } = await split.get(i);
      await writeFile(join(folder, name, CLASSES[label], `${i}.png`), encode(image));
    }
  }
}

/** The loss of every step of training, from the start or of a prepared run. */
export async function losses(images: string, store: RunStore = new MemoryStore(), resume = false): Promise<number[]> {
  const dataset = await openDataset(images, { imageSize: SIDE });
  const model = zfnet('a', { ...NETWORK, classes: CLASSES.length, seed: SEED });
  const values: number[] = [];
  await train({ model, dataset, store, resume, options: RECIPE, onStep: ({ loss }) => values.push(loss) });
  model.dispose();
  return values;
}

/** Largest relative difference of two lists of losses; not a number where one is shorter. */
export function worst(got: readonly number[], expected: readonly number[]): number {
  if (got.length !== expected.length) return Number.NaN;
  return Math.max(...got.map((value, i) => Math.abs(value - expected[i]) / Math.abs(expected[i])));
}
