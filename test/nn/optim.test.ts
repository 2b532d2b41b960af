/** SGD against PyTorch's, the paper's limit on filters, and the schedules. */
import { describe, expect, it } from 'vitest';
import { ReduceLROnPlateau, SGD, type SgdOptions, StepLR } from '../../src/nn/index.js';
import { type Backend, type DType, scope, type Tensor, tensor, ValueError, withBackend } from '../../src/tensor/index.js';
import { mismatch } from '../support/allclose.js';
import { backends, reference } from '../support/backends.js';
import { noise } from '../support/formula.js';
import { readFixture } from '../support/torch.js';

interface Fixture {
  options: { lr: number; momentum?: number; dampening?: number; weight_decay?: number; nesterov?: boolean };
  weights: number[][];
}

const fixtures = Object.entries(readFixture<Record<string, Fixture>>('sgd.json'));
const SIZE = 7;

const parameter = (numbers: number[], shape: number[], backend: Backend, dtype: DType = 'float32') =>
  tensor(numbers, shape, { backend, dtype, requiresGrad: true });

/** Sets the gradient itself, without a walk. */
const give = (w: Tensor, numbers: number[]) => {
  w.grad = tensor(numbers, w.shape, { backend: w.backend, dtype: w.dtype });
};

const optionsOf = ({ options: { weight_decay: weightDecay, ...rest } }: Fixture): SgdOptions => ({ ...rest, weightDecay });

describe('SGD', () => {
  const all: { name: string; backend: Backend; dtype: DType; tolerance: number }[] = [
    { name: 'the float64 reference', backend: reference, dtype: 'float64', tolerance: 1e-11 },
    ...backends.map(({ name, backend }) => ({ name, backend, dtype: 'float32' as const, tolerance: 1e-6 })),
  ];

  describe.each(all)('on $name', ({ backend, dtype, tolerance }) => {
    it.each(fixtures)("takes PyTorch's steps: %s", (_, fixture) => {
      const w = parameter(noise(SIZE, 1), [SIZE], backend, dtype);
      const sgd = new SGD([w], optionsOf(fixture));
      fixture.weights.forEach((expected, step) => {
        give(w, noise(SIZE, 10 + step));
        sgd.step();
        sgd.zeroGrad();
        expect(mismatch(w.dataSync(), expected, { relative: tolerance, absolute: tolerance }), `step ${step}`).toBeNull();
      });
    });

    it.each([1, 3, 16, 67, 5000])('scales down the filters above the limit and no others (%i weights each)', (places) => {
      const filters = [0.02, 3, 0.1, 0.0999, 0.5];
      const numbers = filters.flatMap((rms) => {
        const filter = noise(places, 3);
        const own = Math.sqrt(filter.reduce((sum, value) => sum + value ** 2, 0) / places);
        return filter.map((value) => (value / own) * rms);
      });
      const w = parameter(numbers, [5, 1, 1, places], backend, dtype);
      const matrix = parameter(numbers, [5, places], backend, dtype);
      const bias = parameter([9, 9], [2], backend, dtype);
      for (const each of [w, matrix, bias]) give(each, new Array(each.size).fill(0));
      new SGD([w, matrix, bias], { lr: 0.1, maxFilterRms: 0.1 }).step();
      const expected = numbers.map((value, i) => value * Math.min(1, 0.1 / filters[Math.floor(i / places)]));
      expect(mismatch(w.dataSync(), expected, { relative: 1e-6, absolute: 1e-7 })).toBeNull();
      expect(mismatch(matrix.dataSync(), numbers, { relative: 1e-6, absolute: 0 })).toBeNull();
      expect([...bias.dataSync()]).toEqual([9, 9]);
    });
  });

  it('leaves parameters without a gradient unchanged, and frees gradients with zeroGrad()', () => {
    const [w, idle] = [parameter([1], [1], reference), parameter([5], [1], reference)];
    const sgd = new SGD([w, idle], { lr: 0.5, momentum: 0.9, weightDecay: 1 });
    give(w, [2]);
    sgd.step();
    expect([w.itemSync(), idle.itemSync()]).toEqual([-0.5, 5]);
    expect(sgd.stateDict().velocities[1]).toBeNull();
    sgd.zeroGrad();
    expect(w.grad).toBeNull();
    sgd.step();
    expect(w.itemSync()).toBe(-0.5);
  });

  it('continues from a saved state to the same values', () => {
    const run = (save: boolean) => {
      const w = parameter(noise(SIZE, 1), [SIZE], reference);
      let sgd = new SGD([w], { lr: 0.1, momentum: 0.9, dampening: 0.3 });
      for (let step = 0; step < 4; step++) {
        if (save && step === 2) {
          sgd.lr = 0.01;
          const state = structuredClone(sgd.stateDict());
          sgd = new SGD([w], { lr: 99, momentum: 0.9, dampening: 0.3 });
          sgd.loadStateDict(state);
        } else if (step === 2) sgd.lr = 0.01;
        give(w, noise(SIZE, step + 2));
        sgd.step();
      }
      return [...w.dataSync()];
    };
    expect(run(true)).toEqual(run(false));
    expect(() => new SGD([], { lr: 1 }).loadStateDict({ lr: 1, velocities: [null] })).toThrow(/1 velocities, expected 0/);
  });

  it.each([
    [{ lr: 0 }, /lr is 0/],
    [{ lr: Number.NaN }, /lr is NaN/],
    [{ lr: 1, momentum: 1 }, /momentum is 1/],
    [{ lr: 1, nesterov: true }, /nesterov needs a momentum/],
    [{ lr: 1, momentum: 0.9, dampening: 0.1, nesterov: true }, /no dampening/],
    [{ lr: 1, maxFilterRms: 0 }, /maxFilterRms is 0/],
  ])('refuses %j', (options, message) => {
    expect(() => new SGD([], options)).toThrow(ValueError);
    expect(() => new SGD([], options)).toThrow(message);
  });

  it('works inside a scope, where its velocities outlive the step', () => {
    withBackend(reference, () => {
      const w = parameter([1], [1], reference);
      const sgd = new SGD([w], { lr: 0.1, momentum: 0.5 });
      for (let step = 0; step < 3; step++) {
        scope(() => {
          w.mul(1).sum().backward();
          sgd.step();
        });
        sgd.zeroGrad();
      }
      expect(w.itemSync()).toBeCloseTo(1 - 0.1 * (1 + 1.5 + 1.75), 6);
    });
  });
});

