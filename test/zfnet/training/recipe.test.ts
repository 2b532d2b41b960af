/** Optimisers, schedules and losses of the recipe: recorded in the configuration and resumed bit for bit. */
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from '../../../src/formats/checkpoint.js';
import { FormatError } from '../../../src/formats/errors.js';
import { crossEntropy, setDefaultBackend, tensor } from '../../../src/tensor/index.js';
import {
  type GivenTrainingOptions,
  MemoryStore,
  OPTIMIZERS,
  PATHS,
  readConfig,
  SCHEDULES,
  type ScheduleOptions,
  train,
  trainingOptions,
  verifyRun,
} from '../../../src/zfnet/index.js';
import { makeLoss } from '../../../src/zfnet/training/recipe/loss.js';
import { makeSchedule } from '../../../src/zfnet/training/recipe/schedule.js';
import { strict } from '../../support/backends.js';
import { bars, tinyJob, tinyNet, weightsOf } from '../support.js';

beforeEach(() => setDefaultBackend(strict.backend));

/** A job of two epochs of six steps. */
const jobOf = (options: GivenTrainingOptions, more: object = {}) => {
  const job = tinyJob(more);
  return { ...job, options: { ...job.options, ...options } };
};

async function straight(options: GivenTrainingOptions) {
  const job = jobOf(options);
  const { metrics } = await train(job);
  return { weights: weightsOf(job.model), rates: metrics.map(({ lr }) => lr), losses: metrics.map(({ trainLoss }) => trainLoss) };
}

async function interrupted(options: GivenTrainingOptions, step: number) {
  const store = new MemoryStore();
  const controller = new AbortController();
  const onStep = ({ step: now }: { step: number }) => now === step && controller.abort();
  expect((await train(jobOf(options, { store, signal: controller.signal, onStep }))).status).toBe('stopped');
  const model = tinyNet({ seed: 99 });
  const { metrics, config } = await train({ ...jobOf({}, { store, model, resume: true }), options: {} });
  return {
    store,
    config,
    result: { weights: weightsOf(model), rates: metrics.map(({ lr }) => lr), losses: metrics.map(({ trainLoss }) => trainLoss) },
  };
}

const RECIPES: Record<string, GivenTrainingOptions> = {
  adam: { optimizer: { kind: 'adam' }, lr: 0.002 },
  adamw: { optimizer: { kind: 'adamw', betas: [0.8, 0.95] }, lr: 0.002, maxFilterRms: null },
  rmsprop: { optimizer: { kind: 'rmsprop', momentum: 0.5, centered: true }, lr: 0.001 },
  'one-cycle with adam': { optimizer: { kind: 'adam' }, schedule: { kind: 'one-cycle', rise: 0.3, momentum: true }, lr: 0.01 },
  'one-cycle': { schedule: { kind: 'one-cycle', rise: 0.4, momentum: true } },
  'multi-step with warm-up': { schedule: { kind: 'multi-step', factor: 0.5, milestones: [1] }, warmup: { steps: 8, from: 0.1 } },
  'cosine with warm-up': { schedule: { kind: 'cosine' }, warmup: { steps: 4, from: 0.5 } },
  exponential: { schedule: { kind: 'exponential', factor: 0.9 } },
  losses: { labelSmoothing: 0.1, classWeights: [1, 2, 0.5], clipGradNorm: 0.5, microBatch: 3 },
  balanced: { classWeights: 'balanced' },
};

let sgd: ReturnType<typeof straight> | undefined;

describe('a recipe', () => {
  it.each(Object.entries(RECIPES))('with %s is recorded, and resumes bit for bit within an epoch and at its end', async (_, options) => {
    const expected = await straight(options);
    for (const step of options === RECIPES.adam ? [2, 9] : [9]) {
      const { store, config, result } = await interrupted(options, step);
      expect(result, `step ${step}`).toEqual(expected);
      expect(config.training).toEqual(trainingOptions({ ...tinyJob().options, ...options }));
      expect(await readConfig(store)).toEqual(config);
      expect((await verifyRun(store)).filter(({ state }) => state !== 'whole')).toEqual([]);
    }
    sgd ??= straight({});
    expect(expected.weights).not.toEqual((await sgd).weights);
  });

  it('leaves the configuration and the checkpoints of SGD as they were', async () => {
    const store = new MemoryStore();
    await train(jobOf({ optimizer: { kind: 'sgd' } }, { store }));
    const config = await readConfig(store);
    expect(Object.keys(config!.training)).not.toContain('optimizer');
    const text = new TextDecoder().decode(store.files.get(PATHS.last)!);
    expect(text).toContain('"zfnet.checkpoint":"2"');
    expect(decodeCheckpoint(store.files.get(PATHS.last)!, 'last')).not.toHaveProperty('slots');
  });

  it('refuses to resume with another optimiser, and names both', async () => {
    const store = new MemoryStore();
    await train(jobOf({ ...RECIPES.adam, epochs: 1 }, { store }));
    const resume = (options: GivenTrainingOptions) => train({ ...jobOf({}, { store, resume: true }), options });
    await expect(resume({ optimizer: { kind: 'sgd' } })).rejects.toThrow(/optimizer was \{"kind":"adam".*\} and is \{"kind":"sgd"\}/);
    await expect(resume({ optimizer: { kind: 'adam', eps: 1e-3 } })).rejects.toThrow(/optimizer was/);
    await expect(resume({ clipGradNorm: 1 })).rejects.toThrow(/clipGradNorm was undefined and is 1/);
    expect((await resume({ optimizer: { kind: 'adam' }, epochs: 2 })).epoch).toBe(2);
  });
});

