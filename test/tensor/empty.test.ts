/**
 * Kernels that overwrite write every element: all cases, and cases with a zero in every dimension of every operation, run on memory that
 * is full of NaN. The expected numbers of empty cases are those of mathematics, which PyTorch gives as well: a sum of nothing is 0.
 */
import { afterAll, describe, expect, it } from 'vitest';
import * as nn from '../../src/nn/index.js';
import * as ops from '../../src/tensor/index.js';
import { backward, DTypeError, ShapeError, type Tensor, tensor, withBackend } from '../../src/tensor/index.js';
import { cases } from '../../src/testing/cases/index.js';
import { strict } from '../support/backends.js';
import { poisonedBackend, poisonedReference } from '../support/poison.js';
import { runCase } from '../support/run.js';

const poisoned = [
  { name: 'wasm', backend: await poisonedBackend(1), dtype: 'float32' },
  { name: 'wasm, 2 threads', backend: await poisonedBackend(2), dtype: 'float32' },
  { name: 'reference', backend: poisonedReference(), dtype: 'float64' },
] as const;
afterAll(() => {
  for (const { backend } of poisoned) backend.dispose();
});

describe('memory full of NaN changes nothing', () => {
  it.each([...new Set(cases.map(({ op }) => op))])('%s', (op) => {
    for (const c of cases.filter((each) => each.op === op)) {
      const expected = runCase(c, strict.backend, 'float32');
      expect(runCase(c, poisoned[0].backend, 'float32'), c.name).toEqual(expected);
    }
  });
});

type Build = (make: (...shape: number[]) => Tensor) => Tensor;

