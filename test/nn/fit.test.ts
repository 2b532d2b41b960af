/** `fit`: the same results as a loop written by hand, on every kind of backend, with everything that it takes and refuses. */
import { beforeEach, describe, expect, it } from 'vitest';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { countErrors, Dropout, Flatten, Linear, type Module, ReLU, Sequential } from '../../src/nn/index.js';
import {
  type Backend,
  crossEntropy,
  manualSeed,
  NonFiniteError,
  noGrad,
  setDefaultBackend,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
} from '../../src/tensor/index.js';
import { noise } from '../../src/testing/cases/formula.js';
import { type FitBatch, type FitSettings, fit as fitNetwork, LinearWarmup, ReduceLROnPlateau, SGD, StepLR } from '../../src/train.js';

let backend: Backend;
beforeEach(() => {
  backend = createReferenceBackend();
  setDefaultBackend(backend);
});

const [FEATURES, CLASSES, SIZE] = [6, 3, 4];

function network(seed = 1, dropout = 0): Sequential {
  manualSeed(seed);
  const model = new Sequential({
    flat: new Flatten(),
    hidden: new Linear(FEATURES, 8),
    relu: new ReLU(),
    drop: new Dropout(dropout),
    out: new Linear(8, CLASSES),
  });
  let stream = 10 * seed;
  for (const each of model.parameters()) each.set(Float32Array.from(noise(each.size, stream++), (value) => value * 0.5));
  return model;
}

/** Batch `i`: the class is the largest of the first three features. */
function batch(i: number, rows = SIZE): FitBatch & { labels: Tensor } {
  const data = noise(rows * FEATURES, 100 + i);
  const labels = Array.from({ length: rows }, (_, row) => {
    const own = data.slice(row * FEATURES, row * FEATURES + CLASSES);
    return own.indexOf(Math.max(...own));
  });
  return { images: tensor(Float32Array.from(data), [rows, 2, FEATURES / 2]), labels: tensor(Int32Array.from(labels)) };
}

const batches = (count = 5): (FitBatch & { labels: Tensor })[] => Array.from({ length: count }, (_, i) => batch(i));
const weights = async (model: Module): Promise<number[][]> =>
  await Promise.all(model.parameters().map(async (each) => Array.from(await each.data())));

const sgdOf = (model: Module, lr = 0.2) => new SGD(model.parameters(), { lr, momentum: 0.9 });

/** The loop that `fit` stands for. */
async function byHand(model: Module, epochs: number): Promise<number[]> {
  const optimizer = sgdOf(model);
  const losses: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    let sum = 0;
    for (const { images, labels } of batches()) {
      const loss = crossEntropy(model.forward(images), labels);
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      sum += (await loss.item()) * SIZE;
    }
    losses.push(sum / (5 * SIZE));
  }
  return losses;
}

/** A backend that computes at once but only reads later, as a GPU does. */
function queueing(): Backend {
  const inner = createReferenceBackend();
  const own: Partial<Backend> = {
    name: 'queueing',
    capabilities: { ...inner.capabilities, syncRead: false },
    read: async (storage) => {
      const values = inner.readSync(storage);
      await new Promise((resolve) => setTimeout(resolve, 1));
      return values;
    },
    readSync() {
      throw new Error('a synchronous read');
    },
  };
  return new Proxy(inner, { get: (target, name) => Reflect.get(own, name) ?? Reflect.get(target, name) });
}

