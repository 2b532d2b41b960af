/** torchvision's networks: names, sizes and layers that only they need. PyTorch's numbers for whole networks are compared by `npm run conformance:pytorch`. */
import { beforeAll, describe, expect, it } from 'vitest';
import { AdaptiveAvgPool2d, BatchNorm2d, countParameters, initialize, Sequential, SGD, torchvision } from '../../src/nn/index.js';
import { mean, noGrad, randn, setDefaultBackend, tensor } from '../../src/tensor/index.js';
import { mismatch } from '../support/allclose.js';
import { strict } from '../support/backends.js';

beforeAll(() => setDefaultBackend(strict.backend));

describe('torchvision', () => {
  it('resnet18 has PyTorch’s parameters, by count and by name', () => {
    const model = torchvision.resnet18();
    expect(countParameters(model)).toBe(11_689_512);
    const names = Object.keys(model.stateDict());
    // 122 in PyTorch, 20 of which are num_batches_tracked.
    expect(names).toHaveLength(102);
    for (const name of [
      'conv1.weight',
      'bn1.running_mean',
      'layer1.0.conv2.weight',
      'layer2.0.downsample.1.running_var',
      'layer4.1.bn2.bias',
      'fc.bias',
    ])
      expect(names).toContain(name);
    expect([...model.outputShape([2, 3, 224, 224])!]).toEqual([2, 1000]);
    model.dispose();
  });

  it('resnet50 has PyTorch’s parameters', () => {
    const model = torchvision.resnet50();
    expect(countParameters(model)).toBe(25_557_032);
    expect([...model.outputShape([1, 3, 64, 64])!]).toEqual([1, 1000]);
    expect(Object.keys(model.stateDict())).toContain('layer3.5.bn3.running_var');
    model.dispose();
  });

  it('alexnet has PyTorch’s parameters', () => {
    const model = torchvision.alexnet();
    expect(countParameters(model)).toBe(61_100_840);
    expect(model.namedParameters()[0][0]).toBe('features.0.weight');
    expect([...model.outputShape([1, 3, 224, 224])!]).toEqual([1, 1000]);
    model.dispose();
  });

  it('loads a state dictionary that contains PyTorch’s counters of batches', () => {
    const [from, to] = [torchvision.resnet18({ width: 0.0625, classes: 3 }), torchvision.resnet18({ width: 0.0625, classes: 3 })];
    const counter = tensor(Int32Array.of(7), []);
    to.loadStateDict({ ...from.stateDict(), 'bn1.num_batches_tracked': counter, 'layer1.0.bn1.num_batches_tracked': counter });
    expect([...to.stateDict()['conv1.weight'].dataSync()]).toEqual([...from.stateDict()['conv1.weight'].dataSync()]);
    expect(() => to.loadStateDict({ ...from.stateDict(), extra: counter })).toThrow(/unknown: extra/);
  });

  it('trains: the loss falls, and evaluation uses the running statistics', async () => {
    const model = torchvision.resnet18({ width: 0.0625, classes: 2 });
    const x = randn([4, 3, 32, 32]);
    const sgd = new SGD(model.parameters(), { lr: 0.05 });
    const losses: number[] = [];
    for (let step = 0; step < 5; step++) {
      const loss = mean(model.forward(x).square());
      loss.backward();
      sgd.step();
      sgd.zeroGrad();
      losses.push(await loss.item());
    }
    expect(losses[4]).toBeLessThan(losses[0]);
    expect(
      model
        .stateDict()
        ['bn1.running_mean'].dataSync()
        .some((value) => value !== 0),
    ).toBe(true);
    const before = noGrad(() => model.eval().forward(x)).dataSync();
    expect(noGrad(() => model.forward(x)).dataSync()).toEqual(before);
    expect(model.training).toBe(false);
  });
});

describe('BatchNorm2d', () => {
  it('uses the running statistics in evaluation, and in training those of the batch, from which it updates the running ones', () => {
    const layer = new BatchNorm2d(1, { epsilon: 0, momentum: 0.5 });
    layer.weight.set([2]);
    layer.bias.set([1]);
    const x = tensor([1, 3, 5, 7], [1, 1, 2, 2]);
    // Mean 4, variance 5, unbiased 20/3.
    const trained = noGrad(() => layer.forward(x)).dataSync();
    expect(
      mismatch(
        trained,
        [1, 3, 5, 7].map((v) => ((v - 4) / Math.sqrt(5)) * 2 + 1),
        { relative: 1e-5, absolute: 1e-5 },
      ),
    ).toBeNull();
    expect(layer.running_mean.dataSync()[0]).toBeCloseTo(2, 5);
    expect(layer.running_var.dataSync()[0]).toBeCloseTo(0.5 + 0.5 * (20 / 3), 5);
    layer.eval();
    const evaluated = noGrad(() => layer.forward(x)).dataSync();
    const deviation = Math.sqrt(0.5 + 10 / 3);
    expect(
      mismatch(
        evaluated,
        [1, 3, 5, 7].map((v) => ((v - 2) / deviation) * 2 + 1),
        { relative: 1e-5, absolute: 1e-5 },
      ),
    ).toBeNull();
  });

  it('has an initial scale of 1 under every scheme of initial weights', () => {
    const model = new Sequential({ bn: new BatchNorm2d(3) });
    initialize(model, 'he');
    expect([...model.stateDict()['bn.weight'].dataSync()]).toEqual([1, 1, 1]);
    expect([...model.stateDict()['bn.bias'].dataSync()]).toEqual([0, 0, 0]);
  });

  it('refuses other numbers of channels', () => {
    expect(() => new BatchNorm2d(3).forward(tensor([1], [1, 1, 1, 1]))).toThrow(/expected \[N, 3, H, W\]/);
  });
});

describe('AdaptiveAvgPool2d', () => {
  it('averages windows of any size, and names the equal windows of a plain pooling or says that there are none', () => {
    const pool = new AdaptiveAvgPool2d([1, 2]);
    expect([...pool.forward(tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 4])).dataSync()]).toEqual([3.5, 5.5]);
    expect([...pool.forward(tensor([1, 2, 3, 4, 5, 6], [1, 1, 2, 3])).dataSync()]).toEqual([3, 4]);
    expect(pool.outputShape([1, 1, 2, 3])).toEqual([1, 1, 1, 2]);
    expect(pool.windowFor([1, 1, 2, 4])).toEqual({ kernelSize: [2, 2] });
    expect(() => pool.windowFor([1, 1, 2, 3])).toThrow(/multiples of 1 and 2/);
  });
});