/** Tensors of ones with gradients. The expected output, and the expected gradients of the tensors in the order they were made. */
const EMPTY: [name: string, build: Build, output: number[], gradients: number[][]][] = [
  ['linear, 0 features, 2 rows', (t) => ops.linear(t(2, 0), t(3, 0), t(3)), Array(6).fill(1), [[], [], [2, 2, 2]]],
  ['linear, 0 features, 9 rows', (t) => ops.linear(t(9, 0), t(3, 0), t(3)), Array(27).fill(1), [[], [], [9, 9, 9]]],
  ['linear, 0 features, 200 rows, no bias', (t) => ops.linear(t(200, 0), t(1, 0)), Array(200).fill(0), [[], []]],
  ['linear, 0 outputs', (t) => ops.linear(t(2, 3), t(0, 3), t(0)), [], [Array(6).fill(0), [], []]],
  ['linear, 0 rows', (t) => ops.linear(t(0, 3), t(2, 3), t(2), { relu: true }), [], [[], Array(6).fill(0), [0, 0]]],
  ['conv2d, 0 channels', (t) => ops.conv2d(t(1, 0, 2, 2), t(2, 0, 1, 1), t(2)), Array(8).fill(1), [[], [], [4, 4]]],
  ['conv2d, 0 channels, no bias, ReLU', (t) => ops.conv2d(t(1, 0, 4, 4), t(2, 0, 3, 3), null, { relu: true }), Array(8).fill(0), [[], []]],
  ['conv2d, 0 outputs', (t) => ops.conv2d(t(1, 2, 2, 2), t(0, 2, 1, 1), t(0)), [], [Array(8).fill(0), [], []]],
  ['conv2d, 0 outputs, 3×3, padded', (t) => ops.conv2d(t(1, 2, 2, 2), t(0, 2, 3, 3), null, { padding: 1 }), [], [Array(8).fill(0), []]],
  ['conv2d, 0 images', (t) => ops.conv2d(t(0, 2, 2, 2), t(1, 2, 1, 1), t(1)), [], [[], [0, 0], [0]]],
  ['conv2d, 0 rows, padded', (t) => ops.conv2d(t(1, 1, 0, 1), t(1, 1, 1, 1), t(1), { padding: [1, 0] }), [1, 1], [[], [0], [2]]],
  ['convTranspose2d, 0 channels', (t) => ops.convTranspose2d(t(1, 0, 1, 2), t(0, 2, 1, 1), t(2)), Array(4).fill(1), [[], [], [2, 2]]],
  ['convTranspose2d, 0 outputs', (t) => ops.convTranspose2d(t(1, 2, 1, 2), t(2, 0, 1, 1), t(0)), [], [Array(4).fill(0), [], []]],
  ['convTranspose2d, 0 images', (t) => ops.convTranspose2d(t(0, 2, 1, 2), t(2, 1, 1, 1), t(1)), [], [[], [0, 0], [0]]],
  ['matmul, k = 0', (t) => ops.matmul(t(2, 0), t(0, 3)), Array(6).fill(0), [[], []]],
  ['matmul, k = 0, transposed', (t) => ops.matmul(t(0, 2), t(3, 0), { transposeA: true, transposeB: true }), Array(6).fill(0), [[], []]],
  ['matmul, m = 0', (t) => ops.matmul(t(0, 2), t(2, 2)), [], [[], Array(4).fill(0)]],
  ['matmul, n = 0', (t) => ops.matmul(t(2, 2), t(2, 0)), [], [Array(4).fill(0), []]],
  ['matmul, 0 items', (t) => ops.matmul(t(0, 2, 2), t(2, 2)), [], [[], Array(4).fill(0)]],
  ['matmul, k = 0, 2 items', (t) => ops.matmul(t(2, 1, 0), t(2, 0, 2)), Array(4).fill(0), [[], []]],
  ['maxPool2d, 0 images', (t) => ops.maxPool2d(t(0, 1, 2, 2), { kernelSize: 2 }), [], [[]]],
  ['maxPool2d, 0 channels', (t) => ops.maxPool2d(t(1, 0, 2, 2), { kernelSize: 2 }), [], [[]]],
  ['avgPool2d, 0 channels', (t) => ops.avgPool2d(t(1, 0, 2, 2), { kernelSize: 2 }), [], [[]]],
  ['localResponseNorm, 0 channels', (t) => ops.localResponseNorm(t(1, 0, 2, 2)), [], [[]]],
  ['localResponseNorm, 0 rows', (t) => ops.localResponseNorm(t(1, 2, 0, 2)), [], [[]]],
  ['localResponseNorm within, 0 columns', (t) => ops.localResponseNorm(t(1, 2, 2, 0), { region: 'within' }), [], [[]]],
  ['add, 0 × 1', (t) => ops.add(t(0, 3), t(1, 3)), [], [[], [0, 0, 0]]],
  ['mul, 0 × 1', (t) => ops.mul(t(2, 0), t(2, 1)), [], [[], [0, 0]]],
  ['pow, 0 × 1', (t) => ops.pow(t(2, 0), t(1)), [], [[], [0]]],
  ['maximum, 0 × 1', (t) => ops.maximum(t(0), t(1)), [], [[], [0]]],
  ['exp', (t) => ops.exp(t(0, 2)), [], [[]]],
  ['relu', (t) => ops.relu(t(0)), [], [[]]],
  ['leakyRelu', (t) => ops.leakyRelu(t(0)), [], [[]]],
  ['clamp', (t) => ops.clamp(t(0), 0, 1), [], [[]]],
  ['dropout', (t) => ops.dropout(t(0, 2)), [], [[]]],
  ['sum over nothing', (t) => ops.sum(t(2, 0), { axes: 1 }), [0, 0], [[]]],
  ['sum over all of nothing', (t) => ops.sum(t(0, 3)), [0], [[]]],
  ['sum of 0 rows', (t) => ops.sum(t(0, 3), { axes: 1 }), [], [[]]],
  ['mean over nothing', (t) => ops.mean(t(2, 0), { axes: 1 }), [Number.NaN, Number.NaN], [[]]],
  ['mean of 0 rows', (t) => ops.mean(t(0, 3), { axes: 1 }), [], [[]]],
  ['max of 0 rows', (t) => ops.max(t(0, 3), { axes: 1 }), [], [[]]],
  ['min of 0 rows', (t) => ops.min(t(0, 3), { axes: 1 }), [], [[]]],
  ['softmax, 0 columns', (t) => ops.softmax(t(2, 0)), [], [[]]],
  ['softmax, 0 rows', (t) => ops.softmax(t(0, 2)), [], [[]]],
  ['logSoftmax, 0 columns', (t) => ops.logSoftmax(t(2, 0)), [], [[]]],
  ['crossEntropy, 0 rows', (t) => ops.crossEntropy(t(0, 3), tensor(new Int32Array(0), [0])), [Number.NaN], [[]]],
  ['concat of nothing', (t) => ops.concat([t(0, 2), t(0, 2)]), [], [[], []]],
  ['concat beside nothing', (t) => ops.concat([t(1, 0), t(1, 2)], 1), [1, 1], [[], [1, 1]]],
  ['pad', (t) => ops.pad(t(1, 0), [[0, 0], [1, 1]], 7), [7, 7], [[]]], // biome-ignore format: one line a case
  ['slice to nothing', (t) => ops.slice(t(3), [1], [1]), [], [[0, 0, 0]]],
  ['expand to nothing', (t) => ops.expand(t(1, 2), [0, 2]), [], [[0, 0]]],
  ['permute', (t) => ops.permute(t(2, 0, 3)), [], [[]]],
  ['reshape', (t) => ops.reshape(t(2, 0), [0, 5]), [], [[]]],
  ['take nothing', (t) => ops.take(t(3), tensor(new Int32Array(0), [0])), [], [[0, 0, 0]]],
  ['unpool nothing', (t) => ops.maxUnpool2d(t(1, 1, 0, 1), tensor(new Int32Array(0), [1, 1, 0, 1]), { outputSize: [1, 2] }), [0, 0], [[]]],
];