describe('fit', () => {
  it('takes the steps of a loop by hand, to the same bits, and learns', async () => {
    const [own, other] = [network(), network()];
    const history = await fitNetwork(own, batches(), { optimizer: sgdOf(own), epochs: 4 });
    expect(history.map(({ loss }) => loss)).toEqual(await byHand(other, 4));
    expect(await weights(own)).toEqual(await weights(other));
    expect(history.map(({ epoch, step, lr }) => [epoch, step, lr])).toEqual([1, 2, 3, 4].map((epoch) => [epoch, 5 * epoch, 0.2]));
    expect(history[3].loss).toBeLessThan(history[0].loss / 2);
  });

  it('gives the same on a backend that only reads later, without a synchronous read, and one step late', async () => {
    const seen: number[][] = [];
    const train = async (on: Backend) => {
      const model = withBackend(on, () => network(1, 0.3));
      const optimizer = sgdOf(model);
      let taken = 0;
      const data = function* () {
        for (const each of batches()) {
          taken++;
          yield each;
        }
      };
      const late: number[] = [];
      const callbacks = {
        onStep: ({ step }: { step: number }) => late.push(taken - ((step - 1) % 5) - 1 - 5 * Math.floor((step - 1) / 5)),
      };
      const history = await fitNetwork(model, data, { optimizer, epochs: 3, seed: 4, validation: batches(2), clipGradNorm: 1, callbacks });
      seen.push(late);
      return { history, weights: await weights(model) };
    };
    expect(await train(queueing())).toEqual(await train(backend));
    expect(seen[0]).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0]);
    expect(seen[1].every((steps) => steps === 0)).toBe(true);
  });

  it('follows the backend of the model, not the default one', async () => {
    const other = createReferenceBackend();
    const model = withBackend(other, () => network());
    const expected = network();
    await fitNetwork(expected, batches(), { optimizer: sgdOf(expected), epochs: 2, validation: batches(1) });
    const { bytes } = backend.memory();
    const history = await fitNetwork(model, batches(), { optimizer: sgdOf(model), epochs: 2, validation: batches(1) });
    expect(await weights(model)).toEqual(await weights(expected));
    expect(backend.memory().bytes).toBe(bytes);
    expect(history).toHaveLength(2);
  });

  it('takes labels as arrays, data as a function of the epoch, and asynchronous iterables', async () => {
    const [own, other] = [network(), network()];
    const epochs: number[] = [];
    const data = async function* (epoch: number) {
      epochs.push(epoch);
      for (const { images, labels } of batches()) yield { images, labels: Array.from(labels.dataSync()) };
    };
    const history = await fitNetwork(own, data, { optimizer: sgdOf(own), epochs: 2 });
    expect(epochs).toEqual([1, 2]);
    expect(history).toEqual(await fitNetwork(other, batches(), { optimizer: sgdOf(other), epochs: 2 }));
  });

  it('holds flat memory and frees its own tensors, also where steps are skipped', async () => {
    const model = network();
    const data = batches();
    const optimizer = sgdOf(model);
    const bytes: number[] = [];
    const settings = { optimizer, epochs: 3, validation: data, accumulate: 2 };
    await fitNetwork(model, data, { ...settings, callbacks: { onStep: () => bytes.push(backend.memory().bytes) } });
    expect(new Set(bytes.slice(1)).size).toBe(1);
    const before = backend.memory().bytes;
    const loss = (output: Tensor, labels: Tensor) => crossEntropy(output, labels).mul(Number.POSITIVE_INFINITY);
    const history = await fitNetwork(model, data, { ...settings, loss, callbacks: { onNonFinite: () => 'skip' } });
    expect(history.map(({ skipped }) => skipped)).toEqual([3, 3, 3]);
    expect(backend.memory().bytes).toBe(before);
  });

  it('measures the validation data as in evaluation mode', async () => {
    const model = network(1, 0.5);
    const [entry] = await fitNetwork(model, batches(), { optimizer: sgdOf(model), epochs: 1, validation: batches(3) });
    model.eval();
    let [sum, errors] = [0, 0];
    for (const { images, labels } of batches(3)) {
      const output = noGrad(() => model.forward(images));
      sum += noGrad(() => crossEntropy(output, labels)).itemSync();
      errors += countErrors(output.dataSync(), labels.dataSync(), CLASSES, 1);
    }
    expect(entry.valLoss).toBeCloseTo(sum / 3, 12);
    expect(entry.valTop1Error).toBe(errors / (3 * SIZE));
  });

  it('accumulates batches to the gradient of their mean loss, a shorter one by its share', async () => {
    const [own, other] = [network(), network()];
    await fitNetwork(own, [batch(0), batch(1, 2)], { optimizer: sgdOf(own), epochs: 1, accumulate: 2 });
    const [long, short] = [batch(0), batch(1, 2)];
    const both = {
      images: tensor(Float32Array.from([...long.images.dataSync(), ...short.images.dataSync()]), [6, 2, 3]),
      labels: [...long.labels.dataSync(), ...short.labels.dataSync()],
    };
    await fitNetwork(other, [both], { optimizer: sgdOf(other), epochs: 1 });
    const [a, b] = [(await weights(own)).flat(), (await weights(other)).flat()];
    expect(Math.max(...a.map((value, i) => Math.abs(value - b[i])))).toBeLessThan(1e-6);
    expect(a).not.toEqual((await weights(network())).flat());
  });

  it('limits the norm of the gradient', async () => {
    const model = network();
    const before = (await weights(model)).flat();
    await fitNetwork(model, [batch(0)], { optimizer: new SGD(model.parameters(), { lr: 1 }), epochs: 1, clipGradNorm: 0.01 });
    const moved = Math.hypot(...(await weights(model)).flat().map((value, i) => value - before[i]));
    expect(moved).toBeCloseTo(0.01, 4);
  });

  it('steps schedules after every update or every epoch, a plateau by the validation loss', async () => {
    const rates: number[] = [];
    const model = network();
    const optimizer = sgdOf(model, 0.1);
    const schedule = [new LinearWarmup(optimizer, { totalIters: 4, startFactor: 0.2 }), new StepLR(optimizer, { stepSize: 1, gamma: 0.5 })];
    const callbacks = { onStep: ({ lr }: { lr: number }) => rates.push(Number(lr.toPrecision(6))) };
    await fitNetwork(model, batches(3), { optimizer, epochs: 2, schedule, callbacks });
    expect(rates).toEqual([0.02, 0.04, 0.06, 0.04, 0.05, 0.05]);
    const measures: (number | undefined)[] = [];
    const watched = {
      interval: 'epoch' as const,
      step: (measure?: number) => measures.push(measure),
      stateDict: () => ({}),
      loadStateDict() {},
    };
    const history = await fitNetwork(model, batches(3), { optimizer, epochs: 2, schedule: watched, validation: batches(1) });
    expect(measures).toEqual(history.map(({ valLoss }) => valLoss));
    const plateau = new ReduceLROnPlateau(optimizer, { patience: 0, factor: 0.5, threshold: 1 });
    const falling = await fitNetwork(model, batches(3), { optimizer, epochs: 3, schedule: plateau });
    expect(falling[2].lr).toBeLessThan(falling[0].lr);
  });

  it('restores the mode of every module, also after a failure', async () => {
    const model = network();
    model.train();
    model.layer('drop').training = false;
    let during = false;
    const callbacks = { onStep: () => (during = model.layer('drop').training) };
    await fitNetwork(model, batches(1), { optimizer: sgdOf(model), epochs: 1, validation: batches(1), callbacks });
    expect(during).toBe(true);
    expect(model.training).toBe(true);
    expect(model.layer('drop').training).toBe(false);
    model.eval();
    const failing = { onStep: () => Promise.reject(new Error('mine')) };
    await expect(fitNetwork(model, batches(1), { optimizer: sgdOf(model), epochs: 1, callbacks: failing })).rejects.toThrow('mine');
    expect(model.training).toBe(false);
  });
});

