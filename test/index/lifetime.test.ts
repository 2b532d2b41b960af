/** The life of the engine: init() twice, replaced backends, and shutdown(). */
import { afterEach, describe, expect, it } from 'vitest';
import * as zf from '../../src/index.js';
import { context } from '../../src/tensor/context.js';

afterEach(zf.shutdown);

describe('init() again', () => {
  it('with equal options returns the same backend, also at the same time, and models go on working', async () => {
    const [a, b] = await Promise.all([zf.init({ threads: 1 }), zf.init({ threads: 1, mode: undefined })]);
    expect(b).toBe(a);
    const model = new zf.Linear(2, 1);
    expect(await zf.init({ threads: 1, mode: 'strict' })).toBe(a);
    expect(model.forward(zf.zeros([1, 2])).shape).toEqual([1, 1]);
    zf.withBackend(await zf.createBackend({ backend: 'reference' }), () => zf.zeros([1]).dispose());
    expect(zf.defaultBackend()).toBe(a);
  });

  it('with other options replaces the backend, which ends with its last tensor', async () => {
    const first = await zf.init({ threads: 1 });
    const model = new zf.Linear(2, 1);
    const x = zf.zeros([1, 2]);
    const second = await zf.init({ backend: 'reference' });
    expect(second).not.toBe(first);
    expect(zf.zeros([1]).backend).toBe(second);
    const y = model.forward(x);
    expect(y.backend).toBe(first);
    y.dispose();
    x.dispose();
    expect(first.allocate('float32', 1).size).toBe(1);
    model.dispose();
    expect(() => first.allocate('float32', 1)).toThrow(/was disposed of/);
    expect(context.retired.size).toBe(0);
  });

  it('with other options and without tensors ends the replaced backend at once; a failed call changes nothing', async () => {
    const first = await zf.init({ backend: 'reference' });
    await expect(zf.init({ backend: 'webgpu' })).rejects.toThrow(zf.ZfnetError);
    expect(await zf.init({ backend: 'reference' })).toBe(first);
    await zf.init({ threads: 1 });
    expect(() => first.allocate('float32', 1)).toThrow(/was disposed of/);
  });

  it('limits the number of threads', async () => {
    await expect(zf.init({ threads: 257 })).rejects.toThrow(/threads is 257, expected 'auto' or a whole number from 1 to 256/);
  });
});

describe('shutdown()', () => {
  it('disposes of all backends of init(), after which init() starts again', async () => {
    const first = await zf.init({ threads: 1 });
    const kept = zf.zeros([1]);
    const second = await zf.init({ backend: 'reference' });
    await zf.shutdown();
    for (const backend of [first, second]) expect(() => backend.allocate('float32', 1)).toThrow(/was disposed of/);
    expect(() => zf.zeros([1])).toThrow('the engine is not ready: call `await init()` first');
    expect(() => kept.add(1)).toThrow(zf.BackendError);
    await zf.shutdown();
    const third = await zf.init({ threads: 1 });
    expect(third).not.toBe(first);
    expect(zf.zeros([1]).dataSync()[0]).toBe(0);
  });
});
