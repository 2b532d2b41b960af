/** Crops that a backend cuts from the bytes of the images have the bits of those that are cut on the host. */
import { afterEach, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { examplesToTensor, imagesToTensor, Preprocess } from '../../src/zfnet/index.js';

const [side, inputSize, channels] = [9, 6, 3] as const;
const bytes = (seed: number) => Uint8Array.from({ length: side * side * channels }, (_, i) => (i * 37 + seed * 101) % 256);
const image = (seed: number) => ({ width: side, height: side, channels, data: bytes(seed) });
const mean = { shape: [channels, side, side], data: Float32Array.from(bytes(9), (value) => value / 3) };
const preprocess = new Preprocess({ inputSize, side, channels, scale: 1 / 64, deviation: [1, 2, 3] }, mean);

const open: Backend[] = [];
afterEach(() => {
  for (const backend of open.splice(0)) backend.dispose();
});

/** A reference backend with the optional kernel, written by its definition in the contract. */
async function cuttingBackend(): Promise<{ backend: Backend; uploaded: () => number }> {
  const backend = createReferenceBackend();
  open.push(backend);
  let uploaded = 0;
  backend.cutCrops = ({ y }, inputs, p) => {
    const [pixels, average, places] = [inputs.pixels, inputs.mean, inputs.places].map((storage) => backend.readSync(storage));
    uploaded += pixels.byteLength;
    const area = p.side * p.side;
    const values = Float32Array.from({ length: y.size }, (_, i) => {
      const [column, row, rest] = [i % p.size, Math.floor(i / p.size) % p.size, Math.floor(i / p.size ** 2)];
      const [picture, top, left, flip] = places.slice(4 * Math.floor(rest / p.channels));
      const c = rest % p.channels;
      const at = (top + row) * p.side + left + (flip ? p.size - 1 - column : column);
      return (pixels[(picture * area + at) * p.channels + c] - average[c * area + at]) * p.scales[c];
    });
    backend.write(y, values);
  };
  return { backend, uploaded: () => uploaded };
}

it('in training, with mirrored crops', async () => {
  const { backend, uploaded } = await cuttingBackend();
  const examples = [0, 1, 2, 3, 4].map((index) => ({ image: image(index), index }));
  const sample = { augment: 'random', seed: 3, epoch: 2 } as const;
  const crops = examplesToTensor(preprocess, examples, sample, backend);
  expect(crops.shape).toEqual([5, channels, inputSize, inputSize]);
  expect(await crops.data()).toEqual(preprocess.training(examples, sample));
  expect(uploaded()).toBe(5 * side * side * channels);
  crops.dispose();
  expect(backend.memory().bytes).toBe(0);
});

it.each([1, 10] as const)('in evaluation, with %i crops per image', async (crops) => {
  const { backend } = await cuttingBackend();
  const images = [image(5), image(6)];
  const input = imagesToTensor(preprocess, images, { crops, backend });
  expect(input.shape).toEqual([2 * crops, channels, inputSize, inputSize]);
  expect(await input.data()).toEqual(preprocess.evaluation(images, crops));
});
