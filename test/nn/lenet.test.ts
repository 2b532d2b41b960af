/** The layers of LeNet-5 against what they stand for, and by numeric gradients. */
import { describe, expect, it } from 'vitest';
import { initialize, PartialConv2d, RadialBasis, ScaledTanh, Sequential, Subsampling2d } from '../../src/nn/index.js';
import { lenet51998 } from '../../src/nn/models/index.js';
import { conv2d, ShapeError, setDefaultBackend, tensor, ValueError } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { gradcheck } from '../../src/testing.js';
import { reference } from '../support/backends.js';

setDefaultBackend(reference);

describe('PartialConv2d', () => {
  const table = [[0, 1], [2], [0, 2]];

  it('is a convolution with zeros where there is no connection', () => {
    const layer = new PartialConv2d(3, table, 2);
    const kernels = layer.weight.dataSync();
    const full = new Float32Array(3 * 3 * 4);
    let next = 0;
    for (const [to, inputs] of table.entries())
      for (const from of inputs) full.set(kernels.subarray(4 * next, 4 * ++next), 4 * (3 * to + from));
    const x = tensor(noise(2 * 3 * 20, 1), [2, 3, 4, 5]);
    expect(layer.forward(x).dataSync()).toEqual(conv2d(x, tensor(full, [3, 3, 2, 2]), layer.bias).dataSync());
    expect(layer.outputShape([2, 3, 4, 5])).toEqual([2, 3, 3, 4]);
    expect(layer.multiplyAdds([2, 3, 4, 5])).toBe(2 * 12 * 5 * 4);
  });

  it('passes gradients to input, kernels and biases', () => {
    const layer = new PartialConv2d(3, table, 2);
    expect(gradcheck(layer, tensor(noise(27, 2), [1, 3, 3, 3])).checked).toBeGreaterThan(40);
    layer
      .forward(tensor(noise(27, 2), [1, 3, 3, 3]))
      .sum()
      .backward();
    expect(layer.weight.grad?.shape).toEqual([5, 1, 2, 2]);
  });

  it('refuses maps that its input does not have', () => {
    expect(() => new PartialConv2d(2, [[0, 2]], 3)).toThrow(ValueError);
  });
});

describe('Subsampling2d, ScaledTanh and RadialBasis', () => {
  it('compute the formulas of the paper', () => {
    const subsampling = new Subsampling2d(1);
    initialize(subsampling, 'lecun');
    expect([...subsampling.forward(tensor([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 4])).dataSync()]).toEqual([3.5, 5.5]);
    expect(new ScaledTanh().forward(tensor([1, -1, 0])).dataSync()[0]).toBeCloseTo(1, 4);
    const codes = new RadialBasis([
      [1, -1],
      [-1, 1],
    ]);
    expect([...codes.forward(tensor([1, -1, 0.5, 0], [2, 2])).dataSync()]).toEqual([-0, -8, -1.25, -3.25]);
    expect(() => codes.forward(tensor([1, 2, 3], [1, 3]))).toThrow(ShapeError);
    expect(codes.parameters()).toEqual([]);
  });

  it('pass gradients', () => {
    const subsampling = new Subsampling2d(2);
    expect(gradcheck(new Sequential([subsampling, new ScaledTanh()]), tensor(noise(32, 1), [1, 2, 4, 4])).checked).toBeGreaterThan(30);
    const codes = new RadialBasis([[1, -1, 1]]);
    expect(gradcheck(codes, tensor(noise(6, 1), [2, 3])).checked).toBe(6);
  });
});

describe('lenet51998', () => {
  it('has ten different codes of 84 values, and random ones for other numbers of classes', () => {
    const codesOf = (classes: number) => {
      const codes = lenet51998({ classes }).layer('rbf') as RadialBasis;
      return Array.from({ length: classes }, (_, i) =>
        codes.weight
          .dataSync()
          .slice(84 * i, 84 * (i + 1))
          .join(),
      );
    };
    expect(new Set(codesOf(10)).size).toBe(10);
    expect(new Set(codesOf(24)).size).toBe(24);
    expect(codesOf(24)).toEqual(codesOf(24));
  });

  it('initialises by the fan in of each layer', () => {
    const model = lenet51998();
    initialize(model, 'lecun');
    const bound = (name: string) => Math.max(...(model.stateDict()[name].dataSync() as Float32Array).map(Math.abs));
    expect(bound('c1.weight')).toBeLessThanOrEqual(2.4 / 25);
    expect(bound('c3.weight')).toBeLessThanOrEqual(2.4 / 93.75);
    expect(bound('c3.weight')).toBeGreaterThan(2.3 / 93.75);
    expect([...model.stateDict()['s2.weight'].dataSync()]).toEqual(Array(6).fill(0.25));
  });
});
