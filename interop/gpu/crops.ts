/** Crops that the device cuts from the bytes of the images equal those that are cut on the host, within the rounding of float32. */
import { examplesToTensor, imagesToTensor, Preprocess } from '../../src/zfnet/index.js';
import { holds } from './assert.js';
import { check, type SuiteContext } from './suite.js';

/** @throws Error for the first pair that differs by more than three roundings of values up to 255 */
function close(actual: ArrayLike<number>, expected: Float32Array, scale: number): void {
  holds(actual.length === expected.length, `${actual.length} elements, expected ${expected.length}`);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i] - value)), 0);
  holds(worst <= 3 * 255 * 2 ** -24 * scale, `the largest difference is ${worst}`);
}

export async function crops(context: SuiteContext): Promise<void> {
  const [side, inputSize] = [11, 8];
  for (const channels of [1, 3] as const) {
    const bytes = (seed: number) => Uint8Array.from({ length: side * side * channels }, (_, i) => (i * 37 + seed * 101) % 256);
    const image = (seed: number) => ({ width: side, height: side, channels, data: bytes(seed) });
    const mean = { shape: [channels, side, side], data: Float32Array.from(bytes(9), (value) => value / 3) };
    const deviation = [1, 2, 3].slice(0, channels);
    const preprocess = new Preprocess({ inputSize, side, channels, scale: 1 / 50, deviation }, mean);
    await check(context, `training crops of ${channels} channels`, async () => {
      const examples = [0, 1, 2, 3, 4].map((index) => ({ image: image(index), index }));
      const sample = { augment: 'random', seed: 3, epoch: 2 } as const;
      const input = examplesToTensor(preprocess, examples, sample, await context.shared());
      close(await input.data(), preprocess.training(examples, sample), 1 / 50);
      input.dispose();
    });
    await check(context, `ten crops of ${channels} channels`, async () => {
      const images = [image(5), image(6)];
      const input = imagesToTensor(preprocess, images, { crops: 10, backend: await context.shared() });
      close(await input.data(), preprocess.evaluation(images, 10), 1 / 50);
      input.dispose();
    });
  }
}
