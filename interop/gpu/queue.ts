/** The queue: order of uploads and kernels, shared submissions, aliases, memory, and the errors of the device. */
import { type Backend, IN_PLACE } from '../../src/backend/backend.js';
import { BackendError, DeviceLostError, DisposedError, NonFiniteError, OutOfMemoryError, ValueError } from '../../src/backend/errors.js';
import { openDevice } from '../../src/backend/webgpu/device.js';
import { webgpuBackend } from '../../src/backend/webgpu/index.js';
import type { Kernel } from '../../src/backend/webgpu/kernel.js';
import type { DeviceQueue } from '../../src/backend/webgpu/queue.js';
import { createBackend } from '../../src/index.js';
import { equal, holds, put, rejects } from './assert.js';
import { counting } from './counting.js';
import { check, type SuiteContext } from './suite.js';

const FLAT = { shape: [3], stridesA: [1], stridesB: [1] };

async function order(backend: Backend, context: SuiteContext): Promise<void> {
  await check(context, 'an upload does not overtake recorded kernels', async () => {
    const x = put(backend, [1, 2, 3]);
    const y = backend.allocate('float32', 3);
    backend.affine(y, x, 10, 0);
    backend.write(x, Float32Array.of(7, 8, 9));
    const z = backend.allocate('float32', 3);
    backend.binary(z, x, y, 'add', FLAT);
    equal((await backend.read(z)).join(), '17,28,39');
  });
  await check(context, 'a read returns the contents at the time of the call', async () => {
    const x = put(backend, [1, 2, 3]);
    const before = backend.read(x);
    backend.affine(x, IN_PLACE, 2, 0);
    const after = backend.read(x);
    backend.release(x);
    equal((await before).join(), '1,2,3');
    equal((await after).join(), '2,4,6');
  });
  await check(context, 'released memory is reused without changing queued work', async () => {
    const x = put(backend, [1, 2, 3]);
    const y = backend.allocate('float32', 3);
    backend.affine(y, x, 3, 0);
    backend.release(x);
    const z = backend.allocate('float32', 3);
    backend.write(z, Float32Array.of(0, 0, 0));
    equal((await backend.read(y)).join(), '3,6,9');
  });
  await check(context, 'operands in place, and one storage as both operands', async () => {
    const x = put(backend, [1, -2, 3]);
    backend.binary(x, IN_PLACE, IN_PLACE, 'mul', FLAT);
    const y = backend.allocate('float32', 3);
    backend.binary(y, x, x, 'add', FLAT);
    equal((await backend.read(y)).join(), '2,8,18');
  });
  await check(context, 'empty storages', async () => {
    const empty = backend.allocate('float32', 0);
    backend.relu(empty, IN_PLACE);
    backend.write(empty, new Float32Array(0));
    equal((await backend.read(empty)).length, 0);
  });
  await check(context, 'more than 65,535 workgroups', async () => {
    const size = 2 ** 26 + 5;
    const big = backend.allocate('uint8', size);
    backend.fill(big, 3);
    const part = backend.allocate('uint8', 5);
    backend.stridedCopy(part, big, { shape: [5], yOffset: 0, yStrides: [1], xOffset: size - 5, xStrides: [1] });
    equal((await backend.read(part)).join(), '3,3,3,3,3');
    backend.release(big);
  });
}

async function checks(backend: Backend, context: SuiteContext): Promise<void> {
  await check(context, 'a failed check rejects the next read, once, and names the operation', async () => {
    const x = put(backend, [1, Number.NaN, Infinity]);
    backend.checkFinite(x, 'first');
    backend.checkFinite(x, 'second');
    await rejects(backend.synchronize(), NonFiniteError, /^first: 2 of 3 output values/);
    await backend.synchronize();
    equal((await backend.read(x)).length, 3);
  });
  await check(context, 'an index outside rejects with its value and its first position', async () => {
    const x = put(backend, [0, 4, -7, 9], 'int32');
    backend.checkIndices(x, 5, (index, position) => `index ${index} at ${position}`);
    await rejects(backend.read(x), ValueError, /^index -7 at 2$/);
    backend.checkIndices(x, 10, (index, position) => `index ${index} at ${position}`);
    await rejects(backend.read(x), ValueError, /^index -7 at 2$/);
  });
  await check(context, 'many checks in one batch', async () => {
    const x = put(backend, [1]);
    for (let i = 0; i < 600; i++) backend.checkFinite(x, `check ${i}`);
    const bad = put(backend, [Number.NaN]);
    backend.checkFinite(bad, 'last');
    await rejects(backend.synchronize(), NonFiniteError, /^last: /);
  });
}