describe('schedules', () => {
  it('StepLR multiplies the rate every stepSize epochs, and resumes', () => {
    const optimizer = { lr: 1 };
    const schedule = new StepLR(optimizer, { stepSize: 2, gamma: 0.5 });
    const rates = Array.from({ length: 5 }, () => {
      schedule.step();
      return optimizer.lr;
    });
    expect(rates).toEqual([1, 0.5, 0.5, 0.25, 0.25]);
    const resumed = new StepLR(optimizer, { stepSize: 2, gamma: 0.5 });
    resumed.loadStateDict(schedule.stateDict());
    resumed.step();
    expect(optimizer.lr).toBe(0.125);
    expect(() => new StepLR(optimizer, { stepSize: 0 })).toThrow(ValueError);
  });

  it('ReduceLROnPlateau waits for more than `patience` bad epochs, by a relative threshold', () => {
    const optimizer = { lr: 1 };
    const schedule = new ReduceLROnPlateau(optimizer, { factor: 0.1, patience: 2, threshold: 0.1, minLr: 0.05 });
    const measures = [1, 0.95, 0.91, 0.89, 0.88, 0.88, 0.88, 0.88, 0.88, 0.88];
    const rates = measures.map((measure) => {
      schedule.step(measure);
      return Number(optimizer.lr.toFixed(6));
    });
    // 0.95 and 0.91 are no tenth better than 1; 0.89 is; then three bad epochs twice over, and a floor.
    expect(rates).toEqual([1, 1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.05]);
  });

  it('ReduceLROnPlateau reports whether it lowered the rate, counts NaN as a bad epoch, and resumes', () => {
    const optimizer = { lr: 1 };
    const schedule = new ReduceLROnPlateau(optimizer, { patience: 1 });
    expect([3, Number.NaN].map((measure) => schedule.step(measure))).toEqual([false, false]);
    const resumed = new ReduceLROnPlateau(optimizer, { patience: 1 });
    resumed.loadStateDict(JSON.parse(JSON.stringify(schedule.stateDict())));
    expect(resumed.step(3)).toBe(true);
    expect(optimizer.lr).toBeCloseTo(0.1, 12);
    expect(JSON.parse(JSON.stringify(new ReduceLROnPlateau(optimizer).stateDict()))).toEqual({ best: null, bad: 0 });
  });
});
