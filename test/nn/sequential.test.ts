/** `Sequential`: activations by name, fused ReLUs, freed activations, and the shapes and costs of layers. */
import { describe, expect, it } from 'vitest';
import {
  AvgPool2d,
  Conv2d,
  ConvTranspose2d,
  countParameters,
  Dropout,
  Flatten,
  LeakyReLU,
  Linear,
  LocalResponseNorm,
  MaxPool2d,
  patchOf,
  ReLU,
  Sequential,
  Sigmoid,
  Softmax,
  summarize,
  Tanh,
} from '../../src/nn/index.js';
import { randn, recording, ShapeError, setDefaultBackend, type Tensor, tensor, ValueError } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { backends, reference } from '../support/backends.js';

setDefaultBackend(reference);

const net = () =>
  new Sequential({
    conv1: new Conv2d(1, 3, 3),
    relu1: new ReLU(),
    pool1: new MaxPool2d(2),
    drop1: new Dropout(0.5),
    flatten: new Flatten(),
    fc6: new Linear(12, 5),
    relu6: new ReLU(),
    fc8: new Linear(5, 2),
  });
const image = () => tensor(noise(72, 1), [2, 1, 6, 6]);

describe('Sequential', () => {
  it('names its layers, or numbers them', () => {
    expect(net().layerNames()).toEqual(['conv1', 'relu1', 'pool1', 'drop1', 'flatten', 'fc6', 'relu6', 'fc8']);
    const numbered = new Sequential([new ReLU(), new Tanh()]);
    expect(numbered.layerNames()).toEqual(['0', '1']);
    expect(numbered.layer('1')).toBeInstanceOf(Tanh);
    expect(() => numbered.layer('2')).toThrow(ValueError);
    expect(() => net().layer('conv2')).toThrow("there is no layer 'conv2'; the layers are conv1, relu1");
  });

  it('returns the same activations, fused or not, as its layers run one by one', () => {
    const model = net().eval();
    const expected: Record<string, number[]> = {};
    let x: Tensor = image();
    for (const name of model.layerNames()) {
      x = model.layer(name).forward(x);
      expected[name] = [...x.dataSync()];
    }
    const numbers = (taps: Record<string, Tensor>) =>
      Object.fromEntries(Object.entries(taps).map(([name, t]) => [name, [...t.dataSync()]]));
    expect(numbers(model.activations(image(), model.layerNames()))).toEqual(expected);
    for (const name of model.layerNames()) expect(numbers(model.activations(image(), [name]))).toEqual({ [name]: expected[name] });
    expect([...model.forward(image()).dataSync()]).toEqual(expected.fc8);
    expect(model.activations(image(), [])).toEqual({});
  });

  it('runs no further than the last requested layer', () => {
    const model = net();
    let ran = false;
    model.layer('fc6').forward = () => {
      ran = true;
      throw new Error('too far');
    };
    expect(model.activations(image(), ['relu1', 'flatten']).flatten.shape).toEqual([2, 12]);
    expect(ran).toBe(false);
  });

  it('has the same gradients through fused ReLUs and through ReLUs whose input is requested', () => {
    const model = net().eval();
    const gradients = (run: () => Tensor) => {
      for (const w of model.parameters()) w.grad = null;
      recording(run).sum().backward();
      return model.parameters().map(({ grad }) => [...grad!.dataSync()]);
    };
    const tapped = gradients(() => model.activations(image(), model.layerNames()).fc8);
    expect(gradients(() => model.forward(image()))).toEqual(tapped);
  });

  it('does not fuse layers with a forward method of their own', () => {
    class Doubled extends Linear {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(2).sub(1);
      }
    }
    const layer = new Doubled(3, 4);
    const x = tensor(noise(6, 1), [2, 3]);
    const model = new Sequential([layer, new ReLU()]);
    expect([...model.forward(x).dataSync()]).toEqual([...layer.forward(x).dataSync()].map((value) => Math.max(value, 0)));
  });

  it('frees each activation after the next layer has used it, but never its input', () => {
    const model = net().eval();
    const x = image();
    const taps = model.activations(x, ['pool1', 'fc8']);
    const { buffers } = reference.memory();
    expect(x.disposed).toBe(false);
    taps.pool1.dispose();
    taps.fc8.dispose();
    expect(reference.memory().buffers).toBeLessThan(buffers);
    const alone = new Sequential({ drop: new Dropout(0.5).eval(), flatten: new Flatten() }).eval();
    expect(alone.activations(x, ['drop']).drop).toBe(x);
    alone.forward(x).dispose();
    expect([...x.dataSync()]).toEqual([...image().dataSync()]);
  });

  it('takes the features of convolutions and linear layers after their ReLU', () => {
    const model = net();
    expect(['conv1', 'relu1', 'pool1', 'fc6', 'fc8'].map((name) => model.featureLayer(name))).toEqual([
      'relu1',
      'relu1',
      'pool1',
      'relu6',
      'fc8',
    ]);
  });

  it('names the layer that does not accept its input', () => {
    expect(() => net().forward(randn([1, 2, 6, 6]))).toThrow(ShapeError);
    expect(() => net().forward(randn([1, 2, 6, 6]))).toThrow(/^layer conv1: conv2d: input has 2 channels, weight expects 1/);
    expect(() => net().outputShape([1, 1, 8, 8])).toThrow(/^layer fc6: linear: input has shape \[1,27\], expected \[N, 12\]/);
    const nested = new Sequential({ outer: new Sequential({ inner: new Linear(2, 2) }) });
    expect(() => nested.forward(randn([1, 3]))).toThrow(/^layer inner: linear/);
  });
});

