/** The presets by their shapes, parameters and cost, and ten steps of training against PyTorch. */
import { describe, expect, it } from 'vitest';
import { shapesOnly } from '../../src/backend/shapes/index.js';
import { countParameters, type FieldAxis, type Module, SGD, summarize } from '../../src/nn/index.js';
import { NETWORKS, type NetworkName } from '../../src/nn/models/index.js';
import {
  type Backend,
  crossEntropy,
  type DType,
  randn,
  type Shape,
  ShapeError,
  sizeOf,
  tensor,
  ValueError,
  withBackend,
} from '../../src/tensor/index.js';
import { labels, noise } from '../../src/testing/cases/formula.js';
import { architectureOf, PRESETS, type PresetName, zfnet } from '../../src/zfnet/index.js';
import { mismatch } from '../support/allclose.js';
import { backends, reference, strict, strictThreads } from '../support/backends.js';
import { mismatchOfSample, readFixture, type Sampled } from '../support/torch.js';

// ZFNET.md's tables: output sizes of conv1, pool1, conv2, pool2, conv5 and pool5, and parameters for 1000 classes.
const TABLE: Record<Exclude<PresetName, NetworkName>, { sizes: string; maps: number[]; units: number[]; parameters: number }> = {
  a: { sizes: '110 55 26 13 13 6', maps: [96, 256, 384, 384, 256], units: [4096, 4096, 1000], parameters: 62_357_608 },
  b: { sizes: '110 55 26 13 13 6', maps: [96, 256, 512, 1024, 512], units: [4096, 4096, 1000], parameters: 107_627_624 },
  zfnet512: { sizes: '109 54 25 12 12 6', maps: [96, 256, 512, 512, 512], units: [4096, 1024, 1000], parameters: 87_250_536 },
  // 96·(3·49) + 256·(96·25) + 384·(256·9) + 384·(384·9) + 256·(384·9), and 96 + 256 + 384 + 384 + 256 biases
  'faster-rcnn': { sizes: '112 57 29 15 15 -', maps: [96, 256, 384, 384, 256], units: [], parameters: 3_726_464 },
  // As `a`, but for conv1's 96·(3·121) weights.
  alexnet: { sizes: '55 27 27 13 13 6', maps: [96, 256, 384, 384, 256], units: [4096, 4096, 1000], parameters: 62_378_344 },
  // As `a`, but for 3·3 places below fc6.
  small: { sizes: '28 14 14 7 7 3', maps: [96, 256, 384, 384, 256], units: [4096, 4096, 1000], parameters: 34_046_056 },
};

const presets = Object.entries(TABLE) as [keyof typeof TABLE, (typeof TABLE)[keyof typeof TABLE]][];

describe.each(presets)('preset %s', (preset, { sizes, maps, units, parameters }) => {
  const build = () => withBackend(shapesOnly(), () => zfnet(preset));

  it('has the shapes and the parameters of its table', () => {
    const model = build();
    const rows = summarize(model, model.inputShape);
    const shapeOf = (name: string) => rows.find((row) => row.name === name)?.outputShape;
    const side = (name: string) => {
      const shape = shapeOf(name);
      if (shape) expect(shape[2]).toBe(shape[3]);
      return shape?.[2] ?? '-';
    };
    expect(['conv1', 'pool1', 'conv2', 'pool2', 'conv5', 'pool5'].map(side).join(' ')).toBe(sizes);
    expect([1, 2, 3, 4, 5].map((block) => shapeOf(`conv${block}`)?.[1])).toEqual(maps);
    expect([6, 7, 8].flatMap((block) => shapeOf(`fc${block}`)?.[1] ?? [])).toEqual(units);
    expect(countParameters(model)).toBe(parameters);
    expect(rows.reduce((sum, row) => sum + row.parameters, 0)).toBe(parameters);
  });

  it('has the output shapes of its table at every layer', () => {
    withBackend(shapesOnly(), () => {
      const model = zfnet(preset).eval();
      const input: Shape = [2, ...model.inputShape.slice(1)];
      const taps = model.activations(randn(input), model.layerNames());
      for (const { name, outputShape } of summarize(model, input)) expect([name, taps[name].shape]).toEqual([name, outputShape]);
    });
  });

  it('trains within the computed memory: three times the parameters, and the activations', () => {
    const backend = shapesOnly();
    withBackend(backend, () => {
      const model = zfnet(preset);
      const bytes = 4 * parameters;
      expect(backend.memory().bytes).toBe(bytes);
      const sgd = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
      for (let step = 0; step < 3; step++) {
        const output = model.forward(randn(model.inputShape));
        const loss = output.rank === 2 ? crossEntropy(output, tensor(Int32Array.of(1), [1])) : output.mean();
        loss.backward();
        sgd.step();
        sgd.zeroGrad();
      }
      expect(backend.memory().peakBytes).toBeGreaterThan(3 * bytes);
      expect(backend.memory().peakBytes).toBeLessThan(3 * bytes + 60e6);
      expect(backend.memory().bytes).toBeLessThan(2 * bytes + 2e6);
    });
  });
});

