/** Imported models on a backend that cannot read synchronously. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { loadOnnx, toOnnx } from '../../../src/formats/onnx/index.js';
import { Conv2d, Flatten, Linear, ReLU, Sequential } from '../../../src/nn/index.js';
import { type Backend, tensor, withBackend } from '../../../src/tensor/index.js';
import { createDeferredBackend } from '../../backend/deferred/deferred.js';
import { type Description, floats, ints, node, onnx } from './build.js';

/** Selects the positive elements of relu(x · w): the number of results depends on the values. */
const positive: Description = {
  nodes: [
    node('Mul', 'x w', 'p'),
    node('Relu', 'p', 'r'),
    node('NonZero', 'r', 'places'),
    node('Transpose', 'places', 'indices'),
    node('GatherND', 'r indices', 'y'),
  ],
  initializers: [floats('w', [3], [1, -1, 2])],
};

describe('a backend without synchronous reads', () => {
  it('runs a model whose shapes depend on the values', async () => {
    const backend = createDeferredBackend();
    const net = await loadOnnx(onnx(positive), { backend });
    const x = tensor([1, 2, 3, -1, -2, -3], [2, 3], { backend });
    const before = backend.memory().buffers;
    const { y } = await net.run({ x });
    expect([...(await y.data())]).toEqual([1, 6, 2]);
    y.dispose();
    // The input was uploaded to the backend; all other buffers are freed.
    expect(backend.memory().buffers).toBeLessThanOrEqual(before + 2);
    const live = backend.memory().buffers;
    (await net.run({ x })).y.dispose();
    expect(backend.memory().buffers).toBe(live);
  });

  it('says in a synchronous pass which node needs the values, and what to call', async () => {
    const backend = createDeferredBackend();
    const net = await loadOnnx(onnx(positive), { backend });
    expect(() => net.forward(tensor([1, 2, 3], [1, 3], { backend }))).toThrow(
      /node "places" \(NonZero\) needs the elements of "r".*await model.run/,
    );
  });

  it('computes comparisons, masks, indices and quantised values without reading', async () => {
    const backend = createDeferredBackend();
    const nodes = [
      node('Greater', 'x zero', 'm'),
      node('Not', 'm', 'not'),
      node('Or', 'm not', 'all'),
      node('Where', 'm x zero', 'w'),
      node('MaxPool', 'w', 'pooled i', { kernel_shape: [2, 2], strides: [2, 2] }),
      node('QuantizeLinear', 'pooled s z', 'q'),
      node('DequantizeLinear', 'q s z', 'y'),
      node('Cast', 'all', 'ones', { to: 1 }),
    ];
    const initializers = [floats('zero', [], [0]), floats('s', [], [0.5]), { name: 'z', dims: [], dataType: 2, int32Data: [10] }];
    const net = await loadOnnx(onnx({ nodes, initializers, outputs: ['y', 'i', 'ones'] }), { backend });
    const x = tensor([-1, 2.3, 3, -4, 5, -6, -7, -8], [1, 2, 2, 2], { backend });
    const { y, i, ones } = await net.run({ x });
    expect([...(await y.data())]).toEqual([3, 5]);
    expect([...(await i.data())]).toEqual([2, 4]);
    expect(new Set(await ones.data())).toEqual(new Set([1]));
    const scores = net.activations(x, ['w']).w;
    expect([...(await scores.data())]).toEqual([0, Math.fround(2.3), 3, 0, 5, 0, 0, 0]);
  });

  it('exports a network: the bytes arrive later, and are those of a synchronous backend', async () => {
    const build = (backend: Backend) => {
      const model = withBackend(backend, () => {
        const layers = new Sequential({ conv: new Conv2d(1, 2, 2), relu: new ReLU(), flatten: new Flatten(), fc: new Linear(8, 3) });
        // The parameters move to the device, so that they cannot be read from the host.
        for (const [i, weight] of layers.parameters().entries()) {
          weight.set(Float32Array.from({ length: weight.size }, (_, k) => Math.sin(k + i)));
        }
        return layers;
      });
      return toOnnx(model, { inputShape: [1, 1, 3, 3] });
    };
    const later = build(createDeferredBackend());
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toEqual(build(createReferenceBackend()));
  });

  it('frees the intermediate values of a run that fails', async () => {
    const backend = createDeferredBackend();
    const nodes = [node('Relu', 'x', 'r'), node('NonZero', 'r', 'n'), node('Reshape', 'r shape', 'y')];
    const net = await loadOnnx(onnx({ nodes, initializers: [ints('shape', [7])], outputs: ['n', 'y'] }), { backend });
    const x = tensor([1, 2, 3], [3], { backend });
    await net.run({ x }).catch(() => undefined);
    const live = backend.memory().buffers;
    await expect(net.run({ x })).rejects.toThrow(/node "y" \(Reshape\)/);
    expect(backend.memory().buffers).toBe(live);
  });
});
