/** Layers: their output shapes, modes, states and checks, and the memory that training a deep network takes. */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  BatchNorm2d,
  Conv2d,
  Dropout2d,
  GELU,
  GroupNorm,
  HardSigmoid,
  HardSwish,
  initialize,
  LayerNorm,
  type Module,
  PReLU,
  ReLU,
  ReLU6,
  receptiveField,
  Sequential,
  SiLU,
  Softmax,
  summarize,
  torchvision,
  trainingBytes,
  Upsample,
} from '../../src/nn/index.js';
import {
  backward,
  Generator,
  noGrad,
  type RulesName,
  randn,
  relu,
  ShapeError,
  setDefaultBackend,
  sum,
  type Tensor,
  tensor,
  ValueError,
} from '../../src/tensor/index.js';
import { gradcheck } from '../../src/testing.js';
import { strict } from '../support/backends.js';

beforeAll(() => setDefaultBackend(strict.backend));

const image = (...shape: number[]) => randn(shape, { generator: new Generator(3) });
const numbers = (t: Tensor) => [...t.dataSync()];

/** Each layer with the shape of an input. */
const LAYERS: readonly (readonly [name: string, make: () => Module, shape: readonly number[]])[] = [
  ['ReLU6', () => new ReLU6(), [2, 3, 4, 5]],
  ['SiLU', () => new SiLU(), [2, 3, 4, 5]],
  ['GELU', () => new GELU(), [2, 7]],
  ['GELU, approximated', () => new GELU({ approximate: 'tanh' }), [2, 7]],
  ['HardSigmoid', () => new HardSigmoid(), [2, 3, 4, 5]],
  ['HardSwish', () => new HardSwish(), [2, 3, 4, 5]],
  ['PReLU', () => new PReLU(), [2, 3, 4, 5]],
  ['PReLU per channel', () => new PReLU(3, 0.1), [2, 3, 4, 5]],
  ['Softmax over channels', () => new Softmax({ axis: 1 }), [2, 3, 4, 5]],
  ['Dropout2d', () => new Dropout2d(0.5, new Generator(1)), [2, 3, 4, 5]],
  ['BatchNorm2d', () => new BatchNorm2d(3), [2, 3, 4, 5]],
  ['GroupNorm', () => new GroupNorm(2, 4), [2, 4, 3, 5]],
  ['GroupNorm without parameters', () => new GroupNorm(2, 4, { affine: false }), [2, 4, 3, 5]],
  ['LayerNorm', () => new LayerNorm(5), [2, 3, 5]],
  ['LayerNorm of two axes', () => new LayerNorm([3, 5], { epsilon: 0.1 }), [2, 3, 5]],
  ['Upsample by a factor', () => new Upsample({ scaleFactor: 1.5 }), [2, 3, 4, 5]],
  ['Upsample to a size', () => new Upsample({ size: [7, 3], mode: 'bilinear', alignCorners: true }), [2, 3, 4, 5]],
  ['AdaptiveAvgPool2d', () => new AdaptiveAvgPool2d([3, 2]), [2, 3, 7, 5]],
  ['AdaptiveMaxPool2d', () => new AdaptiveMaxPool2d([3, 2]), [2, 3, 7, 5]],
];

describe.each(LAYERS)('%s', (_, make, shape) => {
  it('says its output shape, in both modes', () => {
    const layer = make();
    for (const on of [true, false]) {
      layer.train(on);
      expect(noGrad(() => layer.forward(image(...shape))).shape).toEqual(layer.outputShape(shape));
    }
    layer.dispose();
  });

  it('has the gradient that differences give, with its parameters', () => {
    const layer = make().eval();
    gradcheck(layer, image(...shape), { places: 12, tolerance: 1e-5 });
    layer.dispose();
  });
});

describe('BatchNorm2d', () => {
  it('has the gradient that differences give in training', () => {
    const layer = new BatchNorm2d(3);
    gradcheck(layer, image(2, 3, 4, 2), { places: 12 });
  });

  it('gives the same bits with a ReLU behind it, under all rules and in both modes', () => {
    const build = (fused: boolean) => {
      const bn = new BatchNorm2d(3);
      bn.bias.set([0.1, -0.2, 0.3]);
      return { bn, run: fused ? new Sequential({ bn, relu: new ReLU() }) : { forward: (x: Tensor) => relu(bn.forward(x)) } };
    };
    for (const training of [true, false])
      for (const rules of ['gradient', 'guided', 'deconvnet'] as RulesName[]) {
        const [fused, plain] = [true, false].map((on) => {
          const { bn, run } = build(on);
          bn.train(training);
          const x = image(2, 3, 5, 4);
          x.requiresGrad = true;
          const y = run.forward(x);
          const [dx, dw, db] = backward(y, { gradient: image(2, 3, 5, 4), rules, wrt: [x, bn.weight, bn.bias] });
          return [dx, dw, db, bn.running_mean, bn.running_var].map(numbers);
        });
        expect(fused).toEqual(plain);
      }
  });

  it('keeps the name of the feature layer of a convolution, and its own', () => {
    const model = new Sequential({
      conv: new Conv2d(1, 2, 3),
      bn: new BatchNorm2d(2),
      relu: new ReLU(),
      conv2: new Conv2d(2, 2, 1),
      r2: new ReLU(),
    });
    expect(['conv', 'bn', 'relu', 'conv2'].map((name) => model.featureLayer(name))).toEqual(['conv', 'bn', 'relu', 'r2']);
    const { bn, relu } = model.activations(image(1, 1, 6, 5), ['bn', 'relu']);
    expect(numbers(relu)).toEqual(numbers(bn).map((v) => Math.max(v, 0)));
  });

  it('keeps neither the batch’s statistics nor the normalised input twice', () => {
    const { backend } = strict;
    const model = new Sequential({ bn: new BatchNorm2d(4), relu: new ReLU() });
    const x = image(2, 4, 32, 32);
    const input = x.mul(1).keep();
    input.requiresGrad = true;
    const before = backend.memory().bytes;
    const y = model.forward(input);
    // The output and, per channel, a mean and a variance.
    expect(backend.memory().bytes - before).toBe(y.size * 4 + 2 * 4 * 4);
    sum(y).backward();
    for (const each of [x, input, y]) each.dispose();
    model.dispose();
  });
});