async function memory(context: SuiteContext): Promise<void> {
  await check(context, 'a storage beyond the limits of the device is refused at once, with advice', async () => {
    const backend = await createBackend({ backend: 'webgpu', gpu: context.gpu });
    const size = Math.ceil((backend.capabilities.maxBufferBytes + 16) / 4);
    let error: unknown;
    try {
      backend.allocate('float32', size);
    } catch (caught) {
      error = caught;
    }
    holds(error instanceof OutOfMemoryError && /micro-batches/.test(error.message), `got ${error}`);
    backend.dispose();
  });
  await check(context, 'the option maxBytes limits all buffers, after the pool was emptied', async () => {
    const backend = await createBackend({ backend: 'webgpu', gpu: context.gpu, maxBytes: 4096 });
    const first = backend.allocate('float32', 512);
    backend.release(first);
    const second = backend.allocate('float32', 800);
    backend.fill(second, 2);
    let error: unknown;
    try {
      backend.allocate('float32', 512);
    } catch (caught) {
      error = caught;
    }
    holds(error instanceof OutOfMemoryError, `got ${error}`);
    equal((await backend.read(second))[799], 2);
    equal(backend.memory().reservedBytes, 3200);
    backend.dispose();
  });
  await check(context, 'a device without memory rejects the next read, and goes on', async () => {
    const backend = await createBackend({ backend: 'webgpu', gpu: context.gpu });
    const most = Math.floor(backend.capabilities.maxBufferBytes / 4);
    const live = [];
    let error: unknown = null;
    for (let i = 0; i < 64 && error === null; i++) {
      try {
        const big = backend.allocate('float32', most);
        live.push(big);
        // Only allocated, so that a device that commits memory lazily does not fill the machine.
        await backend.synchronize();
      } catch (caught) {
        error = caught;
      }
    }
    holds(error instanceof OutOfMemoryError, `got ${error}`);
    for (const storage of live) backend.release(storage);
    const x = put(backend, [4]);
    equal((await backend.read(x))[0], 4);
    backend.dispose();
  });
}

const BROKEN: Kernel = {
  name: 'broken kernel',
  key: '',
  buffers: [{ name: 'y', type: 'array<f32>', access: 'read_write' }],
  params: [],
  code: () => '@compute @workgroup_size(1) fn main() { y[0] = missing; }',
};
const ALIASED: Kernel = {
  name: 'aliased kernel',
  key: '',
  buffers: [
    { name: 'y', type: 'array<f32>', access: 'read_write' },
    { name: 'x', type: 'array<f32>', access: 'read' },
  ],
  params: [],
  code: () => '@compute @workgroup_size(1) fn main() { y[0] = x[0]; }',
};

async function faults(context: SuiteContext): Promise<void> {
  for (const [name, kernel, storages] of [
    ['a shader that does not compile', BROKEN, 1],
    ['a dispatch that the device refuses', ALIASED, 2],
  ] as const)
    await check(context, `${name} poisons the backend: every read names the kernel`, async () => {
      const opened = await openDevice(context.gpu);
      let queue: DeviceQueue | undefined;
      const backend = webgpuBackend(opened, {}, (made) => {
        queue = made;
      });
      const x = put(backend, [1]);
      equal((await backend.read(x))[0], 1);
      const owned = queue!.own(x);
      queue!.launch(kernel, Array(storages).fill(owned), [], [1]);
      await rejects(backend.read(x), BackendError, new RegExp(kernel.name));
      await rejects(backend.synchronize(), BackendError, new RegExp(kernel.name));
      backend.dispose();
    });
  await check(context, 'a lost device rejects every call but release, memory and info', async () => {
    const counted = counting(context.gpu);
    const backend = await createBackend({ backend: 'webgpu', gpu: counted.gpu });
    const x = put(backend, [1]);
    await backend.read(x);
    counted.device().destroy();
    await rejects(backend.read(x), DeviceLostError, /was lost/);
    for (const call of [() => backend.allocate('float32', 1), () => backend.relu(x, IN_PLACE), () => backend.write(x, Float32Array.of(1))])
      await rejects((async () => call())(), DeviceLostError, /resume from a checkpoint/);
    await rejects(backend.synchronize(), DeviceLostError, /was lost/);
    backend.release(x);
    equal(backend.memory().buffers, 0);
    equal(backend.info().backend, 'webgpu');
    backend.dispose();
  });
  await check(context, 'a disposed backend refuses with a BackendError, and a pending read ends', async () => {
    const backend = await createBackend({ backend: 'webgpu', gpu: context.gpu });
    const x = put(backend, [1]);
    const pending = backend.read(x);
    backend.dispose();
    await rejects(pending, BackendError, /disposed of/);
    await rejects(backend.read(x), BackendError, /disposed of/);
    backend.release(x);
  });
  await check(context, 'storages of other backends and released storages are refused', async () => {
    const [a, b] = [
      await createBackend({ backend: 'webgpu', gpu: context.gpu }),
      await createBackend({ backend: 'webgpu', gpu: context.gpu }),
    ];
    const x = put(a, [1]);
    await rejects((async () => b.relu(x, IN_PLACE))(), BackendError, /another backend/);
    a.release(x);
    await rejects((async () => a.relu(x, IN_PLACE))(), DisposedError, /already released/);
    a.dispose();
    b.dispose();
  });
}

export async function queue(context: SuiteContext): Promise<void> {
  const counted = counting(context.gpu);
  const backend = await createBackend({ backend: 'webgpu', gpu: counted.gpu });
  await order(backend, context);
  await checks(backend, context);
  await check(context, 'reads of one turn share a submission', async () => {
    const storages = [1, 2, 3, 4].map((value) => put(backend, [value]));
    await backend.synchronize();
    const before = counted.counts.submits;
    await Promise.all(storages.map((storage) => backend.read(storage)));
    equal(counted.counts.submits - before, 1, 'number of submissions');
  });
  backend.dispose();
  await memory(context);
  await faults(context);
}