describe('a checkpoint of Adam', () => {
  async function trained() {
    const store = new MemoryStore();
    await train(jobOf({ ...RECIPES.adam, epochs: 1 }, { store }));
    return { store, checkpoint: decodeCheckpoint(store.files.get(PATHS.last)!, 'last') };
  }

  it('has the means of the gradient under its name, and a version that earlier versions refuse', async () => {
    const { store, checkpoint } = await trained();
    expect(new TextDecoder().decode(store.files.get(PATHS.last)!)).toMatch(/"zfnet.checkpoint":"3".*"optimizer\.mean\.conv1\.weight"/);
    expect(Object.keys(checkpoint.slots!)).toEqual(['mean', 'square']);
    expect(Object.keys(checkpoint.slots!.square)).toEqual(Object.keys(checkpoint.weights));
    expect(checkpoint.info.optimizer).toMatchObject({ kind: 'Adam', steps: Object.keys(checkpoint.weights).map(() => 6) });
    expect(checkpoint.velocities).toEqual({});
  });

  it.each<[string, (found: Awaited<ReturnType<typeof trained>>['checkpoint']) => object, RegExp]>([
    ['without a state', ({ slots }) => ({ slots: { mean: slots!.mean } }), /no square of conv1\.weight, which adam needs/],
    [
      'with a state of another optimiser',
      ({ slots }) => ({ slots: { ...slots, velocity2: slots!.mean } }),
      /state 'velocity2', which the optimiser Adam/,
    ],
    ['with velocities', ({ slots }) => ({ velocities: slots!.mean }), /state 'velocity', which the optimiser Adam/],
    ['without its description', ({ info: { optimizer: _, ...info } }) => ({ info }), /'optimizer' is missing, expected an object/],
    [
      'of RMSprop',
      ({ info }) => ({ info: { ...info, optimizer: { ...(info.optimizer as object), kind: 'RMSprop' } } }),
      /kind is 'RMSprop', expected 'Adam'/,
    ],
    [
      'with a state of another shape',
      ({ slots }) => ({ slots: { ...slots, mean: { ...slots!.mean, 'fc8.bias': { shape: [1], data: new Float32Array(1) } } } }),
      /the mean of fc8\.bias has shape \[1\], expected \[3\]/,
    ],
  ])('%s is refused', async (_, change, message) => {
    const { store, checkpoint } = await trained();
    for (const path of [PATHS.best, PATHS.epoch(1)]) store.files.delete(path);
    store.files.set(PATHS.last, encodeCheckpoint({ ...checkpoint, ...change(checkpoint) }));
    const resume = train({ ...jobOf({}, { store, resume: true }), options: { epochs: 2 } });
    await expect(resume).rejects.toThrow(FormatError);
    await expect(resume).rejects.toThrow(message);
  });
});

describe('schedules', () => {
  const rates = (options: ScheduleOptions, warmup?: { steps: number; from: number }): number[] => {
    const optimizer = { lr: 1, groups: [{ lr: 1, momentum: 0.9 }] };
    const flat = { lr: 1 };
    const target = options.kind === 'one-cycle' ? optimizer : flat;
    const schedule = makeSchedule(target, options, { epochs: 3, stepsPerEpoch: 2 }, warmup);
    const seen: number[] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      for (let step = 0; step < 2; step++) {
        seen.push(Number((target === flat ? flat.lr : optimizer.groups[0].lr).toPrecision(4)));
        schedule.afterStep();
      }
      schedule.step(1);
    }
    return seen;
  };

  it('change the rate as named, step by step', () => {
    expect(rates({ kind: 'multi-step', factor: 0.1, milestones: [1, 2] })).toEqual([1, 1, 0.1, 0.1, 0.01, 0.01]);
    expect(rates({ kind: 'exponential', factor: 0.5 })).toEqual([1, 1, 0.5, 0.5, 0.25, 0.25]);
    expect(rates({ kind: 'constant' }, { steps: 4, from: 0.2 })).toEqual([0.2, 0.4, 0.6, 0.8, 1, 1]);
    expect(rates({ kind: 'step', factor: 0.5, every: 1 }, { steps: 4, from: 0.2 })).toEqual([0.2, 0.4, 0.3, 0.4, 0.25, 0.25]);
    const cycle = rates({ kind: 'one-cycle', rise: 0.5, momentum: false });
    expect(Math.max(...cycle)).toBe(1);
    expect(cycle.indexOf(1)).toBe(2);
    expect(cycle[0]).toBe(0.04);
    expect(cycle[5]).toBeLessThan(1e-4);
  });
});