describe.each(poisoned)('a zero in a dimension, on $name', ({ backend, dtype }) => {
  it.each(EMPTY)('%s', (_, build, output, gradients) => {
    withBackend(backend, () => {
      const inputs: Tensor[] = [];
      const y = build((...shape) => {
        const t = tensor(Array(shape.reduce((a, b) => a * b, 1)).fill(1), shape, { requiresGrad: true, dtype });
        inputs.push(t);
        return t;
      });
      expect([...y.dataSync()]).toEqual(output);
      backward(y, { gradient: tensor(Array(y.size).fill(1), y.shape, { dtype }) });
      expect(inputs.map(({ grad }) => [...(grad?.dataSync() ?? ['no gradient'])])).toEqual(gradients);
    });
  });

  it('refuses operations without a value', () => {
    withBackend(backend, () => {
      const none = tensor([], [2, 0], { dtype });
      expect(() => ops.max(none)).toThrow(ShapeError);
      expect(() => ops.min(none, { axes: 1 })).toThrow(ShapeError);
      expect(() => ops.argmax(none)).toThrow(ShapeError);
      expect(() => ops.maxPool2d(tensor([], [1, 1, 0, 2], { dtype }), { kernelSize: 2, padding: 1 })).toThrow(ShapeError);
      expect(() => ops.conv2d(tensor([], [1, 1, 2, 2, 0], { dtype }), none)).toThrow(ShapeError);
    });
  });
});

describe('agreement with PyTorch in limiting cases:', () => {
  const { backend } = poisoned[2];
  const leaf = (values: number[], shape = [values.length]) => tensor(values, shape, { requiresGrad: true, dtype: 'float64', backend });
  const numbers = (t: Tensor | null) => [...t!.dataSync()];

  it.each(poisoned)('gradients of pow at 0, on $name', ({ backend, dtype }) => {
    const [a, b] = [
      [0, 0, 0, 0, 2, 0],
      [0, 1, 2, -1, 0, 0.5],
    ].map((values) => tensor(values, [6], { requiresGrad: true, dtype, backend }));
    a.pow(b).sum().backward();
    expect(numbers(a.grad)).toEqual([0, 1, 0, -Infinity, 0, Infinity]);
    expect(numbers(b.grad).map((v) => Math.fround(v))).toEqual([0, 0, 0, -Infinity, Math.fround(Math.log(2)), 0]);
  });

  it.each(poisoned)('leakyRelu at 0 has the derivative `slope`, on $name', ({ backend, dtype }) => {
    const x = tensor([0, 1, -1], [3], { requiresGrad: true, dtype, backend });
    ops.leakyRelu(x, 0.25).sum().backward();
    expect(numbers(x.grad)).toEqual([0.25, 1, 0.25]);
  });

  // F.local_response_norm(arange(1, 6), size, alpha=1, beta=1, k=1), and the gradient of its sum.
  it.each([
    [2, [0.6666667, 0.5714286, 0.4, 0.2962963, 0.2325581], [0.0589569, -0.147483, -0.0925103, -0.0569841, -0.0075717]],
    [4, [0.4444444, 0.4444444, 0.3529412, 0.2758621, 0.3703704], [0.275535, -0.1346216, -0.1624745, -0.1069991, -0.0420754]],
  ])('local response normalisation with the even size %i', (size, output, gradient) => {
    const x = leaf([1, 2, 3, 4, 5], [1, 5, 1, 1]);
    const y = ops.localResponseNorm(x, { size, alpha: 1, beta: 1, k: 1, window: 'pytorch' });
    const values = numbers(y);
    for (const [i, v] of values.entries()) expect(v).toBeCloseTo(output[i], 6);
    y.sum().backward();
    for (const [i, v] of numbers(x.grad).entries()) expect(v).toBeCloseTo(gradient[i], 6);
    const layer = new nn.LocalResponseNorm({ size, alpha: 1, beta: 1, k: 1, window: 'pytorch' });
    expect(numbers(layer.forward(x))).toEqual(values);
    expect(numbers(ops.localResponseNorm(x, { size, alpha: 1, beta: 1, k: 1 }))).not.toEqual(values);
  });

  it('batch normalisation refuses one value per channel in training', () => {
    withBackend(backend, () => {
      const layer = new nn.BatchNorm2d(2);
      const one = tensor([1, 2], [1, 2, 1, 1]);
      expect(() => layer.forward(one)).toThrow(/more than one value per channel in training/);
      expect(numbers(layer.eval().forward(one))).toHaveLength(2);
    });
  });

  it('an integer tensor refuses a number that it cannot represent', () => {
    const x = tensor(new Int32Array([2, 4]), [2], { backend });
    expect(() => x.mul(2.5)).toThrow(DTypeError);
    expect(() => x.mul(2.5)).toThrow(/cast\('float32'\)/);
    expect(() => x.add(Number.NaN)).toThrow(DTypeError);
    expect(() => x.add(2 ** 31)).toThrow(DTypeError);
    expect(numbers(x.mul(2))).toEqual([4, 8]);
  });
});

