/** An implementation of WebGPU whose devices count what is created and submitted, and can be made to fail. */
import type { GpuAdapterLike, GpuDeviceLike, GpuLike } from '../../src/backend/webgpu/types.js';

/** Numbers of calls. */
export interface Counts {
  buffers: number;
  groups: number;
  pipelines: number;
  modules: number;
  dispatches: number;
  submits: number;
  maps: number;
}

export interface CountingGpu {
  gpu: GpuLike;
  counts: Counts;
  /** The device of the last backend. */
  device: () => GpuDeviceLike;
}

type Method = (this: unknown, ...args: never[]) => unknown;

/** Replaces a method of an object of WebGPU by one that does something before and something with the result. */
function wrap(target: object, name: string, before: (args: readonly unknown[]) => void, after?: (result: never) => void): void {
  const original = (target as Record<string, Method>)[name];
  Object.defineProperty(target, name, {
    configurable: true,
    value: (...args: never[]) => {
      before(args);
      const result = original.apply(target, args);
      after?.(result as never);
      return result;
    },
  });
}

/** Wraps an implementation. */
export function counting(real: GpuLike): CountingGpu {
  const counts: Counts = { buffers: 0, groups: 0, pipelines: 0, modules: 0, dispatches: 0, submits: 0, maps: 0 };
  const add = (name: keyof Counts) => () => {
    counts[name]++;
  };
  let last: GpuDeviceLike;
  const watch = (device: GpuDeviceLike) => {
    last = device;
    wrap(device, 'createBuffer', add('buffers'), (buffer: object) => wrap(buffer, 'mapAsync', add('maps')));
    wrap(device, 'createBindGroup', add('groups'));
    wrap(device, 'createComputePipeline', add('pipelines'));
    wrap(device, 'createComputePipelineAsync', add('pipelines'));
    wrap(device, 'createShaderModule', add('modules'));
    wrap(
      device,
      'createCommandEncoder',
      () => undefined,
      (encoder: object) =>
        wrap(
          encoder,
          'beginComputePass',
          () => undefined,
          (pass: object) => wrap(pass, 'dispatchWorkgroups', add('dispatches')),
        ),
    );
    wrap(device.queue, 'submit', add('submits'));
    return device;
  };
  const gpu: GpuLike = {
    async requestAdapter(options) {
      const adapter = (await real.requestAdapter(options)) as GpuAdapterLike | null;
      if (!adapter) return null;
      return {
        limits: adapter.limits,
        features: adapter.features,
        info: adapter.info,
        requestDevice: async (descriptor?: object) => watch(await adapter.requestDevice(descriptor)),
      };
    },
  };
  return { gpu, counts, device: () => last };
}