describe('pooling options', () => {
  it('are accepted under their old names, and refused under both with different values', () => {
    expect(new MaxPool2d(2, { ceil: true }).options).toEqual({ kernelSize: 2, ceilMode: true });
    expect(() => new MaxPool2d(2, { kernel: 3 })).toThrow(ValueError);
    expect(() => new AvgPool2d(2, { ceil: true, ceilMode: false })).toThrow(/AvgPool2d: ceilMode is false and ceil is true/);
  });
});

describe('shapes, by arithmetic', () => {
  const layers: [string, () => Sequential, number[]][] = [
    ['convolutions', () => new Sequential([new Conv2d(2, 4, [3, 2], { stride: [2, 1], padding: [1, 0, 2, 1], groups: 2 })]), [2, 2, 9, 8]],
    [
      'transposed convolutions',
      () => new Sequential([new ConvTranspose2d(3, 2, 3, { stride: 2, padding: 1, outputPadding: 1 })]),
      [2, 3, 4, 5],
    ],
    ['max pooling', () => new Sequential([new MaxPool2d([3, 2], { stride: 2, ceilMode: true, padding: [1, 0] })]), [1, 2, 8, 7]],
    ['average pooling', () => new Sequential([new AvgPool2d(3, { stride: 2, padding: 1 })]), [1, 2, 8, 7]],
    ['activations', () => new Sequential([new LeakyReLU(), new Sigmoid(), new Tanh(), new LocalResponseNorm()]), [1, 2, 3, 4]],
    ['rows', () => new Sequential([new Flatten(), new Linear(24, 7), new ReLU(), new Softmax()]), [3, 2, 3, 4]],
  ];

  it.each(layers)('of %s are those of running the layers, on every backend', async (_, build, input) => {
    for (const { backend } of backends) {
      const model = await build().to({ backend });
      const rows = summarize(model, input);
      const taps = model.activations(randn(input, { backend }), model.layerNames());
      for (const { name, outputShape } of rows) expect(taps[name].shape).toEqual(outputShape);
      model.dispose();
    }
  });

  it('cost: parameters, multiply-adds and bytes', () => {
    const model = new Sequential({ conv: new Conv2d(4, 6, 3, { groups: 2, padding: 1 }), up: new ConvTranspose2d(6, 2, 2, { stride: 2 }) });
    const [conv, up] = summarize(model, [2, 4, 5, 7]);
    expect(conv).toMatchObject({
      kind: 'Conv2d',
      parameters: 6 * 2 * 9 + 6,
      multiplyAdds: 2 * 5 * 7 * 6 * 2 * 9,
      activationBytes: 4 * 2 * 6 * 35,
    });
    expect(up).toMatchObject({ outputShape: [2, 2, 10, 14], parameters: 6 * 2 * 4 + 2, multiplyAdds: 2 * 5 * 7 * 6 * 2 * 4 });
    expect(countParameters(model)).toBe(conv.parameters + up.parameters);
  });
});

describe('receptive fields', () => {
  const model = new Sequential({
    conv1: new Conv2d(1, 1, [5, 3], { stride: [2, 1], padding: [1, 2], bias: false }),
    relu1: new ReLU(),
    pool1: new MaxPool2d(3, { stride: 2, ceilMode: true }),
    conv2: new Conv2d(1, 1, 3, { dilation: 2, bias: false }),
  });
  const [SIZE, WIDTH] = [23, 19];

  it('are exactly the pixels that change an activation', () => {
    for (const w of model.parameters()) w.set(new Array(w.size).fill(0).map((_, i) => 1 + (i % 3)));
    const field = summarize(model, [1, 1, SIZE, WIDTH]).at(-1)!.receptiveField;
    const [, , height, width] = model.outputShape([1, 1, SIZE, WIDTH])!;
    const seen = (y: number, x: number) => {
      const input = tensor(
        noise(SIZE * WIDTH, 1).map((value) => value + 2),
        [1, 1, SIZE, WIDTH],
        { requiresGrad: true },
      );
      // Average in place of the largest, so that every pixel of a window counts.
      const averaged = new Sequential({
        conv1: model.layer('conv1'),
        pool1: new AvgPool2d(3, { stride: 2, ceilMode: true }),
        conv2: model.layer('conv2'),
      });
      averaged
        .forward(input)
        .slice([0, 0, y, x], [1, 1, y + 1, x + 1])
        .sum()
        .backward();
      const places = [...input.grad!.dataSync()].flatMap((value, i) => (value === 0 ? [] : [i]));
      const [ys, xs] = [places.map((i) => Math.floor(i / WIDTH)), places.map((i) => i % WIDTH)];
      return [Math.min(...ys), Math.min(...xs), Math.max(...ys) + 1, Math.max(...xs) + 1];
    };
    for (const [y, x] of [
      [0, 0],
      [height - 1, width - 1],
      [Math.floor(height / 2), 1],
    ])
      expect(patchOf(field, y, x, SIZE, WIDTH)).toEqual(seen(y, x));
  });

  it('are null from the first layer on that depends on the whole input', () => {
    const rows = summarize(new Sequential({ flatten: new Flatten(), fc: new Linear(4, 1) }), [1, 1, 2, 2]);
    expect(rows[1].receptiveField).toBeNull();
    expect(patchOf(null, 0, 0, 5, 6)).toEqual([0, 0, 5, 6]);
    const up = new Sequential({ up: new ConvTranspose2d(1, 1, 3) });
    expect(summarize(up, [1, 1, 4, 4])[0].receptiveField).toBeNull();
  });
});