describe('fit ends', () => {
  const settings = (model: Module, more: Partial<FitSettings>): FitSettings => ({ optimizer: sgdOf(model), epochs: 4, ...more });

  it('at a signal, after the step, with the history of the finished epochs', async () => {
    const model = network();
    const controller = new AbortController();
    const steps: number[] = [];
    const callbacks = {
      onStep: ({ step }: { step: number }) => {
        steps.push(step);
        if (step === 7) controller.abort();
      },
    };
    const history = await fitNetwork(model, batches(), settings(model, { signal: controller.signal, callbacks }));
    expect(history.map(({ epoch }) => epoch)).toEqual([1]);
    expect(steps.at(-1)).toBe(7);
    expect(await fitNetwork(model, batches(), settings(model, { signal: controller.signal }))).toEqual([]);
  });

  it("where a callback answers 'stop'", async () => {
    const model = network();
    expect(
      await fitNetwork(model, batches(), settings(model, { callbacks: { onEpoch: ({ epoch }) => epoch === 2 && 'stop' } })),
    ).toHaveLength(2);
    expect(await fitNetwork(model, batches(), settings(model, { callbacks: { onStep: ({ step }) => step === 6 && 'stop' } }))).toHaveLength(
      1,
    );
  });

  it.each(['immediate', 'late'])('with a NonFiniteError where the loss is NaN (%s reads), unless a callback answers', async (reads) => {
    const on = reads === 'late' ? queueing() : backend;
    const model = withBackend(on, () => network());
    const bad = { images: tensor(new Float32Array(SIZE * FEATURES).fill(Number.NaN), [SIZE, 2, 3]), labels: [0, 1, 2, 0] };
    const data = [batch(0), batch(1), bad, batch(2)];
    const failed = await fitNetwork(model, data, settings(model, {})).catch((error) => error);
    expect(failed).toBeInstanceOf(NonFiniteError);
    expect(failed.message).toMatch(
      /^fit: epoch 1, step 3: the loss is NaN, expected a finite number; try a lower learning rate \(it is 0.2\)/,
    );
    expect(failed.at).toMatchObject({ epoch: 1, step: 3 });
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);

    const skipping = withBackend(on, () => network());
    const found: number[] = [];
    const onNonFinite = ({ step }: { step: number }) => {
      found.push(step);
      return 'skip';
    };
    const history = await fitNetwork(skipping, data, settings(skipping, { epochs: 2, callbacks: { onNonFinite } }));
    expect(found).toEqual([3, 7]);
    expect(history.map(({ skipped }) => skipped)).toEqual([1, 1]);
    const without = network();
    await fitNetwork(without, [batch(0), batch(1), batch(2)], settings(without, { epochs: 2 }));
    expect(await weights(skipping)).toEqual(await weights(without));
    const stopped = network();
    expect(await fitNetwork(stopped, data, settings(stopped, { callbacks: { onNonFinite: () => 'stop' } }))).toEqual([]);
  });
});

