/**
 * An imported network behaves like any other: it gives the same outputs, gradients, projections and fields as the one it was exported
 * from.
 */
import { describe, expect, it } from 'vitest';
import { deconvnet, patchFinder, topActivations } from '../../../src/deconv/index.js';
import { loadOnnx, toOnnx } from '../../../src/formats/onnx/index.js';
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  Conv2d,
  Dropout2d,
  GELU,
  GroupNorm,
  HardSigmoid,
  HardSwish,
  Identity,
  type LayeredModel,
  LayerNorm,
  LocalResponseNorm,
  Module,
  Parallel,
  PReLU,
  ReLU,
  ReLU6,
  Residual,
  receptiveField,
  Sequential,
  SGD,
  SiLU,
  Softmax,
  torchvision,
  Upsample,
} from '../../../src/nn/index.js';
import {
  backward,
  crossEntropy,
  manualSeed,
  noGrad,
  randn,
  recording,
  scope,
  setDefaultBackend,
  type Tensor,
  tensor,
  withBackend,
} from '../../../src/tensor/index.js';
import { zfnet } from '../../../src/zfnet/index.js';
import { noiseSplit, toInput } from '../../deconv/support.js';
import { mismatch } from '../../support/allclose.js';
import { reference, strict } from '../../support/backends.js';
import { floats, node, onnx } from './build.js';

const EXACT = { relative: 1e-5, absolute: 1e-6 };

const pair = async (backend = strict.backend) => {
  const made = withBackend(backend, () => {
    manualSeed(4);
    const model = zfnet('a', { classes: 5, width: 0.0625, inputSize: 64, seed: 2 }).eval();
    return { model, x: randn([1, 3, 64, 64]), bytes: toOnnx(model, { inputSize: 64 }) };
  });
  return { ...made, net: await loadOnnx(await made.bytes, { backend }) };
};

