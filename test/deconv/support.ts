/** Small networks, images and splits for the tests of this folder. */
import type { Example, Split } from '../../src/data/dataset.js';
import { Conv2d, type Module } from '../../src/nn/index.js';
import { type Tensor, tensor } from '../../src/tensor/index.js';

/** Numbers in [-1, 1) that look random and are the same each time. */
export function noise(length: number, seed: number): Float64Array {
  let state = (seed * 2654435761) >>> 0 || 1;
  return Float64Array.from({ length }, () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 31 - 1;
  });
}

/** Fills every parameter with small noise, each with its own. */
export function fillWithNoise<T extends Module>(model: T, seed: number, scale = 0.5): T {
  model.parameters().forEach((p, i) => {
    p.set(noise(p.size, seed * 100 + i).map((value) => value * scale));
  });
  return model;
}

/** A convolution with weights [O, C, KH, KW] given, and biases. */
export function convWith(
  shape: readonly [number, number, number, number],
  weight: readonly number[],
  bias: readonly number[],
  options: { stride?: number; padding?: number } = {},
): Conv2d {
  const layer = new Conv2d(shape[1], shape[0], [shape[2], shape[3]], options);
  layer.weight.set(weight);
  layer.bias!.set(bias);
  return layer;
}

/** A split of images that look random: `length` of them, [height, width, 3]. */
export function noiseSplit(length: number, height: number, width: number, seed = 1): Split {
  const examples = Array.from({ length }, (_, index): Example => {
    const data = Uint8Array.from(noise(height * width * 3, seed * 1000 + index), (value) => Math.floor(128 + 127 * value));
    return { image: { width, height, channels: 3, data }, label: index % 3, index, name: `noise/${index}` };
  });
  return { length, labels: Int32Array.from(examples, (example) => example.label), get: async (index) => examples[index] };
}

/** [N, 3, H, W] in about [-1, 1]. */
export function toInput(examples: readonly Example[]): Tensor {
  const { width, height } = examples[0].image;
  const plane = width * height;
  const data = new Float32Array(examples.length * 3 * plane);
  examples.forEach(({ image }, n) => {
    for (let p = 0; p < plane; p++) for (let c = 0; c < 3; c++) data[(n * 3 + c) * plane + p] = (image.data[p * 3 + c] - 128) / 128;
  });
  return tensor(data, [examples.length, 3, height, width]);
}
