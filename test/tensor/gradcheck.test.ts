/** The gradient check itself: it must fail on wrong gradients, which are planted here, and must not change its arguments. */
import { describe, expect, it } from 'vitest';
import { Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential } from '../../src/nn/index.js';
import { record } from '../../src/tensor/graph/autograd.js';
import {
  conv2d,
  convParams,
  DTypeError,
  dropout,
  Generator,
  getRandomState,
  localResponseNorm,
  mean,
  mul,
  ones,
  randn,
  relu,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
} from '../../src/tensor/index.js';
import { empty } from '../../src/tensor/tensor.js';
import { distinct, noise } from '../../src/testing/cases/formula.js';
import { GradcheckError, gradcheck } from '../../src/testing.js';
import { reference, strict } from '../support/backends.js';

const input = (shape: number[], seed = 1, values = noise) =>
  tensor(
    values(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    shape,
    { backend: reference },
  );

/** The same operation with another backward step. */
const planted = (x: Tensor, output: Tensor, backward: (dy: Tensor) => Tensor) => {
  const y = output.detach();
  return record('planted', y, [x], [], (dy) => [backward(dy)]);
};

function errorOf(fn: (...inputs: Tensor[]) => Tensor, inputs: Tensor[]): GradcheckError {
  try {
    gradcheck(fn, inputs);
  } catch (error) {
    if (error instanceof GradcheckError) return error;
    throw error;
  }
  throw new Error('gradcheck saw nothing wrong');
}

describe('gradcheck', () => {
  const w = input([3, 2, 3, 3], 2);
  const p = convParams('conv2d', [1, 2, 5, 6], w.shape);
  /** A convolution whose input gradient uses the filter as `turn` leaves it. */
  const convolution = (turn: (filter: Float64Array) => ArrayLike<number>) => (x: Tensor) => {
    const filter = Float64Array.from(w.dataSync());
    return planted(x, conv2d(x, tensor(filter, w.shape)), (dy) => {
      const dx = empty('planted', x.shape, dy.dtype, dy.backend, false);
      const turned = tensor(Float64Array.from(turn(filter)), w.shape);
      dy.backend.conv2dInputGrad(dx.storage, dy.storage, turned.storage, p);
      return dx;
    });
  };

  it('accepts a correct gradient, and finds a filter that was not flipped', () => {
    const x = input([1, 2, 5, 6]);
    expect(
      gradcheck(
        convolution((filter) => filter),
        x,
      ),
    ).toMatchObject({ op: 'planted', checked: 60 });
    const flipped = (filter: Float64Array) => filter.map((_, i) => filter[i - (i % 9) + 8 - (i % 9)]);
    const error = errorOf(convolution(flipped), [x]);
    expect(error.op).toBe('planted');
    expect(error.place).toMatch(/^input 0 at \[0, [01], \d, \d\]$/);
    expect(Math.abs(error.analytic - error.numeric)).toBeGreaterThan(1e-3);
    expect(error.message).toContain(
      `planted: the gradient of ${error.place} is ${error.analytic}, finite differences give ${error.numeric}`,
    );
  });

  it('finds a missing term: normalisation without the influence of the neighbours', () => {
    const options = { size: 3, alpha: 1e-4 };
    const x = input([1, 4, 2, 3]);
    const incomplete = (x: Tensor) =>
      planted(x, localResponseNorm(x, options), (dy) => {
        const ratio = localResponseNorm(x, options).div(x);
        return mul(dy, ratio).detach();
      });
    expect(errorOf(incomplete, [x]).error).toBeGreaterThan(5e-6);
    expect(gradcheck((x) => localResponseNorm(x, options), x).worst!.error).toBeLessThan(1e-8);
  });

  it('finds a wrong scale: a mean with the gradient of a sum', () => {
    const x = input([3, 4]);
    const unscaled = (x: Tensor) => planted(x, mean(x), (dy) => mul(dy, ones(x.shape, { dtype: 'float64' })));
    const error = errorOf(unscaled, [x]);
    expect(error.analytic / error.numeric).toBeCloseTo(12, 5);
  });

  it('finds one wrong element among thousands', () => {
    const x = input([40, 50]);
    const wrongAt = (place: number) => (x: Tensor) =>
      planted(x, mul(x, 1), (dy) => {
        const dx = dy.dataSync();
        dx[place] += 0.1;
        return tensor(dx, x.shape);
      });
    expect(errorOf(wrongAt(1234), [x]).place).toBe('input 0 along a random direction');
    expect(errorOf(wrongAt(1999), [x]).place).toBe('input 0 at [39, 49]');
  });

  it('finds a missing gradient, and one that is NaN', () => {
    const x = input([4]);
    expect(errorOf((x) => planted(x, mul(x, 2), (dy) => mul(dy, 0)), [x]).analytic).toBeCloseTo(0, 12);
    const none = (x: Tensor, y: Tensor) => mul(x, y.detach());
    expect(errorOf(none, [x, input([4], 2)]).place).toMatch(/^input 1 /);
    expect(errorOf((x) => planted(x, mul(x, 2), (dy) => mul(dy, Number.NaN)), [x]).analytic).toBeNaN();
  });

  it('checks every input except integers', () => {
    const labels = tensor(Int32Array.of(2, 0), [2], { backend: reference });
    const { checked } = gradcheck((x, labels, y) => mul(x, y).add(labels.cast('float64')), [input([2]), labels, input([2], 3)]);
    expect(checked).toBe(4);
  });

  it('uses the same dropout mask each time and restores the generators', () => {
    const before = getRandomState();
    gradcheck((x) => dropout(x, 0.5), input([40]));
    expect(getRandomState()).toEqual(before);
    const moving = new Generator(1);
    expect(() => gradcheck((x) => dropout(x, 0.5, moving), input([40]))).toThrow(ValueError);
  });

  it('names a constant of another element type', () => {
    expect(() => gradcheck((x) => x.cast('float32').mul(2), input([2]))).toThrow(/the function returned a float32 tensor/);
    expect(() => gradcheck((x) => mul(x, ones([2])), input([2]))).toThrow(DTypeError);
  });

  it('checks a module with its parameters, from any backend, without changing it', () => {
    withBackend(strict.backend, () => {
      const model = new Sequential({
        conv1: new Conv2d(2, 3, [3, 2], { stride: 2, padding: 1 }),
        relu1: new ReLU(),
        norm1: new LocalResponseNorm({ size: 3, alpha: 0.5 }),
        pool1: new MaxPool2d(2, { stride: 1 }),
        flatten: new Flatten(),
        drop6: new Dropout(0.25),
        fc6: new Linear(27, 4),
      });
      const before = model.namedParameters();
      const numbers = before.map(([, parameter]) => parameter.dataSync());
      const x = randn([2, 2, 7, 6], { generator: new Generator(5) });
      const { op, checked, worst } = gradcheck(model, x);
      expect(op).toBe('linear');
      // Of 168 inputs and 108 weights of fc6 64 places and two directions each; all of 36 + 3 and 4 others.
      expect(checked).toBe(66 + 36 + 3 + 66 + 4);
      expect(worst!.error).toBeLessThan(1e-6);
      expect(model.namedParameters()).toEqual(before);
      expect(model.parameters().map((parameter) => parameter.dataSync())).toEqual(numbers);
      expect(model.parameters().every(({ backend }) => backend === strict.backend)).toBe(true);
      expect(x.dtype).toBe('float32');
      model.dispose();
    });
  });

  it('finds a wrong gradient inside a module, by the name of the parameter', () => {
    withBackend(reference, () => {
      class Wrong extends Linear {
        override forward(x: Tensor): Tensor {
          const y = super.forward(x);
          return planted(this.weight, y, (dy) => {
            const dw = empty('planted', this.weight.shape, dy.dtype, dy.backend, false);
            dy.backend.fill(dw.storage, 1);
            return dw;
          });
        }
      }
      const model = new Sequential({ fc6: new Wrong(3, 2, { bias: false }) });
      expect(() => gradcheck(model, input([1, 3]))).toThrow(/planted: the gradient of (input 0|fc6\.weight) /);
    });
  });

  it('depends on a suitable step and tolerance: a kink within the step is reported', () => {
    const x = tensor([1e-7, -0.5, 0.5], [3], { backend: reference });
    expect(errorOf((x) => relu(x), [x]).place).toBe('input 0 at [0]');
    expect(gradcheck((x) => relu(x), x, { epsilon: 1e-8, tolerance: 1e-5 }).checked).toBe(3);
    const close = tensor(distinct(9, 1), [9], { backend: reference });
    expect(gradcheck((x) => relu(x), close).checked).toBe(9);
  });
});