describe('an imported network', () => {
  it('has the names and the outputs of the exported network', async () => {
    const { model, net, x } = await pair();
    expect(net.layerNames()).toEqual(model.layerNames());
    expect(net.namedParameters().map(([name, { shape }]) => [name, [...shape]])).toEqual(
      model.namedParameters().map(([name, { shape }]) => [name, [...shape]]),
    );
    expect(net.inputs).toEqual([{ name: 'input', type: 'float32', shape: ['batch', 3, 64, 64] }]);
    const [own, { output }] = [noGrad(() => model.forward(x)), await net.run({ input: x })];
    expect(mismatch(await output.data(), await own.data(), EXACT)).toBeNull();
    expect([...net.outputShape([2, 3, 64, 64])]).toEqual([2, 5]);
    expect(net.layer('conv2').kind).toBe('Conv');
  });

  it.each(['deconvnet', 'guided', 'gradient'] as const)('gives the same projections as the exported network: %s', async (mode) => {
    const { model, net, x } = await pair();
    for (const layer of ['conv1', 'pool2', 'conv5']) {
      const own = await deconvnet(model).projectActivation(x, { layer, map: 2, mode });
      const imported = await deconvnet(net).projectActivation(x, { layer, map: 2, mode });
      expect(imported.position).toEqual(own.position);
      expect(mismatch(await imported.picture.data(), await own.picture.data(), EXACT)).toBeNull();
      expect((await own.picture.data()).some((value) => value !== 0)).toBe(true);
    }
  });

  it('has the same receptive fields', async () => {
    const { model, net } = await pair();
    for (const layer of ['conv1', 'pool1', 'conv5']) {
      const feature = model.featureLayer(layer);
      expect(net.featureLayer(layer)).toBe(feature);
      expect(net.receptiveField(feature)).toEqual(receptiveField(model, feature));
      expect(patchFinder(net, layer, [1, 3, 64, 64])([1, 0])).toEqual(patchFinder(model, layer, [1, 3, 64, 64])([1, 0]));
    }
    expect(net.receptiveField('fc8')).toBeNull();
  });

  it('finds the same strongest activations in the same patches', async () => {
    const { model, net } = await pair();
    const find = async (each: LayeredModel) => {
      setDefaultBackend(strict.backend);
      const found = await topActivations(each, noiseSplit(5, 64, 64), {
        layers: ['conv1', 'conv5'],
        count: 2,
        batchSize: 2,
        preprocess: toInput,
      });
      return Object.values(found).map((maps) =>
        maps.map(({ strongest }) => strongest.map(({ index, position, patch }) => [index, ...position, ...patch])),
      );
    };
    expect(await find(net)).toEqual(await find(model));
  });

  it('trains like the exported network, with constant memory', async () => {
    const { model, net, x } = await pair();
    const labels = tensor(Int32Array.of(3), [1], { backend: strict.backend });
    const losses = async (each: { parameters(): Tensor[]; forward(x: Tensor): Tensor }) => {
      const sgd = new SGD(each.parameters(), { lr: 0.01, momentum: 0.9 });
      const result: number[] = [];
      let live = 0;
      for (let step = 0; step < 4; step++) {
        const loss = recording(() => crossEntropy(each.forward(x), labels));
        loss.backward();
        sgd.step();
        sgd.zeroGrad();
        result.push(await loss.item());
        const { bytes } = strict.backend.memory();
        if (step > 1) expect(bytes).toBe(live);
        live = bytes;
      }
      return result;
    };
    const own = await losses(model);
    expect(mismatch(await losses(net), own, { relative: 1e-4, absolute: 1e-5 })).toBeNull();
    expect(own[3]).toBeLessThan(own[0]);
  });

  it('applies dropout only in training', async () => {
    const { net, x } = await pair();
    const outputs = async () => [...(await noGrad(() => net.forward(x)).data())];
    const still = await outputs();
    net.train();
    expect(await outputs()).not.toEqual(still);
    net.eval();
    expect(await outputs()).toEqual(still);
  });

  it('moves to another backend', async () => {
    const { model, net, x } = await pair();
    const expected = await noGrad(() => model.forward(x)).data();
    await net.to({ backend: reference });
    const moved = tensor(await x.data(), x.shape, { backend: reference });
    expect(mismatch(await (await net.run({ input: moved })).output.data(), expected, { relative: 1e-3, absolute: 1e-5 })).toBeNull();
    await expect(net.run({ input: x })).rejects.toThrow(/lives on the wasm backend/);
  });

  it('loads a state dictionary by its own names', async () => {
    const { model, net, x } = await pair();
    const other = withBackend(strict.backend, () => zfnet('a', { classes: 5, width: 0.0625, inputSize: 64, seed: 9 }).eval());
    net.loadStateDict(other.stateDict());
    const [own, after] = [noGrad(() => other.forward(x)), noGrad(() => net.forward(x))];
    expect(mismatch(await after.data(), await own.data(), EXACT)).toBeNull();
    expect(mismatch(await after.data(), await noGrad(() => model.forward(x)).data(), EXACT)).not.toBeNull();
  });
});

/** y = relu(conv3×3(x)) + x, joined with a pooled branch; by ONNX and by hand. */
const branched = () =>
  onnx({
    nodes: [
      node('Conv', 'x w', 'c', { pads: [1, 1, 1, 1] }, 'conv'),
      node('BatchNormalization', 'c s o m v', 'n', {}, 'bn'),
      node('Relu', 'n', 'r', {}, 'relu'),
      node('Add', 'r x', 'a', {}, 'add'),
      node('AveragePool', 'x', 'p', { kernel_shape: [5, 5], pads: [2, 2, 2, 2] }, 'pool'),
      node('Concat', 'a p', 'y', { axis: 1 }, 'join'),
    ],
    initializers: [
      floats('w', [1, 1, 3, 3], [0.1, -0.2, 0.3, 0.5, 1, -0.4, 0.2, 0.6, -0.1]),
      floats('s', [1], [2]),
      floats('o', [1], [0.25]),
      floats('m', [1], [0.1]),
      floats('v', [1], [4]),
    ],
  });

