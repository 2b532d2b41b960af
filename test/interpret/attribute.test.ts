/** `attribute` against attributions written out from Captum's definitions: test/fixtures/interpret.py. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { loadOnnx, toOnnx } from '../../src/formats/onnx/index.js';
import { type AttributeOptions, attribute } from '../../src/interpret/index.js';
import { Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Tanh } from '../../src/nn/index.js';
import { type Backend, Generator, randn, ShapeError, type Tensor, tensor, ValueError, withBackend } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { createDeferredBackend } from '../backend/deferred/deferred.js';
import { mismatch } from '../support/allclose.js';
import { reference, strict } from '../support/backends.js';
import { readFixture } from '../support/torch.js';

const fixtures = Object.entries(readFixture<Record<string, { options: Record<string, unknown>; values: number[] }>>('interpret.json'));
const SHAPE = [2, 2, 9, 7];
const SIZE = 252;
const TARGETS = [2, 0];
const CLOSE = { relative: 1e-5, absolute: 1e-5 };

/** The network of interpret.py. The pooled 2 × 2 corner of its last maps is the input of the linear layer. */
function network(backend: Backend): Sequential {
  return withBackend(backend, () => {
    const model = new Sequential({
      conv1: new Conv2d(2, 4, 3, { padding: 1 }),
      relu1: new ReLU(),
      pool1: new MaxPool2d(2),
      conv2: new Conv2d(4, 5, 3, { padding: 1 }),
      relu2: new ReLU(),
      pool2: new MaxPool2d(2, { ceilMode: true }),
      flatten: new Flatten(),
      fc: new Linear(20, 3),
    });
    const scales: [string, number[], number, number][] = [
      ['conv1.weight', [4, 2, 3, 3], 1, 0.5],
      ['conv1.bias', [4], 2, 0.1],
      ['conv2.weight', [5, 4, 3, 3], 3, 0.5],
      ['conv2.bias', [5], 4, 0.1],
      ['fc.weight', [3, 20], 5, 1],
      ['fc.bias', [3], 6, 1],
    ];
    const values = (shape: number[], seed: number, scale: number) =>
      Float32Array.from(
        noise(
          shape.reduce((a, b) => a * b),
          seed,
        ),
        (v) => v * scale,
      );
    model.loadStateDict(
      Object.fromEntries(scales.map(([name, shape, seed, scale]) => [name, { shape, data: values(shape, seed, scale) }])),
    );
    return model;
  });
}

/** The same network as a module of its own, without named layers that the engine knows of. */
class Plain extends Module {
  constructor(readonly inner: Sequential) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.inner.layerNames().reduce((at, name) => this.inner.layer(name).forward(at), x);
  }
}

const image = (backend: Backend) => tensor(noise(SIZE, 9), SHAPE, { backend });
const optionsOf = (name: string, { baseline, ...rest }: Record<string, unknown>, backend: Backend): AttributeOptions =>
  ({
    method: name.split(' ')[0],
    target: TARGETS,
    ...rest,
    ...(baseline !== undefined && { baseline: baseline === 'other' ? tensor(noise(SIZE, 10), SHAPE, { backend }) : baseline }),
  }) as AttributeOptions;

describe.each([
  { name: 'the reference', backend: reference, wrap: (model: Sequential): Module => model },
  { name: 'wasm', backend: strict.backend, wrap: (model: Sequential): Module => model },
  { name: 'a backend without a synchronous read', backend: createDeferredBackend(), wrap: (model: Sequential): Module => model },
  { name: 'a module of the user', backend: strict.backend, wrap: (model: Sequential): Module => new Plain(model) },
])('on $name', ({ backend, wrap }) => {
  it.each(fixtures)('%s', async (name, { options, values }) => {
    const model = wrap(network(backend));
    const paths = model instanceof Plain ? 'inner.' : '';
    const layer = options.layer ?? (model instanceof Plain && name === 'grad-cam' ? 'relu2' : undefined);
    const result = await attribute(model, image(reference), optionsOf(name, { ...options, layer: layer && `${paths}${layer}` }, reference));
    expect(result.shape).toEqual(SHAPE);
    expect(result.backend).toBe(backend);
    expect(mismatch(await result.data(), values, CLOSE)).toBeNull();
    expect(model.training).toBe(true);
  });
});