describe('presets', () => {
  it('are all in the table', () => {
    expect(Object.keys(PRESETS).sort()).toEqual([...Object.keys(TABLE), ...Object.keys(NETWORKS)].sort());
  });

  it("the paper's takes 1.17 G multiply-adds per image", () => {
    const model = withBackend(shapesOnly(), () => zfnet('a'));
    const total = (batch: number) => summarize(model, [batch, 3, 224, 224]).reduce((sum, row) => sum + row.multiplyAdds!, 0);
    expect((total(1) / 1e9).toFixed(2)).toBe('1.17');
    expect(total(8)).toBe(8 * total(1));
  });

  it('normalise after the pooling or before it, and use dropout, as their sources do', () => {
    const order = (preset: PresetName) => withBackend(shapesOnly(), () => zfnet(preset).layerNames().slice(0, 4).join(' '));
    expect(order('a')).toBe('conv1 relu1 pool1 norm1');
    expect(order('zfnet512')).toBe('conv1 relu1 norm1 pool1');
    expect(order('faster-rcnn')).toBe('conv1 relu1 norm1 pool1');
    const dropouts = (preset: PresetName) =>
      withBackend(shapesOnly(), () => zfnet(preset).layerNames()).filter((name) => name.startsWith('drop'));
    expect(dropouts('a')).toEqual(['drop6', 'drop7']);
    expect(dropouts('zfnet512')).toEqual([]);
  });

  it("sees 7, 11, 51, … pixels: the paper's receptive fields", () => {
    const model = withBackend(shapesOnly(), () => zfnet('a'));
    const rows = summarize(model, model.inputShape);
    const fields = ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5', 'pool5'].map(
      (name) => (rows.find((row) => row.name === name)!.receptiveField as readonly [FieldAxis, FieldAxis])[0],
    );
    // r' = r + (k − 1)·j, j' = j·s (ZFNET.md, section 5), by hand.
    expect(fields.map((field) => [field?.size, field?.jump])).toEqual([
      [7, 2],
      [11, 4],
      [27, 8],
      [43, 16],
      [75, 16],
      [107, 16],
      [139, 16],
      [171, 32],
    ]);
    expect(rows.find((row) => row.name === 'fc6')?.receptiveField).toBeNull();
  });

  it.each([
    ['a', 4, 'conv1'],
    ['a', 6, 'pool1'],
    ['a', 12, 'conv2'],
    ['small', 2, 'pool2'],
    ['alexnet', 50, 'pool5'],
    ['zfnet512', 40, 'pool2'],
  ] as const)('%s names the layer that %i pixels are too small for, and leaves no tensors', (preset, inputSize, layer) => {
    const backend = shapesOnly();
    const build = () => withBackend(backend, () => zfnet(preset, { inputSize, width: 0.1 }));
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(`an input of ${inputSize} pixels is too small for layer ${layer} of preset '${preset}'`);
    expect(backend.memory().bytes).toBe(0);
  });

  it('accept inputs down to a certain size, and name it', () => {
    const smallest = (preset: PresetName) => {
      for (let inputSize = 1; ; inputSize++) {
        try {
          withBackend(shapesOnly(), () => zfnet(preset, { inputSize, width: 0.01 }));
          return inputSize;
        } catch (error) {
          if (!(error instanceof ShapeError)) throw error;
        }
      }
    };
    const sizes = Object.fromEntries((Object.keys(PRESETS) as PresetName[]).map((preset) => [preset, smallest(preset)]));
    for (const [preset, size] of Object.entries(sizes)) {
      const model = withBackend(shapesOnly(), () => zfnet(preset as PresetName, { inputSize: size, width: 0.01 }));
      expect(model.outputShape(model.inputShape)![0]).toBe(1);
    }
    expect(sizes.small).toBeLessThanOrEqual(28);
    expect(sizes.a).toBeLessThanOrEqual(47);
  });

  it('scale with width, channels and classes, to at least one map', () => {
    const model = withBackend(shapesOnly(), () => zfnet('a', { width: 0.001, channels: 1, classes: 2, inputSize: 64 }));
    const rows = summarize(model, model.inputShape);
    expect(model.inputShape).toEqual([1, 1, 64, 64]);
    expect(rows.filter(({ name }) => name.startsWith('conv')).map(({ outputShape }) => outputShape![1])).toEqual([1, 1, 1, 1, 1]);
    expect(rows.at(-1)!.outputShape).toEqual([1, 2]);
    expect(model.architecture).toEqual({ preset: 'a', classes: 2, inputSize: 64, channels: 1, width: 0.001, dropout: 0.5 });
  });

  it.each([
    [{ classes: 0 }, /classes is 0/],
    [{ inputSize: 1.5 }, /inputSize is 1.5/],
    [{ channels: -1 }, /channels is -1/],
    [{ width: 0 }, /width is 0/],
    [{ dropout: 1 }, /dropout is 1/],
  ])('refuse %j', (options, message) => {
    const build = () => withBackend(shapesOnly(), () => zfnet('small', options));
    expect(build).toThrow(ValueError);
    expect(build).toThrow(message);
  });

  it('of another name are refused with a list of the names', () => {
    expect(() => architectureOf('vgg' as PresetName)).toThrow(/unknown preset 'vgg', expected one of a, b, zfnet512/);
  });

  it("start from the paper's initial weights at full size, and from He's below it", () => {
    const deviation = (module: Module) => {
      const numbers = module.parameters()[0].dataSync();
      return Math.sqrt(Array.from(numbers).reduce((sum, value) => sum + value ** 2, 0) / numbers.length);
    };
    withBackend(strict.backend, () => {
      const small = zfnet('a', { classes: 4, inputSize: 64, width: 0.25 });
      expect(deviation(small.layer('conv3'))).toBeCloseTo(Math.sqrt(2 / (64 * 9)), 3);
      expect(deviation(small.layer('fc7'))).toBeCloseTo(Math.sqrt(2 / 1024), 3);
      const paper = zfnet('a', { classes: 4, inputSize: 64, width: 0.25, init: 'paper' });
      for (const name of ['conv1', 'conv5', 'fc6']) expect(deviation(paper.layer(name))).toBeCloseTo(0.01, 3);
      const glorot = zfnet('a', { classes: 4, inputSize: 64, width: 0.25, init: 'glorot' });
      expect(deviation(glorot.layer('fc7'))).toBeCloseTo(Math.sqrt(2 / 2048), 3);
      for (const model of [small, paper, glorot]) {
        expect([...model.parameters()[1].dataSync()].every((value) => value === 0)).toBe(true);
        model.dispose();
      }
    });
  });
});