describe('branches', () => {
  it('have the union of the receptive fields of their branches', async () => {
    const net = await loadOnnx(branched(), { backend: reference });
    const axis = (size: number) => ({ size, jump: 1, start: -(size - 1) / 2 });
    expect(net.receptiveField('conv')).toEqual([axis(3), axis(3)]);
    expect(net.receptiveField('add')).toEqual([axis(3), axis(3)]);
    expect(net.receptiveField('join')).toEqual([axis(5), axis(5)]);
    expect(net.featureLayer('conv')).toBe('relu');
    expect(net.featureLayer('add')).toBe('add');
  });

  it('project signals by the rules: to both operands of a sum, split at a concatenation, scaled by batch normalisation', async () => {
    const net = await loadOnnx(branched(), { backend: reference });
    const x = tensor([1, -2, 3, -4, 5, -6, 7, -8, 9], [1, 1, 3, 3], { backend: reference, requiresGrad: true });
    const down = (seedOf: (shape: readonly number[]) => number[]) =>
      scope(() => {
        const y = net.activations(x, ['join']).join;
        const [dx] = backward(y, { gradient: tensor(seedOf(y.shape), y.shape, { backend: reference }), rules: 'deconvnet', wrt: [x] });
        return [...dx.dataSync()];
      });
    // A signal of 1 at the centre of the sum: 1 at the centre through the shortcut, and through the branch the filter, rectified signal 1,
    // times the slope 2 / √(4 + 1e-5).
    const w = [0.1, -0.2, 0.3, 0.5, 1, -0.4, 0.2, 0.6, -0.1];
    const slope = 2 / Math.sqrt(4 + 1e-5);
    const sum = down(() => [0, 0, 0, 0, 1, 0, 0, 0, 0, ...new Array(9).fill(0)]);
    expect(
      mismatch(
        sum,
        w.map((value, i) => value * slope + (i === 4 ? 1 : 0)),
        EXACT,
      ),
    ).toBeNull();
    // A signal of −1: rectified away in the branch, alive in the shortcut.
    const negative = down(() => [0, 0, 0, 0, -1, 0, 0, 0, 0, ...new Array(9).fill(0)]);
    expect(mismatch(negative, [0, 0, 0, 0, -1, 0, 0, 0, 0], EXACT)).toBeNull();
    // At the pooled half: the average's gradient, 1/9 each as the window holds nine pixels (padding does not count).
    const pooled = down(() => [...new Array(9).fill(0), 0, 0, 0, 0, 9, 0, 0, 0, 0]);
    expect(mismatch(pooled, new Array(9).fill(1), EXACT)).toBeNull();
  });
});

