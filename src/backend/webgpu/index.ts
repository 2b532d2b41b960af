/** The WebGPU backend: opens the device, creates its queue and combines the kernel families to a backend. */
import type { Backend, BackendInfo } from '../backend.js';
import { BackendError } from '../errors.js';
import { GPU_DTYPES } from './buffers.js';
import { measureCeiling } from './ceiling.js';
import { type OpenDevice, openDevice } from './device.js';
import { activation } from './kernels/activation.js';
import { batchNorm } from './kernels/batch_norm.js';
import { channel } from './kernels/channel.js';
import { checks } from './kernels/checks.js';
import { conv2d } from './kernels/conv2d.js';
import { cutCrops } from './kernels/cut_crops.js';
import { dropout } from './kernels/dropout.js';
import { elementwise } from './kernels/elementwise.js';
import { groupNorm } from './kernels/group_norm.js';
import { linear } from './kernels/linear.js';
import { lrn } from './kernels/lrn.js';
import { matmul } from './kernels/matmul.js';
import { movement } from './kernels/movement.js';
import { pool2d } from './kernels/pool2d.js';
import { random } from './kernels/random.js';
import { reduce } from './kernels/reduce.js';
import { updates } from './kernels/sgd.js';
import { softmax } from './kernels/softmax.js';
import { topk } from './kernels/topk.js';
import { unpool } from './kernels/unpool.js';
import { profileQueue } from './profile.js';
import { DeviceQueue } from './queue.js';
import { Transfers } from './reads.js';
import type { GpuLike } from './types.js';

/** Options of the WebGPU backend. */
export interface WebgpuOptions {
  /** The implementation of WebGPU. Default: `navigator.gpu`, or the npm package `webgpu`. */
  gpu?: GpuLike;
  /** Maximum number of bytes of all buffers on the device, those kept for reuse included. Default: no limit but the device's. */
  maxBytes?: number;
  /** `strict` (default): the same bits whenever the same work runs on this device. `fast` allows to choose kernels by measurement. */
  mode?: 'strict' | 'fast';
}

/** Creates a WebGPU backend. @throws BackendError if the runtime has no WebGPU, no adapter or no device */
export async function createWebgpuBackend(options: WebgpuOptions = {}): Promise<Backend> {
  return webgpuBackend(await openDevice(options.gpu), options);
}

/** Creates the backend of a device. @param inside is called with the queue, for tests */
export function webgpuBackend(opened: OpenDevice, options: WebgpuOptions = {}, inside?: (queue: DeviceQueue) => void): Backend {
  const { maxBytes = Number.POSITIVE_INFINITY, mode = 'strict' } = options;
  const queue = new DeviceQueue(opened, { mode, maxBytes });
  inside?.(queue);
  const transfers = new Transfers(queue);
  const { device, limits } = opened;
  void device.lost.then(({ message }) => queue.faults.lose(message));
  device.addEventListener?.('uncapturederror', ({ error }) =>
    queue.faults.poison(new BackendError(`webgpu: the device reported an error: ${error.message}`)),
  );
  const backend: Backend = {
    name: 'webgpu',
    capabilities: { syncRead: false, dtypes: GPU_DTYPES, maxBufferBytes: limits.maxBufferBytes, deterministic: mode === 'strict' },
    info: (): BackendInfo => ({ backend: 'webgpu', variant: 'wgsl', threads: 1, mode, device: opened.info }),
    async compileKernels(run) {
      await queue.pipelines.compile(queue.collect(run));
      await queue.faults.settled();
      queue.faults.take();
    },
    profileKernels: (listener) => profileQueue(backend, queue, listener),
    measureCeiling: () => measureCeiling(queue),
    ...storagePart(queue, transfers),
    ...checks(queue),
    ...elementwise(queue),
    ...movement(queue),
    ...cutCrops(queue),
    ...random(queue),
    ...dropout(queue),
    ...matmul(queue),
    ...linear(queue),
    ...conv2d(queue),
    ...channel(queue),
    ...activation(queue),
    ...batchNorm(queue),
    ...groupNorm(queue),
    ...lrn(queue),
    ...pool2d(queue),
    ...reduce(queue),
    ...updates(queue),
    ...softmax(queue),
    ...topk(queue),
    ...unpool(queue),
  };
  return backend;
}

type StoragePart = Pick<
  Backend,
  'allocate' | 'release' | 'write' | 'read' | 'readSync' | 'synchronize' | 'memory' | 'resetPeak' | 'dispose'
>;

/** Returns the memory functions. */
const storagePart = (queue: DeviceQueue, transfers: Transfers): StoragePart => ({
  allocate: (dtype, size) => queue.memory.allocate(dtype, size),
  release: (storage) => queue.memory.release(storage),
  write: (storage, data) => transfers.write(storage, data),
  read: (storage) => transfers.read(storage),
  readSync: () => {
    throw new BackendError('readSync: the webgpu backend cannot read synchronously; use read, or `await tensor.data()`');
  },
  synchronize: () => transfers.synchronize(),
  memory: () => queue.memory.memory(),
  resetPeak: () => queue.memory.resetPeak(),
  dispose: () => queue.dispose(),
});
