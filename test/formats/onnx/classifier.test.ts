/** An imported model as a classifier: logits for any batch size, and the conversion between its order of channels and ours. */
import { describe, expect, it } from 'vitest';
import { deconvnet } from '../../../src/deconv/index.js';
import { loadOnnx, OnnxClassifier } from '../../../src/formats/onnx/index.js';
import { noGrad, tensor, withBackend } from '../../../src/tensor/index.js';
import { mismatch } from '../../support/allclose.js';
import { strict } from '../../support/backends.js';
import { floats, ints, node, onnx } from './build.js';

const CLOSE = { relative: 1e-5, absolute: 1e-6 };
const wave = (length: number) => Array.from({ length }, (_, i) => Math.sin(1.3 * i + 0.4));

/** A convolution, a ReLU, a linear layer and a softmax, for a fixed batch size of one, as in many files. */
const bytes = onnx({
  inputs: { x: { shape: [1, 3, 4, 4] } },
  nodes: [
    node('Conv', 'x w', 'c', {}, 'conv'),
    node('Relu', 'c', 'r', {}, 'relu'),
    node('Reshape', 'r flat', 'f', {}, 'flatten'),
    node('Gemm', 'f v', 'g', {}, 'fc'),
    node('Softmax', 'g', 'y', { axis: 1 }, 'softmax'),
  ],
  initializers: [floats('w', [2, 3, 3, 3], wave(54)), floats('v', [8, 5], wave(40)), ints('flat', [1, 8])],
});
const load = async (options?: ConstructorParameters<typeof OnnxClassifier>[1]) =>
  new OnnxClassifier(await loadOnnx(bytes, { backend: strict.backend, freeBatch: true }), options);
const forward = async (network: OnnxClassifier, x: readonly number[]) =>
  withBackend(strict.backend, () => noGrad(() => network.forward(tensor(x, [x.length / 48, 3, 4, 4])))).data();

describe('an imported classifier', () => {
  it('accepts any batch size and gives each image the same output as alone', async () => {
    const network = await load();
    const images = wave(3 * 48);
    const together = await forward(network, images);
    const alone = await Promise.all([0, 1, 2].map((i) => forward(network, images.slice(i * 48, (i + 1) * 48))));
    expect(mismatch(together, Float32Array.from(alone.flatMap((each) => [...each])), CLOSE)).toBeNull();
  });

  it('runs a model with a fixed batch size as often as the images need', async () => {
    const fixed = new OnnxClassifier(await loadOnnx(bytes, { backend: strict.backend }));
    expect([fixed.batch, (await load()).batch]).toEqual([1, null]);
    expect(mismatch(await forward(fixed, wave(96)), await forward(await load(), wave(96)), CLOSE)).toBeNull();
  });

  it('returns the scores before the softmax', async () => {
    const network = await load();
    expect(network.layerNames()).toEqual(['conv', 'relu', 'flatten', 'fc']);
    const logits = await forward(network, wave(48));
    const { y } = await network.model.run({ x: withBackend(strict.backend, () => tensor(wave(48), [1, 3, 4, 4])) });
    const exponentials = Array.from(logits, Math.exp);
    const sum = exponentials.reduce((a, b) => a + b);
    expect(
      mismatch(
        await y.data(),
        Float32Array.from(exponentials, (e) => e / sum),
        CLOSE,
      ),
    ).toBeNull();
    expect(network.summarize([1, 3, 4, 4]).map(({ name, multiplyAdds, parameters }) => [name, multiplyAdds, parameters])).toEqual([
      ['conv', 4 * 54, 54],
      ['relu', 0, 0],
      ['flatten', 0, 0],
      ['fc', 40, 40],
    ]);
  });

  it('converts the order of channels for the model, and back for projections', async () => {
    const [rgb, bgr] = [await load(), await load({ channelOrder: 'bgr' })];
    const image = wave(48);
    const reversed = [...image.slice(32), ...image.slice(16, 32), ...image.slice(0, 16)];
    expect(await forward(bgr, image)).toEqual(await forward(rgb, reversed));
    const project = (network: OnnxClassifier, pixels: readonly number[]) =>
      deconvnet(network).project(tensor(pixels, [3, 4, 4], { backend: strict.backend }), {
        layer: 'conv',
        map: 1,
        position: [1, 0],
        mode: 'gradient',
      });
    const [own, other] = [await (await project(bgr, image)).data(), await (await project(rgb, reversed)).data()];
    expect(Array.from(own)).toEqual([...other.subarray(32), ...other.subarray(16, 32), ...other.subarray(0, 16)]);
    expect(own.some((value) => value !== 0)).toBe(true);
  });

  it('refuses a model whose input is not an image', async () => {
    const two = onnx({ inputs: { a: {}, b: {} }, nodes: [node('Add', 'a b', 'y')] });
    const net = await loadOnnx(two, { backend: strict.backend });
    expect(() => new OnnxClassifier(net)).toThrow(/takes one input \[N, C, H, W\]; this model has a .*, b/);
  });
});