describe('the training loss', () => {
  it('weighs the parts of a mini-batch by the weights of their classes', async () => {
    const { of, weightOf } = makeLoss(trainingOptions({ classWeights: [1, 2, 0.5] }), Int32Array.of(0, 1, 2), 3);
    const logits = [
      [1, 2, 3],
      [0, 1, 0],
      [2, 0, 1],
    ];
    const labels = [2, 1, 0];
    const whole = of(tensor(logits), tensor(Int32Array.from(labels))).itemSync();
    const parts = labels.map((label, i) => of(tensor([logits[i]]), tensor(Int32Array.of(label))).itemSync() * weightOf([{ label }]));
    const total = weightOf(labels.map((label) => ({ label })));
    expect(total).toBe(3.5);
    expect(parts.reduce((sum, part) => sum + part, 0) / total).toBeCloseTo(whole, 6);
  });

  it('balances classes by their numbers of images', () => {
    const { weightOf } = makeLoss(trainingOptions({ classWeights: 'balanced' }), Int32Array.of(0, 0, 0, 1), 3);
    expect([0, 1, 2].map((label) => weightOf([{ label }]))).toEqual([4 / 9, 4 / 3, 1]);
    expect(makeLoss(trainingOptions(), Int32Array.of(0), 1).of).toBe(crossEntropy);
  });

  it('refuses another number of weights than classes', async () => {
    await expect(train(jobOf({ classWeights: [1, 2] }, { dataset: bars() }))).rejects.toThrow(
      /classWeights has 2 numbers, expected one for each of the 3/,
    );
  });
});

describe('options of the recipe', () => {
  it('take the defaults of their kind', () => {
    expect(trainingOptions({ optimizer: { kind: 'adamw' } })).toMatchObject({
      lr: 0.001,
      weightDecay: 0.01,
      optimizer: { betas: [0.9, 0.999], eps: 1e-8 },
    });
    expect(trainingOptions({ optimizer: { kind: 'adam' }, lr: 0.1 })).toMatchObject({ lr: 0.1, weightDecay: 0 });
    expect(trainingOptions({ optimizer: { kind: 'sgd' } })).toEqual(trainingOptions());
    expect(OPTIMIZERS).toContain('rmsprop');
    expect(SCHEDULES).toContain('one-cycle');
  });

  it.each<[object, RegExp]>([
    [{ optimizer: { kind: 'adm' } }, /optimizer\.kind is 'adm', expected one of 'sgd', 'adam', 'adamw', 'rmsprop'; did you mean 'adam'\?/],
    [{ optimizer: { kind: 'adam', beta: 1 } }, /unknown option 'beta'.*did you mean 'betas'/],
    [{ optimizer: { kind: 'adam', alpha: 0.5 } }, /unknown option 'alpha'/],
    [{ optimizer: { kind: 'adam', betas: [0.9] } }, /betas is \[0\.9\], expected two numbers/],
    [{ optimizer: 'adam' }, /optimizer is 'adam', expected an optimiser such as/],
    [{ schedule: { kind: 'one-cycel' } }, /schedule\.kind is 'one-cycel'.*did you mean 'one-cycle'/],
    [{ schedule: { kind: 'multi-step', factor: 0.1, milestones: [3, 2] } }, /milestones is \[3, 2\], expected epochs in ascending order/],
    [{ schedule: { kind: 'multi-step', factor: 0.1 } }, /milestones is missing/],
    [{ warmup: { steps: 0, from: 0.1 } }, /steps is 0/],
    [{ warmup: { steps: 5, from: 0.1 }, schedule: { kind: 'one-cycle', rise: 0.3, momentum: false } }, /leave out one of them/],
    [{ momentum: 0, schedule: { kind: 'one-cycle', rise: 0.3, momentum: true } }, /momentum is 0/],
    [{ clipGradNorm: 0 }, /clipGradNorm is 0/],
    [{ labelSmoothing: 1 }, /labelSmoothing is 1, expected a number above 0 and below 1/],
    [{ classWeights: [1, -1] }, /classWeights is \[1, -1\]/],
    [{ classWeights: 'ballanced' }, /classWeights is 'ballanced'/],
  ])('refuse %o', (options, message) => {
    expect(() => trainingOptions(options as never)).toThrow(message);
  });
});