// Training ----------------------------------------------------------------------------------------

interface Fixture {
  losses: number[];
  gradients: Record<string, Sampled>;
  weights: Record<string, Sampled>;
}

const fixture = readFixture<Fixture>('zfnet.json');
const [SIZE, CLASSES, BATCH] = [64, 5, 4];

const single = (numbers: number[], factor: number) => numbers.map((value) => Math.fround(value * factor));

/** The network, weights and batches of test/fixtures/zfnet.py. */
async function train(backend: Backend, dtype: DType) {
  const options = { classes: CLASSES, inputSize: SIZE, width: 0.05, dropout: 0 };
  const model = await withBackend(backend, () => zfnet('a', options)).to({ dtype });
  return withBackend(backend, () => {
    model.parameters().forEach((parameter, place) => {
      const fanIn = parameter.rank > 1 ? parameter.size / parameter.shape[0] : 600;
      parameter.set(single(noise(parameter.size, place + 1), Math.sqrt(6 / fanIn)));
    });
    const sgd = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, maxFilterRms: 0.1 });
    const losses: number[] = [];
    let gradients: [string, Shape, ArrayLike<number>][] = [];
    for (let step = 0; step < fixture.losses.length; step++) {
      const shape = [BATCH, 3, SIZE, SIZE];
      const images = tensor(single(noise(sizeOf(shape), 100 + (step % 2)), 1.5), shape, { dtype });
      const targets = tensor(Int32Array.from(labels(BATCH, 200 + (step % 2), CLASSES)), [BATCH]);
      const loss = crossEntropy(model.forward(images), targets);
      sgd.zeroGrad();
      loss.backward();
      if (step === 0) gradients = model.namedParameters().map(([name, { shape, grad }]) => [name, shape, grad!.dataSync()]);
      sgd.step();
      losses.push(loss.itemSync());
    }
    const weights = model.namedParameters().map(([name, w]): [string, Shape, ArrayLike<number>] => [name, w.shape, w.dataSync()]);
    sgd.zeroGrad();
    sgd.dispose();
    model.dispose();
    return { losses, gradients, weights };
  });
}

describe('ten steps of a small ZFNet', () => {
  it('on the float64 reference are those of PyTorch: losses, first gradients and last weights', async () => {
    const { losses, gradients, weights } = await train(reference, 'float64');
    expect(mismatch(losses, fixture.losses, { relative: 1e-9, absolute: 0 })).toBeNull();
    const tolerance = { relative: 1e-8, absolute: 1e-10 };
    expect(gradients.map(([name]) => name)).toEqual(Object.keys(fixture.gradients));
    for (const [name, shape, numbers] of gradients)
      expect(mismatchOfSample(numbers, shape, fixture.gradients[name], tolerance), name).toBeNull();
    for (const [name, shape, numbers] of weights)
      expect(mismatchOfSample(numbers, shape, fixture.weights[name], tolerance), name).toBeNull();
  });

  it.each(backends)('on $name have the losses of PyTorch within 1e-4', async ({ backend }) => {
    const { losses, weights } = await train(backend, 'float32');
    expect(mismatch(losses, fixture.losses, { relative: 1e-4, absolute: 0 })).toBeNull();
    for (const [name, shape, numbers] of weights)
      expect(mismatchOfSample(numbers, shape, fixture.weights[name], { relative: 1e-3, absolute: 1e-4 }), name).toBeNull();
  });

  it('with two threads have the same bits as with one', async () => {
    expect(await train(strictThreads.backend, 'float32')).toEqual(await train(strict.backend, 'float32'));
  });
});
