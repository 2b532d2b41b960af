/** Optimisers and schedules against PyTorch's: test/fixtures/optim.py. */
import { describe, expect, it } from 'vitest';
import {
  Adam,
  AdamW,
  CosineAnnealingLR,
  clipGradNorm,
  ExponentialLR,
  LinearWarmup,
  MultiStepLR,
  OneCycleLR,
  type Optimizer,
  ReduceLROnPlateau,
  RMSprop,
  type Schedule,
  SGD,
  StepLR,
} from '../../src/nn/index.js';
import { type Backend, type DType, type Tensor, tensor } from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { createDeferredBackend } from '../backend/deferred/deferred.js';
import { mismatch } from '../support/allclose.js';
import { backends, reference, strict, strictThreads } from '../support/backends.js';
import { camelCased, readFixture } from '../support/torch.js';

interface OptimizerCase {
  kind: 'SGD' | 'Adam' | 'AdamW' | 'RMSprop';
  options: Record<string, unknown>;
  group: Record<string, number> | null;
  max: number | null;
  weights: Record<string, number[][]>;
  norms?: number[];
}
interface ScheduleCase {
  options: Record<string, unknown>;
  /** For each step and each group: learning rate and momentum. */
  rows: [number, number][][];
}

const fixture = readFixture<Record<string, OptimizerCase | ScheduleCase>>('optim.json');
const optimizers = Object.entries(fixture).filter((entry): entry is [string, OptimizerCase] => 'weights' in entry[1]);
const schedules = Object.entries(fixture).filter((entry): entry is [string, ScheduleCase] => 'rows' in entry[1]);
const SHAPES = [[7], [2, 3]];
const STEPS = 50;

type AnyOptimizer = new (params: unknown, options: object) => Optimizer;
type AnySchedule = new (optimizer: SGD, options: object) => Schedule;

const OPTIMIZERS = { SGD, Adam, AdamW, RMSprop };
const SCHEDULES: Record<string, unknown> = {
  StepLR,
  MultiStepLR,
  ExponentialLR,
  CosineAnnealingLR,
  OneCycleLR,
  LinearWarmup,
  ReduceLROnPlateau,
};

const parameters = (backend: Backend, dtype: DType) =>
  SHAPES.map((shape, i) =>
    tensor(
      noise(
        shape.reduce((a, b) => a * b),
        i + 1,
      ),
      shape,
      { backend, dtype, requiresGrad: true },
    ),
  );

function makeOptimizer({ kind, options, group }: OptimizerCase, [w, b]: Tensor[]): Optimizer {
  const params = group ? [{ params: [w] }, { params: [b], ...camelCased(group) }] : [w, b];
  return new (OPTIMIZERS[kind] as unknown as AnyOptimizer)(params, camelCased(options));
}

/** Runs steps [from, to) of a case. Returns the norms if gradients are clipped. */
function run(
  optimizer: Optimizer,
  params: Tensor[],
  { max }: OptimizerCase,
  from: number,
  to: number,
  each = (_step: number) => {},
): number[] {
  const norms: number[] = [];
  for (let step = from; step < to; step++) {
    params.forEach((w, i) => {
      w.grad = tensor(noise(w.size, 100 + 10 * step + i), w.shape, { backend: w.backend, dtype: w.dtype });
    });
    if (max !== null) norms.push(clipGradNorm(params, max).itemSync());
    optimizer.step();
    optimizer.zeroGrad();
    each(step + 1);
  }
  return norms;
}

const places: { name: string; backend: Backend; dtype: DType; tolerance: number }[] = [
  { name: 'the float64 reference', backend: reference, dtype: 'float64', tolerance: 1e-10 },
  ...backends.map(({ name, backend }) => ({ name, backend, dtype: 'float32' as const, tolerance: 2e-5 })),
];

describe.each(places)('50 steps on $name', ({ backend, dtype, tolerance }) => {
  it.each(optimizers)('%s', (_, fixture) => {
    const params = parameters(backend, dtype);
    const norms = run(makeOptimizer(fixture, params), params, fixture, 0, STEPS, (step) => {
      fixture.weights[step]?.forEach((expected, i) => {
        expect(mismatch(params[i].dataSync(), expected, { relative: tolerance, absolute: tolerance }), `step ${step}`).toBeNull();
      });
    });
    if (fixture.norms) expect(mismatch(norms, fixture.norms, { relative: tolerance, absolute: 0 })).toBeNull();
  });
});

