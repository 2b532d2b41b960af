/**
 * What examples may use without declaring it, made anew for every example: a small network `model` with the layers of ZFNet, inputs for it,
 * a data set `dataset` of generated scenes, a trained run in `store`, and the like. Inputs are 64 × 64 pixels with 3 channels.
 */
import { readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { type Dataset, type Example, openDataset, type Scene } from '../../src/data/index.js';
import { toOnnx } from '../../src/formats/onnx/index.js';
import {
  imagesToTensor,
  MemoryStore,
  meanImage,
  openRun,
  type Patch,
  Preprocess,
  parameter,
  randn,
  SGD,
  sideFor,
  type Tensor,
  tensor,
  train,
  uniform,
  type ZfNet,
  zfnet,
} from '../../src/index.js';

const SIZE = 64;
const SIDE = sideFor(SIZE);

const network = (): ZfNet => zfnet('a', { classes: 24, inputSize: SIZE, width: 0.02, seed: 1 });

let opened: Promise<Dataset> | undefined;
const scenes = (): Promise<Dataset> => {
  opened ??= openDataset('scenes', { imageSize: SIDE, sizes: { train: 48, val: 24, 'unseen-style': 24 } });
  return opened;
};

let trained: Promise<MemoryStore> | undefined;
async function trainOnce(): Promise<MemoryStore> {
  const store = new MemoryStore();
  await train({ model: network(), dataset: await scenes(), store, options: { epochs: 1, batchSize: 24 } });
  return store;
}

const preparation = async (): Promise<Preprocess> => {
  const mean = await meanImage((await scenes()).splits.train, SIDE, 3);
  return new Preprocess({ inputSize: SIZE, side: SIDE, channels: 3, scale: 1 / 128 }, mean);
};

const runStore = async (): Promise<MemoryStore> => {
  trained ??= trainOnce();
  const copy = new MemoryStore();
  for (const [path, bytes] of (await trained).files) await copy.write(path, bytes);
  return copy;
};

const firstExample = async (): Promise<Example> => (await scenes()).splits.val.get(0);

/** Each name that examples may use, with the function that makes its value. */
export const given = {
  model: network,
  /** One image, [1, 3, 64, 64]. */
  image: (): Tensor => randn([1, 3, SIZE, SIZE]),
  /** Two images, [2, 3, 64, 64]. */
  images: (): Tensor => randn([2, 3, SIZE, SIZE]),
  /** Their classes. */
  labels: (): Tensor => tensor(Int32Array.of(3, 1)),
  /** Feature maps, [2, 8, 16, 16]. */
  x: (): Tensor => randn([2, 8, 16, 16]),
  /** Logits of two images for ten classes. */
  scores: (): Tensor => randn([2, 10]),
  weight: (): Tensor => parameter(uniform([3, 4])),
  optimizer: () => new SGD(network().parameters(), { lr: 0.1 }),
  dataset: scenes,
  example: firstExample,
  examples: async (): Promise<Example[]> => [await firstExample(), await (await scenes()).splits.val.get(1)],
  /** Batches as `fit` takes them. */
  batches: () => [{ images: randn([2, 3, SIZE, SIZE]), labels: tensor(Int32Array.of(3, 1)) }],
  scene: async (): Promise<Scene> => (await firstExample()).details!,
  /** The preprocessing as a function from examples to the network's input. */
  prepare: async (): Promise<(examples: Example[]) => Tensor> => {
    const preprocess = await preparation();
    return (examples) =>
      imagesToTensor(
        preprocess,
        examples.map(({ image }) => image),
      );
  },
  store: runStore,
  run: async () => openRun(await runStore()),
  /** The same network after two epochs. */
  checkpoints: () => [1, 2].map((epoch) => ({ epoch, open: async () => network() })),
  groups: () => [
    { images: randn([2, 3, SIZE, SIZE]), parts: [{ nose: [20, 20, 30, 30] }, { nose: [24, 24, 34, 34] }] as { nose: Patch }[] },
  ],
  /** An ONNX file. */
  bytes: async (): Promise<Uint8Array> => toOnnx(network(), { inputSize: SIZE }),
  fc: () => fc,
  readFile: () => readFile,
  writeFile: () => writeFile,
};
