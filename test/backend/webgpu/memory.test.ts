/** Memory, workgroups and options of the WebGPU backend, without a device: a fake one only creates and destroys buffers. */
import { describe, expect, it } from 'vitest';
import { BackendError, DisposedError, DTypeError, OutOfMemoryError, ValueError } from '../../../src/backend/errors.js';
import { GpuMemory } from '../../../src/backend/webgpu/buffers.js';
import { Faults } from '../../../src/backend/webgpu/faults.js';
import { flatGroups, type Kernel } from '../../../src/backend/webgpu/kernel.js';
import type { GpuDeviceLike } from '../../../src/backend/webgpu/types.js';
import { shaderOf } from '../../../src/backend/webgpu/wgsl.js';
import { createBackend } from '../../../src/index.js';

/** Memory on a fake device, which has no memory for buffers of `failing` bytes. */
function memoryOf({ maxBytes = Number.POSITIVE_INFINITY, failing = -1 } = {}) {
  const events: string[] = [];
  let scope: { message: string } | null = null;
  const device = {
    pushErrorScope: () => undefined,
    popErrorScope: async () => scope,
    createBuffer({ size }: { size: number }) {
      events.push(`create ${size}`);
      scope = size === failing ? { message: 'no memory' } : null;
      return { size, destroy: () => events.push(`destroy ${size}`) };
    },
  } as unknown as GpuDeviceLike;
  const faults = new Faults();
  const open = { number: 1, flush: () => events.push('flush'), excuse: () => events.push('excuse') };
  const memory = new GpuMemory(device, { maxBufferBytes: 4096, maxBytes }, faults, open, () => events.push('forget'));
  return { memory, faults, events };
}

describe('memory', () => {
  it('pads buffers to 16 bytes and reuses released ones of the same size, the oldest first', () => {
    const { memory, events } = memoryOf();
    const [a, b] = [memory.allocate('float32', 5), memory.allocate('uint8', 20)];
    const [first, second] = [a.block!.id, b.block!.id];
    memory.release(b);
    memory.release(a);
    expect(memory.allocate('int32', 6).block!.id).toBe(first);
    expect(memory.allocate('int32', 7).block!.id).toBe(second);
    expect(memory.allocate('float32', 0).block!.bytes).toBe(16);
    expect(events).toEqual(['create 32', 'create 32', 'create 16']);
    expect(memory.memory()).toMatchObject({ bytes: 52, buffers: 3, reservedBytes: 80 });
  });

  it('keeps to maxBytes: destroys unused buffers, after submitting the commands that name them, then refuses', () => {
    const { memory, events } = memoryOf({ maxBytes: 1024 });
    const a = memory.allocate('float32', 128);
    a.block!.batch = 1;
    memory.release(a);
    memory.allocate('float32', 200);
    expect(events).toEqual(['create 512', 'flush', 'forget', 'destroy 512', 'create 800']);
    expect(() => memory.allocate('float32', 64)).toThrow(OutOfMemoryError);
    expect(() => memory.allocate('float32', 1025)).toThrow(/micro-batches/);
  });

  it('reports a buffer that the device could not allocate at the next read, once', async () => {
    const { memory, faults, events } = memoryOf({ failing: 64 });
    memory.release(memory.allocate('float32', 4));
    const x = memory.allocate('float32', 16);
    await faults.settled();
    expect(x.block!.failure).toBeInstanceOf(OutOfMemoryError);
    expect(events.slice(-3)).toEqual(['excuse', 'forget', 'destroy 16']);
    expect(() => faults.take()).toThrow(OutOfMemoryError);
    faults.take();
    memory.release(x);
    expect(memory.memory().reservedBytes).toBe(0);
  });

  it('refuses other element types, released storages and storages of other backends', () => {
    const { memory } = memoryOf();
    expect(() => memory.allocate('float64', 1)).toThrow(DTypeError);
    const x = memory.allocate('float32', 1);
    expect(() => memoryOf().memory.own(x)).toThrow(BackendError);
    memory.release(x);
    expect(() => memory.own(x)).toThrow(DisposedError);
  });
});

describe('kernels', () => {
  it('fold workgroups to two dimensions beyond 65,535', () => {
    expect(flatGroups(1)).toEqual([1, 1]);
    expect(flatGroups(65535 * 256)).toEqual([65535, 1]);
    const [x, y] = flatGroups(65535 * 256 + 1);
    expect(x * y).toBeGreaterThanOrEqual(65536);
    expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
  });

  it('get the declarations of their buffers and parameters', () => {
    const kernel: Kernel = {
      name: 'scale',
      key: '',
      buffers: [{ name: 'y', type: 'array<f32>', access: 'read_write' }],
      params: [['count', 'u32']],
      code: () => 'fn main() {}',
    };
    expect(shaderOf(kernel).split('\n')).toEqual([
      '@group(0) @binding(0) var<storage, read_write> y: array<f32>;',
      'struct Params { count: u32 }',
      '@group(0) @binding(1) var<uniform> p: Params;',
      'fn main() {}',
    ]);
  });
});

describe('errors', () => {
  it('that poison stay; others are thrown once, the first of them', () => {
    const faults = new Faults();
    faults.report(new ValueError('first'));
    faults.report(new ValueError('second'));
    expect(() => faults.take()).toThrow('first');
    faults.take();
    faults.poison(new BackendError('refused'));
    for (let i = 0; i < 2; i++) expect(() => faults.take()).toThrow('refused');
    faults.lose('reset');
    expect(() => faults.check()).toThrow(/the device was lost \(reset\)/);
  });
});

describe('options', () => {
  it('are checked, and an implementation without an adapter or a device is named', async () => {
    await expect(createBackend({ backend: 'webgpu', gpu: {} as never })).rejects.toThrow(ValueError);
    await expect(createBackend({ backend: 'webgpu', maxBytes: 0.5 })).rejects.toThrow(/maxBytes/);
    await expect(createBackend({ backend: 'webgpu', gpu: { requestAdapter: async () => null } })).rejects.toThrow(/found no adapter/);
    const adapter = { limits: {}, features: new Set(), requestDevice: () => Promise.reject(new Error('refused')) };
    await expect(createBackend({ backend: 'webgpu', gpu: { requestAdapter: async () => adapter } })).rejects.toThrow(/no device: refused/);
  });
});
