/** The rules of the contract of backends, shown on the deferred backend: queueing, late errors, aliases, lifetimes, a lost device. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Backend, IN_PLACE, type Storage } from '../../../src/backend/backend.js';
import { BackendError, DeviceLostError, DisposedError, NonFiniteError, ValueError } from '../../../src/backend/errors.js';
import { profile } from '../../../src/profile/index.js';
import {
  crossEntropy,
  indexSelect,
  log,
  noGrad,
  ones,
  setNanCheck,
  Tensor,
  tensor,
  withBackend,
  zeros,
} from '../../../src/tensor/index.js';
import { createDeferredBackend, type DeferredBackend } from './deferred.js';

let backend: DeferredBackend;
beforeEach(() => {
  backend = createDeferredBackend();
});
afterEach(() => {
  setNanCheck(false);
  backend.dispose();
});

function put(values: readonly number[]): Storage {
  const storage = backend.allocate('float32', values.length);
  backend.write(storage, Float32Array.from(values));
  return storage;
}

const on = <T>(fn: () => T): T => withBackend(backend, fn);

describe('queueing', () => {
  it('runs nothing before a read, and everything before the read resolves', async () => {
    const y = on(() => ones([2]).add(tensor([1, 2])));
    expect(backend.queued()).toBeGreaterThan(0);
    expect(await backend.read(y.storage)).toEqual(Float32Array.of(2, 3));
    expect(backend.queued()).toBe(0);
  });

  it('has no synchronous read; the error says what to do', () => {
    const y = on(() => ones([2]).mul(2));
    expect(backend.capabilities.syncRead).toBe(false);
    expect(() => backend.readSync(y.storage)).toThrow(BackendError);
    expect(() => y.dataSync()).toThrow('dataSync: the deferred backend cannot read synchronously; use `await tensor.data()`');
  });

  it('copies data at the call: later changes have no effect', async () => {
    const data = Float32Array.of(1, 2);
    const x = backend.allocate('float32', 2);
    backend.write(x, data);
    data.fill(9);
    const before = backend.read(x);
    backend.fill(x, 5);
    const after = backend.read(x);
    backend.release(x);
    expect([await before, await after]).toEqual([Float32Array.of(1, 2), Float32Array.of(5, 5)]);
  });
});

describe('errors', () => {
  it('reject the next synchronize or read: only the first error, and once', async () => {
    const x = put([1, Number.NaN]);
    backend.checkFinite(x, 'first');
    backend.checkFinite(x, 'second');
    await expect(backend.synchronize()).rejects.toThrow(new NonFiniteError('first', 1, 2));
    await backend.synchronize();
    backend.checkFinite(x, 'third');
    await expect(backend.read(x)).rejects.toThrow(/^third: /);
    expect(await backend.read(x)).toEqual(Float32Array.of(1, Number.NaN));
  });

  it('of the NaN check name the operation, forwards and back', async () => {
    setNanCheck(true);
    const y = on(() => noGrad(() => log(tensor([-1, 1]).mul(1)).add(1)));
    await expect(y.data()).rejects.toThrow(/^log: 1 of 2 output values are NaN or infinite/);
    const x = on(() => tensor([0, 1], [2], { requiresGrad: true }));
    const loss = on(() => x.sqrt().sum());
    loss.backward();
    await expect(loss.item()).rejects.toThrow(/^sqrt backward: 1 of 2/);
    expect(await loss.item()).toBe(1);
  });

  it('of labels and indices come at once for data on the host, and later for results', async () => {
    const logits = on(() => zeros([2, 3]));
    expect(() => on(() => crossEntropy(logits, tensor(Int32Array.of(0, 3))))).toThrow(ValueError);
    const labels = on(() => tensor(Int32Array.of(0, 1)).add(tensor(Int32Array.of(0, 2))));
    const loss = on(() => crossEntropy(logits, labels));
    await expect(loss.item()).rejects.toThrow('crossEntropy: label 3 at index 1 is outside the 3 classes, expected 0 to 2');
    const picked = on(() => indexSelect(tensor([5, 6]), labels));
    await expect(picked.data()).rejects.toThrow(/^indexSelect: index 3 at position 1 is outside shape \[2\]/);
  });
});

describe('aliases', () => {
  it('are refused, unless the kernel is asked explicitly to work in place', async () => {
    const x = put([1, -2]);
    const p = { shape: [2], stridesA: [1], stridesB: [1] };
    for (const call of [
      () => backend.relu(x, x),
      () => backend.affine(x, x, 2, 0),
      () => backend.binary(x, x, put([1, 1]), 'add', p),
      () => backend.binary(x, put([1, 1]), x, 'add', p),
      () => backend.reluGrad(x, x, put([1, 1]), 'mask'),
      () => backend.maxPool2d(x, x, put([1]), null as never),
    ])
      expect(call).toThrow(/got one storage as arguments \d and \d, expected different ones; pass IN_PLACE/);
    const rates = { lr: 1, alpha: 0.5, eps: 1, weightDecay: 0, momentum: 0 };
    expect(() => backend.rmsprop({ w: x, square: put([0, 0]), mean: null, buffer: null }, { grad: x }, rates)).toThrow(
      'rmsprop: got one storage as arguments 0.w and 1.grad, expected different ones',
    );
    expect(() => backend.rmsprop({ w: x, square: x, mean: null, buffer: null }, { grad: put([1, 1]) }, rates)).toThrow(
      'rmsprop: got one storage as arguments 0.square and 0.w, expected different ones',
    );
    backend.relu(x, IN_PLACE);
    backend.binary(x, IN_PLACE, IN_PLACE, 'add', p);
    expect(await backend.read(x)).toEqual(Float32Array.of(2, 0));
    const y = put([0, 0]);
    backend.binary(y, x, x, 'mul', p); // inputs that are only read may be the same
    expect(await backend.read(y)).toEqual(Float32Array.of(4, 0));
  });
});

describe('lifetimes', () => {
  it('a released storage can be used by work that was queued before, but not afterwards', async () => {
    const [x, y] = [put([1, 2]), put([0, 0])];
    backend.affine(y, x, 3, 0);
    backend.release(x);
    expect(() => backend.affine(y, x, 3, 0)).toThrow(DisposedError);
    expect(() => backend.release(x)).toThrow(DisposedError);
    expect(await backend.read(y)).toEqual(Float32Array.of(3, 6));
  });

  it('a lost device rejects everything except releases and queries', async () => {
    const x = put([1]);
    const pending = backend.read(x);
    backend.lose();
    await expect(pending).rejects.toThrow(DeviceLostError);
    for (const call of [() => backend.relu(x, IN_PLACE), () => backend.allocate('float32', 1), () => backend.write(x, Float32Array.of(1))])
      expect(call).toThrow(DeviceLostError);
    await expect(backend.read(x)).rejects.toThrow(DeviceLostError);
    await expect(backend.synchronize()).rejects.toThrow(DeviceLostError);
    backend.release(x);
    expect(backend.memory().bytes).toBe(0);
    expect(backend.info().backend).toBe('reference');
  });
});

describe('profiles', () => {
  it('wait for the queue, and take the durations from the backend', async () => {
    const found = await profile(() => void on(() => ones([4]).mul(2)), { backend });
    expect(found.rows.map(({ kernel }) => kernel)).toEqual(expect.arrayContaining(['fill', 'binary']));
    expect(found.rows.every(({ ms }) => ms >= 0)).toBe(true);
    expect(found.threads).toEqual([expect.objectContaining({ name: 'queue', busyMs: expect.closeTo(found.kernelMs, 6) })]);
    expect(backend.queued()).toBe(0);
  });
});

it('accepts the options of a backend', async () => {
  const given: Backend = backend;
  const x = tensor([1, 2], [2], { backend: given });
  expect(x).toBeInstanceOf(Tensor);
  expect(await x.mul(2).data()).toEqual(Float32Array.of(2, 4));
});