describe('toOnnx', () => {
  it('writes residual networks and reads them back', async () => {
    const { model, x, bytes } = withBackend(strict.backend, () => {
      manualSeed(1);
      const model = torchvision.resnet18({ classes: 4, width: 0.0625 });
      for (const [name, buffer] of model.namedBuffers())
        if (name.endsWith('running_mean')) buffer.set(randn(buffer.shape, { std: 0.2 }).dataSync());
      model.eval();
      return { model, x: randn([2, 3, 32, 32]), bytes: toOnnx(model, { inputShape: [1, 3, 32, 32] }) };
    });
    const net = await loadOnnx(await bytes, { backend: strict.backend });
    const [own, { output }] = [noGrad(() => model.forward(x)), await net.run({ input: x })];
    expect(mismatch(await output.data(), await own.data(), EXACT)).toBeNull();
    const learned = new Set(model.namedParameters().map(([name]) => name));
    expect(net.namedParameters().every(([name]) => learned.has(name))).toBe(true);
    expect(net.namedParameters().length).toBe(learned.size);
  });

  it.each([13, 17, 21])(
    'writes normalisations, activations and resizing, by composition where operator set %i lacks them',
    async (opset) => {
      const { model, x } = withBackend(strict.backend, () => {
        manualSeed(2);
        const model = new Sequential({
          conv: new Conv2d(2, 4, 3, { padding: 1 }),
          group: new GroupNorm(2, 4),
          silu: new SiLU(),
          prelu: new PReLU(4),
          up: new Upsample({ scaleFactor: 2, mode: 'bilinear' }),
          gelu: new GELU(),
          down: new Upsample({ size: [5, 7] }),
          tanhGelu: new GELU({ approximate: 'tanh' }),
          layer: new LayerNorm([5, 7]),
          relu6: new ReLU6(),
          swish: new HardSwish(),
          uneven: new AdaptiveAvgPool2d([4, 2]),
          sigmoid: new HardSigmoid(),
          maps: new Dropout2d(0.4),
          most: new AdaptiveMaxPool2d(2),
          channels: new Softmax({ axis: 1 }),
        }).eval();
        for (const parameter of model.parameters()) parameter.set(randn(parameter.shape).dataSync());
        return { model, x: randn([2, 2, 4, 3]) };
      });
      const net = await loadOnnx(await toOnnx(model, { inputShape: [1, 2, 4, 3], opset }), { backend: strict.backend });
      const [own, { output }] = [noGrad(() => model.forward(x)), await net.run({ input: x })];
      expect(output.shape).toEqual(own.shape);
      expect(mismatch(await output.data(), await own.data(), EXACT)).toBeNull();
      // The weights keep their names, so that they can be read back.
      expect(net.namedParameters().map(([name]) => name)).toEqual(expect.arrayContaining(model.namedParameters().map(([name]) => name)));
    },
  );

  it('writes parallel branches and residual blocks, and reads them back', async () => {
    const { model, x } = withBackend(strict.backend, () => {
      manualSeed(3);
      const body = new Sequential([new Conv2d(5, 5, 3, { padding: 1 }), new ReLU()]);
      const model = new Sequential({
        branches: new Parallel({ narrow: new Conv2d(2, 3, 1), same: new Identity() }),
        block: new Residual(body, { activation: new ReLU() }),
        shortcut: new Residual(new Conv2d(5, 4, 1), { shortcut: new Conv2d(5, 4, 1) }),
      }).eval();
      return { model, x: randn([2, 2, 4, 3]) };
    });
    const net = await loadOnnx(await toOnnx(model, { inputShape: [1, 2, 4, 3] }), { backend: strict.backend });
    const [own, { output }] = [noGrad(() => model.forward(x)), await net.run({ input: x })];
    expect(mismatch(await output.data(), await own.data(), EXACT)).toBeNull();
    expect(net.namedParameters().map(([name]) => name)).toEqual(model.namedParameters().map(([name]) => name));
  });

  it('refuses a layer without an ONNX counterpart by name', () => {
    withBackend(reference, () => {
      class Wobble extends Module {
        forward = (x: Tensor) => x;
      }
      expect(() => toOnnx(new Sequential({ first: new Wobble() }), { inputShape: [1, 2, 4, 4] })).toThrow(/layer 'first' \(Wobble\)/);
      const uneven = new Sequential({ pool: new AdaptiveMaxPool2d(3) });
      expect(() => toOnnx(uneven, { inputShape: [1, 2, 4, 4] })).toThrow(/layer 'pool' \(AdaptiveMaxPool2d\) pools \[4,4\] to \[3,3\]/);
      const even = new Sequential({ lrn: new LocalResponseNorm({ size: 4, window: 'pytorch' }) });
      expect(() => toOnnx(even, { inputShape: [1, 2, 4, 4] })).toThrow(/layer 'lrn'.*even size 4/);
      expect(() => toOnnx(zfnet('small', { width: 0.0625 }))).toThrow(/inputShape/);
      expect(() => toOnnx(zfnet('small', { width: 0.0625 }), { inputSize: 28, opset: 12 })).toThrow(/operator set 12/);
    });
  });
});