describe('attribute', () => {
  const model = network(strict.backend);
  const x = image(strict.backend);

  it('explains an imported network as it explains the original', async () => {
    const imported = await loadOnnx(await toOnnx(model, { inputShape: SHAPE }), { backend: strict.backend });
    for (const [name, { options, values }] of fixtures.filter(([, { options }]) => !options.layer && !options.baseline)) {
      const result = await attribute(imported, x, optionsOf(name, options, strict.backend));
      expect(mismatch(await result.data(), values, CLOSE), name).toBeNull();
    }
  });

  it('explains the class with the highest score by default, and one image without a batch axis', async () => {
    const scores = await model.forward(x).data();
    const best = [0, 3].map((first) => [0, 1, 2].reduce((a, b) => (scores[first + b] > scores[first + a] ? b : a)));
    const all = await (await attribute(model, x, { method: 'gradient' })).data();
    expect(await (await attribute(model, x, { method: 'gradient', target: best })).data()).toEqual(all);
    const single = tensor(noise(SIZE, 9).slice(0, SIZE / 2), SHAPE.slice(1), { backend: strict.backend });
    const one = await attribute(model, single, { method: 'gradient' });
    expect(one.shape).toEqual(SHAPE.slice(1));
    expect(mismatch(await one.data(), [...all.slice(0, SIZE / 2)], CLOSE)).toBeNull();
  });

  it('averages gradients at noisy copies for smoothgrad, the same for the same seed', async () => {
    const options: AttributeOptions = { method: 'smoothgrad', target: TARGETS, samples: 4, sigma: 0.3, seed: 5 };
    const result = await (await attribute(model, x, options)).data();
    const generator = new Generator(5);
    const sum = new Float64Array(SIZE);
    for (let i = 0; i < 4; i++) {
      const noisy = x.add(randn(SHAPE, { backend: strict.backend, generator, std: 0.3 }));
      (await (await attribute(model, noisy, { method: 'gradient', target: TARGETS })).data()).forEach((v, j) => {
        sum[j] += v / 4;
      });
    }
    expect(mismatch(result, sum, CLOSE)).toBeNull();
    expect(await (await attribute(model, x, options)).data()).toEqual(result);
    expect(await (await attribute(model, x, { ...options, seed: 6 })).data()).not.toEqual(result);
  });

  it('sums integrated gradients to the difference of the scores', async () => {
    const map = await (await attribute(model, x, { method: 'integrated-gradients', target: 1, steps: 300 })).data();
    const at = async (input: Tensor) => (await model.forward(input).data())[1];
    const single = (values: number[]) => tensor(values, [1, 2, 9, 7], { backend: strict.backend });
    const difference = (await at(single(noise(SIZE, 9).slice(0, SIZE / 2)))) - (await at(single(new Array(SIZE / 2).fill(0))));
    expect(Math.abs([...map].slice(0, SIZE / 2).reduce((a, b) => a + b) - difference)).toBeLessThan(2e-3);
  });

  it('leaves nothing in memory but its result', async () => {
    const backend = createReferenceBackend();
    const own = network(backend);
    const before = backend.memory().buffers;
    for (const method of ['guided', 'integrated-gradients', 'smoothgrad', 'guided-grad-cam', 'occlusion'] as const) {
      const result = await attribute(own, x, { method, steps: 3, samples: 3 });
      result.dispose();
      expect(backend.memory().buffers, method).toBe(before);
    }
  });

  it('says when a method that rules over ReLUs finds none', async () => {
    const smooth = withBackend(strict.backend, () => new Sequential([new Flatten(), new Linear(126, 4), new Tanh(), new Linear(4, 3)]));
    for (const method of ['guided', 'deconvnet', 'guided-grad-cam'] as const)
      await expect(attribute(smooth, x, { method, layer: '1' })).rejects.toThrow(/no ReLU between its input and its scores/);
    await expect(attribute(smooth, x, { method: 'gradient' })).resolves.toMatchObject({ shape: SHAPE });
  });

  it.each<[object, new (message: string) => Error, RegExp]>([
    [{ method: 'grad-cam', layer: 'conv9' }, ValueError, /no layer 'conv9'.*did you mean/],
    [{ method: 'grad-cam', layer: 'fc' }, ShapeError, /layer 'fc' has outputs of shape \[2,3\]/],
    [{ method: 'gradient', target: 3 }, ValueError, /target is 3, expected a class from 0 to 2/],
    [{ method: 'gradient', target: [1] }, ValueError, /1 targets for 2 images/],
    [{ method: 'gradcam' }, ValueError, /method is 'gradcam'.*did you mean 'grad-cam'/],
    [{}, ValueError, /method is missing/],
    [{ method: 'occlusion', window: 0 }, ValueError, /window is 0/],
  ])('refuses %j', async (options, type, message) => {
    await expect(attribute(model, x, options as AttributeOptions)).rejects.toThrow(type);
    await expect(attribute(model, x, options as AttributeOptions)).rejects.toThrow(message);
  });
});
