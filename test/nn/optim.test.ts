/** SGD against PyTorch's, the paper's limit on filters, and the schedules. */
import { describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import {
  Adam,
  AdamW,
  clipGradNorm,
  LinearWarmup,
  OneCycleLR,
  ReduceLROnPlateau,
  RMSprop,
  SGD,
  type SgdOptions,
  StepLR,
} from '../../src/nn/index.js';
import { type Backend, type DType, scope, type Tensor, tensor, ValueError, withBackend } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { mismatch } from '../support/allclose.js';
import { backends, reference } from '../support/backends.js';
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

  it('updates and limits filters in one kernel where the backend has one', () => {
    const fused = createReferenceBackend();
    const calls: number[] = [];
    fused.sgdClipRms = (w, velocity, grad, p) => {
      calls.push(p.rows);
      fused.sgd(w, velocity, grad, p);
      fused.clipRms(w, p.rows, w.size / p.rows, p.maxRms);
    };
    const [one, two] = [fused, reference].map((backend) => {
      const filters = parameter(noise(36, 1), [4, 1, 3, 3], backend);
      const matrix = parameter(noise(36, 2), [4, 9], backend);
      const sgd = new SGD([filters, matrix], { lr: 0.1, momentum: 0.9, maxFilterRms: 0.4 });
      for (let step = 0; step < 2; step++) {
        for (const each of [filters, matrix]) give(each, noise(36, 5 + step));
        sgd.step();
        sgd.zeroGrad();
      }
      return [filters.dataSync(), matrix.dataSync()];
    });
    expect(one).toEqual(two);
    expect(calls).toEqual([4, 4]);
    fused.dispose();
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

  it('reads the state of version 0.1', () => {
    const run = (v1: boolean) => {
      const w = parameter(noise(SIZE, 1), [SIZE], reference);
      const first = new SGD([w], { lr: 0.1, momentum: 0.9 });
      give(w, noise(SIZE, 2));
      first.step();
      const { lr, velocities, ...rest } = first.stateDict();
      const second = new SGD([w], { lr: 3, momentum: 0.9 });
      second.loadStateDict(v1 ? { lr, velocities } : { lr, ...rest });
      second.step();
      expect(second.lr).toBe(0.1);
      return [...w.dataSync()];
    };
    expect(run(true)).toEqual(run(false));
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

describe('optimisers', () => {
  const two = () => [parameter([1], [1], reference), parameter([2], [1], reference)];

  it('skip parameters without a gradient, frozen ones too, and count the updates of each one', () => {
    const [w, frozen] = [parameter([1], [1], reference), tensor([5], [1], { backend: reference })];
    const adam = new Adam([w, frozen], { lr: 0.1 });
    give(w, [3]);
    adam.step();
    adam.step();
    expect(frozen.itemSync()).toBe(5);
    expect(adam.stateDict()).toMatchObject({ kind: 'Adam', steps: [2, 0], slots: { mean: [{ length: 1 }, null] } });
    expect(w.itemSync()).toBeCloseTo(0.8, 5);
  });

  it('set the rate of every group through lr, and read that of the first', () => {
    const [a, b] = two();
    const optimizer = new RMSprop([{ params: [a], lr: 0.5 }, { params: [b] }], { lr: 0.1, weightDecay: 0.2 });
    expect(optimizer.lr).toBe(0.5);
    expect(optimizer.groups.map(({ lr, weightDecay }) => [lr, weightDecay])).toEqual([
      [0.5, 0.2],
      [0.1, 0.2],
    ]);
    optimizer.lr = 0.3;
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.3, 0.3]);
  });

  it('free their state with dispose() and start again', () => {
    const before = reference.memory().buffers;
    const [w] = two();
    const optimizer = new AdamW([w], { amsgrad: true });
    give(w, [1]);
    optimizer.step();
    expect(reference.memory().buffers).toBe(before + 5); // the parameter, its gradient and three means
    optimizer.dispose();
    expect(reference.memory().buffers).toBe(before + 2);
    expect(optimizer.stateDict()).toMatchObject({ steps: [0], slots: { mean: [null] } });
  });

  it.each<[string, () => unknown, RegExp]>([
    ['a parameter in two groups', () => new Adam([{ params: two().slice(0, 1) }, 3] as never), /Adam: parameters are \[/],
    ['a group without parameters', () => new Adam([{ lr: 1 }] as never), /Adam: group 0: params is missing/],
    ['an unknown option of a group', () => new SGD([{ params: two(), rate: 1 }] as never, { lr: 1 }), /unknown option 'rate'/],
    ['betas of 1', () => new AdamW(two(), { betas: [0.9, 1] }), /AdamW: betas is \[0.9, 1\]/],
    ['a negative alpha', () => new RMSprop(two(), { alpha: -1 }), /RMSprop: alpha is -1/],
    ['a negative maximum', () => clipGradNorm(two(), -1), /clipGradNorm: max is -1/],
    ['a cycle of unknown length', () => new OneCycleLR({ lr: 1 }, { maxLr: 1, cycleMomentum: false }), /pass totalSteps/],
    ['a cycle without momentum', () => new OneCycleLR({ lr: 1 }, { maxLr: 1, totalSteps: 9 }), /no momentum/],
    ['a warm-up from 0', () => new LinearWarmup({ lr: 1 }, { startFactor: 0 }), /startFactor is 0/],
  ])('refuse %s', (_, make, message) => {
    expect(make).toThrow(ValueError);
    expect(make).toThrow(message);
  });

  it('refuse the same parameter in two groups', () => {
    const [w] = two();
    expect(() => new Adam([{ params: [w] }, { params: [w] }])).toThrow(/is in groups 0 and 1/);
  });

  it('change nothing when a state does not fit', () => {
    const [a, b] = two();
    const adam = new Adam([a, b]);
    give(a, [1]);
    adam.step();
    const state = adam.stateDict();
    const changed = (change: object) => ({ ...structuredClone(state), ...change });
    for (const [wrong, message] of [
      [changed({ kind: 'AdamW' }), /got the state of 'AdamW', expected one of Adam/],
      [changed({ groups: [{ ...state.groups[0], size: 3 }] }), /groups of 3 parameters, expected 2/],
      [changed({ steps: [1] }), /steps for 1 parameters, expected 2/],
      [changed({ slots: { mean: [new Float32Array(3), null] } }), /mean of parameter 0 has 3 values, expected 1/],
      [changed({ slots: { maxSquare: [null, null] } }), /unknown state 'maxSquare'/],
      [null, /the state is null/],
    ] as const) {
      expect(() => adam.loadStateDict(wrong as never)).toThrow(message);
      expect(adam.stateDict()).toEqual(state);
    }
  });

  it('clip nothing below the limit, and measure with Infinity', () => {
    const [a, b] = two();
    expect(clipGradNorm([a, b], 1).itemSync()).toBe(0);
    give(a, [3]);
    give(b, [4]);
    expect(clipGradNorm([a, b, a], Number.POSITIVE_INFINITY).itemSync()).toBe(5);
    expect(clipGradNorm([a, b], 6).itemSync()).toBe(5);
    expect([a.grad!.itemSync(), b.grad!.itemSync()]).toEqual([3, 4]);
    expect(clipGradNorm([a, b], 1).itemSync()).toBe(5);
    expect(a.grad!.itemSync()).toBeCloseTo(0.6, 5);
    expect(b.grad!.itemSync()).toBeCloseTo(0.8, 5);
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
