/** Losses and their gradients against PyTorch's: test/fixtures/losses.py. */
import { describe, expect, it } from 'vitest';
import {
  backward,
  bceWithLogits,
  crossEntropy,
  mseLoss,
  ShapeError,
  scope,
  smoothL1Loss,
  type Tensor,
  tensor,
} from '../../src/tensor/index.js';
import { labels, noise, units } from '../../src/testing/cases/formula.js';
import { mismatch } from '../support/allclose.js';
import { backends, reference } from '../support/backends.js';
import { camelCased, readFixture } from '../support/torch.js';

interface Fixture {
  name: 'crossEntropy' | 'bceWithLogits' | 'smoothL1Loss' | 'mseLoss';
  options: Record<string, unknown>;
  shape: number[];
  loss: number[];
  gradient: number[];
}

const fixtures = Object.entries(readFixture<Record<string, Fixture>>('losses.json'));
const [N, C] = [5, 4];
const SIZE = N * C;
const SHAPE = [N, C];

const LOSSES = { crossEntropy, bceWithLogits, smoothL1Loss, mseLoss };
const times = (factor: number, values: number[]) => values.map((value) => factor * value);

/** Logits or predictions, and targets, as in losses.py. */
const INPUTS: Record<Fixture['name'], [number[], number[]]> = {
  crossEntropy: [times(3, noise(SIZE, 1)), labels(N, 2, C)],
  bceWithLogits: [
    [0, 0, 200, -200, ...times(4, noise(SIZE - 4, 1))],
    [0, 1, 1, 0, ...units(SIZE - 4, 2)],
  ],
  smoothL1Loss: [times(2, noise(SIZE, 1)), noise(SIZE, 2)],
  mseLoss: [noise(SIZE, 1), noise(SIZE, 2)],
};

describe.each([
  { name: 'the float64 reference', backend: reference, dtype: 'float64' as const, tolerance: 1e-10 },
  ...backends.map(({ name, backend }) => ({ name, backend, dtype: 'float32' as const, tolerance: 3e-6 })),
])('on $name', ({ backend, dtype, tolerance }) => {
  it.each(fixtures)('%s', (_, { name, options, shape, loss, gradient }) => {
    const close = { relative: tolerance, absolute: tolerance };
    scope(() => {
      const [values, goal] = INPUTS[name];
      const x = tensor(values, SHAPE, { backend, dtype, requiresGrad: true });
      const target = name === 'crossEntropy' ? tensor(goal, [N], { backend, dtype: 'int32' }) : tensor(goal, SHAPE, { backend, dtype });
      const y = (LOSSES[name] as (x: Tensor, target: Tensor, options: object) => Tensor)(x, target, camelCased(options));
      expect(y.shape).toEqual(shape);
      expect(mismatch(y.dataSync(), loss, close)).toBeNull();
      backward(y, { gradient: tensor(noise(y.size, 9), y.shape, { backend, dtype }) });
      expect(mismatch(x.grad!.dataSync(), gradient, close)).toBeNull();
    });
  });

  it('takes weights as a tensor too, and gives them no gradient', () => {
    scope(() => {
      const x = tensor(INPUTS.crossEntropy[0], SHAPE, { backend, dtype });
      const target = tensor(INPUTS.crossEntropy[1], [N], { backend, dtype: 'int32' });
      const weight = tensor([0.5, 1, 2, 0], [C], { backend, dtype, requiresGrad: true });
      const loss = crossEntropy(x, target, { weight });
      expect(loss.requiresGrad).toBe(false);
      expect(loss.itemSync()).toBe(crossEntropy(x, target, { weight: [0.5, 1, 2, 0] }).itemSync());
    });
  });

  it('counts a class of probability 0 that is not the label as 0', () => {
    scope(() => {
      const x = tensor([0, Number.NEGATIVE_INFINITY, 1, 2], [2, 2], { backend, dtype, requiresGrad: true });
      const target = tensor([0, 1], [2], { backend, dtype: 'int32' });
      const loss = crossEntropy(x, target, { reduction: 'sum' });
      loss.backward();
      expect(loss.itemSync()).toBeCloseTo(Math.log(1 + Math.exp(-1)), 5);
      expect([...x.grad!.dataSync()].every(Number.isFinite)).toBe(true);
    });
  });
});

describe('losses', () => {
  const x = tensor(noise(6, 1), [2, 3], { backend: reference });

  it('leave no intermediate result in memory, outside a scope too', () => {
    for (const { backend } of backends) {
      const before = backend.memory().buffers;
      const logits = tensor(INPUTS.crossEntropy[0], SHAPE, { backend, requiresGrad: true });
      const target = tensor(INPUTS.crossEntropy[1], [N], { backend, dtype: 'int32' });
      const others = tensor(noise(SIZE, 4), SHAPE, { backend });
      for (const make of [
        () => crossEntropy(logits, target, { labelSmoothing: 0.1, weight: [1, 2, 3, 4] }),
        () => mseLoss(logits, others),
        () => smoothL1Loss(logits, others),
        () => bceWithLogits(logits, others, { posWeight: [1, 2, 3, 4], weight: [1, 2, 3, 4] }),
      ]) {
        const loss = make();
        loss.backward();
        loss.dispose();
        logits.grad!.dispose();
        logits.grad = null;
        expect(backend.memory().buffers).toBe(before);
      }
    }
  });

  it.each<[() => unknown, RegExp]>([
    [() => mseLoss(x, tensor([1, 2], [2], { backend: reference })), /mseLoss: target has shape \[2\], expected \[2,3\]/],
    [() => bceWithLogits(x, x, { weight: [1, 2] }), /weight|broadcast/],
    [() => bceWithLogits(x, x, { posWeight: tensor([1, 1, 1, 1, 1, 1], [2, 1, 3], { backend: reference }) }), /posWeight has shape/],
    [() => crossEntropy(x, tensor([0, 1], [2], { backend: reference, dtype: 'int32' }), { weight: [1, 2] }), /weight has shape \[2\]/],
  ])('refuse shapes that do not match (%#)', (call, message) => {
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(message);
  });

  it.each<[object, RegExp]>([
    [{ labelSmoothing: 1.5 }, /labelSmoothing is 1.5/],
    [{ reduction: 'average' }, /reduction is 'average'/],
    [{ weight: [-1, 1, 1] }, /weight is \[-1, 1, 1\]/],
    [{ smoothing: 0.1 }, /unknown option 'smoothing'/],
  ])('refuse %j', (options, message) => {
    expect(() => crossEntropy(x, tensor([0, 1], [2], { backend: reference, dtype: 'int32' }), options)).toThrow(message);
  });
});