describe('strides, dilations and windows near 2^31', () => {
  const most = 2 ** 31 - 1;
  const image = (backend: (typeof poisoned)[number]['backend'], dtype: 'float32' | 'float64') =>
    tensor([1, 2, 3, 4], [1, 1, 2, 2], { requiresGrad: true, dtype, backend });

  it.each(poisoned)('have the effect of a stride as long as the input if there is one window, on $name', ({ backend, dtype }) => {
    for (const fn of [
      (x: Tensor) => ops.conv2d(x, tensor([2], [1, 1, 1, 1], { dtype, backend }), null, { stride: most, dilation: most }),
      (x: Tensor) => ops.maxPool2d(x, { kernelSize: 1, stride: most, dilation: most, ceilMode: true }).mul(2),
      (x: Tensor) => ops.avgPool2d(x, { kernelSize: 1, stride: most, dilation: most, ceilMode: true }).mul(2),
    ]) {
      const x = image(backend, dtype);
      const y = fn(x);
      expect([...y.dataSync()]).toEqual([2]);
      y.sum().backward();
      expect([...x.grad!.dataSync()]).toEqual([2, 0, 0, 0]);
    }
    const x = image(backend, dtype);
    for (const region of ['across', 'within'] as const) expect(ops.localResponseNorm(x, { size: most, region }).size).toBe(4);
  });

  it('are refused if they do not fit', () => {
    const { backend, dtype } = poisoned[0];
    const x = image(backend, dtype);
    const w = tensor([1, 1, 1, 1], [1, 1, 2, 2], { dtype, backend });
    expect(() => ops.conv2d(x, w, null, { dilation: most })).toThrow(ShapeError);
    expect(() => ops.conv2d(x, w, null, { padding: most })).toThrow(ShapeError);
    expect(() => ops.convTranspose2d(x, w, null, { stride: most })).toThrow(ShapeError);
    expect(() => ops.maxPool2d(x, { kernelSize: 2, dilation: most, padding: 2 ** 30 })).toThrow(ShapeError);
  });
});

describe('arguments that must be refused', () => {
  const { backend } = poisoned[2];
  const x = () => tensor([1, 2, 3, 4], [1, 1, 2, 2], { backend });
  it.each<[string, () => unknown, RegExp]>([
    ["tensor('2')", () => tensor('2' as never, undefined, { backend }), /expected a typed array, or nested arrays of numbers/],
    ['a whole-number tensor of fractions', () => tensor([0.5], [1], { dtype: 'int32', backend }), /element 0 is 0.5/],
    ['slice at 0.5', () => ops.slice(x(), [0, 0, 0.5, 0], [1, 1, 2, 2]), /slice: start is/],
    ['three strides', () => ops.conv2d(x(), x(), null, { stride: [1, 2, 3] as never }), /stride is \[1, 2, 3\]/],
    ['a stride of null', () => ops.conv2d(x(), x(), null, { stride: null as never }), /stride is null/],
    ['a misspelt option', () => ops.conv2d(x(), x(), null, { strides: 2 } as never), /did you mean 'stride'/],
    ['clamp by NaN', () => ops.clamp(x(), Number.NaN, 1), /low is NaN/],
    ['axes of null', () => ops.sum(x(), { axes: null as never }), /axes are null/],
    ['SGD of a model', () => new nn.SGD(new nn.Sequential([]) as never, { lr: 1 }), /pass model.parameters\(\)/],
    ['weight_decay', () => new nn.SGD([], { lr: 1, weight_decay: 1 } as never), /did you mean 'weightDecay'/],
    ['a negative weight decay', () => new nn.SGD([], { lr: 1, weightDecay: -1 }), /weightDecay is -1/],
    ['a weight decay of NaN', () => new nn.SGD([], { lr: 1, weightDecay: Number.NaN }), /weightDecay is NaN/],
    ['an array as an operand', () => ops.add(x(), [1] as never), /expected a tensor or a number/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(ops.ZfnetError);
    expect(call).toThrow(message);
  });

  it('an option that is undefined counts as absent', () => {
    expect(ops.conv2d(x(), x(), undefined, { stride: undefined, padding: undefined }).shape).toEqual([1, 1, 1, 1]);
  });
});