describe.each(backends)('resuming on $name', ({ backend }) => {
  it.each(optimizers.filter(([name]) => name.includes('groups') || name.includes('clipped')))(
    '%s goes on to the same bits from a state that went through JSON and arrays',
    async (_, fixture) => {
      const whole = parameters(backend, 'float32');
      run(makeOptimizer(fixture, whole), whole, fixture, 0, 20);
      const params = parameters(backend, 'float32');
      const first = makeOptimizer(fixture, params);
      run(first, params, fixture, 0, 9);
      const { slots, ...description } = await first.stateDictData();
      expect({ slots, ...description }).toEqual(first.stateDict());
      const second = makeOptimizer(fixture, params);
      second.lr = 77;
      second.loadStateDict({ ...JSON.parse(JSON.stringify(description)), slots: structuredClone(slots) });
      run(second, params, fixture, 9, 20);
      params.forEach((w, i) => {
        expect(w.dataSync()).toEqual(whole[i].dataSync());
      });
    },
  );
});

describe('a backend without a synchronous read', () => {
  it.each(optimizers.filter(([name]) => /AMSGrad|centred with|clipped/.test(name)))('resumes to the same bits: %s', async (_, fixture) => {
    const deferred = createDeferredBackend();
    const [whole, params] = [parameters(reference, 'float32'), parameters(deferred, 'float32')];
    const clipped = { ...fixture, max: null };
    run(makeOptimizer(fixture, whole), whole, clipped, 0, 8);
    const first = makeOptimizer(fixture, params);
    run(first, params, clipped, 0, 5);
    const saved = await first.stateDictData();
    expect(() => first.stateDict()).toThrow(/cannot read synchronously; use `await optimizer.stateDictData\(\)`/);
    const second = makeOptimizer(fixture, params);
    second.loadStateDict(saved);
    first.dispose();
    run(second, params, clipped, 5, 8);
    for (const [i, w] of params.entries()) expect(await w.data()).toEqual(await whole[i].data());
    deferred.dispose();
  });

  it('clips gradients', async () => {
    const deferred = createDeferredBackend();
    const w = tensor([1, 2], [2], { backend: deferred, requiresGrad: true });
    w.grad = tensor([3, 4], [2], { backend: deferred });
    const norm = clipGradNorm([w], 1);
    expect(await norm.item()).toBe(5);
    expect(mismatch(await w.grad.data(), [0.6, 0.8], { relative: 1e-5, absolute: 0 })).toBeNull();
    deferred.dispose();
  });
});

describe('two threads', () => {
  const SIZE = 100_003;

  it.each(optimizers.filter(([name]) => name.includes('clipped') || /^(Adam|RMSprop)\b.*(AMSGrad|with momentum)$/.test(name)))(
    'give the same bits: %s',
    (_, { kind, options, max }) => {
      const [one, two] = [strict, strictThreads].map(({ backend }) => {
        const w = tensor(noise(SIZE, 1), [SIZE], { backend, requiresGrad: true });
        const optimizer = new (OPTIMIZERS[kind] as unknown as AnyOptimizer)([w], camelCased(options));
        for (let step = 0; step < 3; step++) {
          w.grad = tensor(noise(SIZE, 2 + step), [SIZE], { backend });
          if (max !== null) clipGradNorm([w], max).dispose();
          optimizer.step();
        }
        return w.dataSync();
      });
      expect(two).toEqual(one);
    },
  );
});

describe('schedules', () => {
  const twoGroups = () =>
    new SGD(
      [0.1, 0.02].map((lr) => ({ params: parameters(reference, 'float32'), lr })),
      { lr: 0.1, momentum: 0.9 },
    );
  const ratesOf = (optimizer: SGD) => optimizer.groups.flatMap(({ lr, momentum }) => [lr, momentum ?? Number.NaN]);
  const renamed = ({ TMax, ...options }: Record<string, unknown>) => ({ ...options, ...(TMax !== undefined && { tMax: TMax }) });
  const measures = noise(30, 5).map((value) => value + 2);

  it.each(schedules)('%s sets the rates that PyTorch sets, also when it resumes', (name, { options, rows }) => {
    const optimizer = twoGroups();
    const make = (target: SGD) => new (SCHEDULES[name.split(' ')[0]] as AnySchedule)(target, renamed(camelCased(options)));
    let schedule = make(optimizer);
    const follows = name.startsWith('ReduceLROnPlateau');
    const seen = follows ? [] : [ratesOf(optimizer)];
    for (let step = 0; seen.length < rows.length; step++) {
      if (step === 6) {
        const [saved, state] = [optimizer.stateDict(), JSON.parse(JSON.stringify(schedule.stateDict()))];
        schedule = make(optimizer);
        optimizer.loadStateDict(saved);
        schedule.loadStateDict(state);
      }
      schedule.step(follows ? measures[step] : undefined);
      seen.push(ratesOf(optimizer));
    }
    expect(mismatch(seen.flat(), rows.flat(2), { relative: 1e-9, absolute: 1e-15 })).toBeNull();
  });
});