describe('memory of training ResNet-50 at 224²', () => {
  it('is at most 90 MiB per image', () => {
    const bytes = (images: number) => trainingBytes(() => torchvision.resnet50(), [images, 3, 224, 224]);
    expect((bytes(16) - bytes(8)) / 8 / 2 ** 20).toBeLessThan(90);
  });
});

describe('layers in networks', () => {
  it('have names of parameters as in PyTorch', () => {
    const model = new Sequential({ gn: new GroupNorm(1, 2), ln: new LayerNorm(4), act: new PReLU(2), bn: new BatchNorm2d(2) });
    expect(Object.keys(model.stateDict()).sort()).toEqual(
      // biome-ignore format: one line a layer
      ['act.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var', 'bn.weight', 'gn.bias', 'gn.weight', 'ln.bias', 'ln.weight'],
    );
    model.loadStateDict({ ...model.stateDict(), 'bn.num_batches_tracked': tensor([1], [], { dtype: 'int32' }) });
  });

  it('keep the slopes of PReLU under every initialisation', () => {
    const model = new Sequential({ conv: new Conv2d(1, 2, 3), act: new PReLU(2) });
    initialize(model, 'he');
    expect(numbers(model.stateDict()['act.weight'])).toEqual([0.25, 0.25]);
  });

  it('are known to summaries and receptive fields', () => {
    const model = new Sequential({
      conv: new Conv2d(3, 4, 3),
      act: new SiLU(),
      drop: new Dropout2d(),
      conv2: new Conv2d(4, 4, 3, { stride: 2 }),
      up: new Upsample({ scaleFactor: 2 }),
      norm: new GroupNorm(2, 4),
    });
    expect(summarize(model, [1, 3, 11, 13]).map(({ outputShape }) => outputShape!.slice(2))).toEqual([
      [9, 11],
      [9, 11],
      [9, 11],
      [4, 5],
      [8, 10],
      [8, 10],
    ]);
    expect(receptiveField(model, 'drop')).toEqual(receptiveField(model, 'conv'));
    expect(receptiveField(model, 'conv2')?.[0]).toEqual({ size: 5, jump: 2, start: 0 });
    expect(receptiveField(model, 'up')).toBeNull();
  });

  it('Dropout2d drops whole maps in training alone', () => {
    const layer = new Dropout2d(0.5, new Generator(4));
    const x = tensor(new Float32Array(6 * 4).fill(1), [2, 3, 2, 2]);
    const maps = (values: number[]) => Array.from({ length: 6 }, (_, i) => new Set(values.slice(4 * i, 4 * i + 4)));
    const dropped = maps(numbers(layer.forward(x)));
    expect(dropped.every((map) => map.size === 1)).toBe(true);
    expect(new Set(dropped.flatMap((map) => [...map]))).toEqual(new Set([0, 2]));
    expect(layer.eval().forward(x)).toBe(x);
  });
});

describe('what layers refuse', () => {
  it.each<[string, () => unknown, new (message: string) => Error, RegExp]>([
    ['groups that do not divide', () => new GroupNorm(3, 4), ValueError, /channels is 4, expected a multiple of 3/],
    ['other channels', () => new GroupNorm(2, 4).forward(image(1, 6, 2, 2)), ShapeError, /expected \[N, 4, …\]/],
    ['another normalised shape', () => new LayerNorm(4).forward(image(2, 5)), ShapeError, /expected it to end in \[4\]/],
    ['an unknown option', () => new LayerNorm(4, { affine: false } as never), ValueError, /unknown option 'affine'/],
    ['no size', () => new Upsample({}), ValueError, /got neither of size and scaleFactor/],
    ['corners of nearest', () => new Upsample({ size: 2, alignCorners: true }), ValueError, /leave alignCorners out/],
    ['an empty image', () => new Upsample({ size: 2 }).outputShape([1, 1, 0, 2]), ShapeError, /at least one row and column/],
    ['other channels for PReLU', () => new PReLU(3).forward(image(1, 2, 2, 2)), ShapeError, /expected \[N, C, …\] and \[C\] or \[1\]/],
    ['a probability of 1', () => new Dropout2d(1), ValueError, /expected a number from 0 to below 1/],
    ['rows in Dropout2d', () => new Dropout2d().forward(image(2, 3)), ShapeError, /expected \[N, C, H, W\]/],
    ['a size of 0', () => new AdaptiveMaxPool2d(0), ValueError, /outputSize is 0/],
    ['an approximation by erf', () => new GELU({ approximate: 'erf' as never }), ValueError, /expected 'none' or 'tanh'/],
  ])('%s', (_, call, error, message) => {
    expect(call).toThrow(error);
    expect(call).toThrow(message);
  });
});