describe('fit refuses', () => {
  const attempt = (more: Record<string, unknown>, data: unknown = batches(1), model: Module = network()) =>
    fitNetwork(model, data as FitBatch[], { optimizer: sgdOf(model), epochs: 2, ...more } as FitSettings);
  const once = function* () {
    yield* batches(1);
  };

  it.each<[string, Record<string, unknown>, (() => unknown) | undefined, RegExp]>([
    ['an unknown setting', { optimiser: 1 }, undefined, /unknown option 'optimiser'.*did you mean 'optimizer'/],
    ['no optimiser', { optimizer: {} }, undefined, /optimizer is an object, expected an optimiser, such as new SGD/],
    ['half an epoch', { epochs: 0.5 }, undefined, /epochs is 0.5/],
    ['an unknown callback', { callbacks: { onstep: () => 0 } }, undefined, /callbacks: unknown option 'onstep'.*'onStep'/],
    ['a norm of 0', { clipGradNorm: 0 }, undefined, /clipGradNorm is 0/],
    ['an iterator for two epochs', {}, () => once(), /data can be iterated only once, but there are 2 epochs; pass a function/],
    ['a validation iterator', { validation: once() }, undefined, /validation can be iterated only once/],
    [
      'a function that gives its iterator twice',
      {},
      () =>
        (
          (iterator) => () =>
            iterator
        )(once()),
      /data of epoch 2 has no batches/,
    ],
    ['no batches', {}, () => [], /data of epoch 1 has no batches/],
    ['a number', {}, () => 3, /data is 3, expected an iterable/],
    ['examples instead of batches', {}, () => [[{ image: 1 }]], /batch 0: images are undefined, expected a Tensor \[N, ...\]/],
    ['labels of another length', {}, () => [{ images: batch(0).images, labels: [1] }], /got images \[4,2,3\] and 1 labels/],
    [
      'a class that does not exist',
      {},
      () => [{ images: batch(0).images, labels: [0, 1, 2, 3] }],
      /label 3 at index 3 is outside the 3 classes/,
    ],
    ['a loss of several elements', { loss: (output: Tensor) => output }, undefined, /the loss has shape \[4,3\], expected one element/],
    [
      'an optimiser of another model',
      { optimizer: sgdOf(withBackend(createReferenceBackend(), () => network())) },
      undefined,
      /no parameter of the model/,
    ],
  ])('%s', async (_, more, data, message) => {
    await expect(attempt(more, data ? data() : undefined)).rejects.toThrow(message);
  });

  it('takes an iterator for a single epoch', async () => {
    expect(await attempt({ epochs: 1 }, once())).toHaveLength(1);
  });

  it('anything but a module', async () => {
    await expect(attempt({}, batches(1), { parameters: () => [] } as never)).rejects.toThrow(ValueError);
  });
});
