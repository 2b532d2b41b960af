/** The backend of dry runs, which knows shapes only. */
import { type Backend, type DType, ELEMENT_BYTES } from '../backend.js';

/** Optional kernels, which change how much memory a step needs: a dry run stands for the backends that do without. */
const WITHOUT: readonly PropertyKey[] = ['maxPool2dReluGrad', 'sgdClipRms', 'cutCrops'] satisfies (keyof Backend)[];

/**
 * A backend that computes no values: storages have an element type and a size, kernels do nothing, and memory is only counted. It makes
 * a network's parameter shapes and memory use available without allocating the network.
 */
export function shapesOnly(): Backend {
  const use = { bytes: 0, buffers: 0, peakBytes: 0, reservedBytes: 0 };
  const count = (bytes: number, buffers: number) => {
    use.bytes += bytes;
    use.buffers += buffers;
    use.peakBytes = Math.max(use.peakBytes, use.bytes);
  };
  const own: Partial<Backend> = {
    name: 'shapes only',
    capabilities: { syncRead: false, dtypes: Object.keys(ELEMENT_BYTES) as DType[], maxBufferBytes: Infinity, deterministic: true },
    allocate(dtype, size) {
      count(ELEMENT_BYTES[dtype] * size, 1);
      return { dtype, size };
    },
    release: ({ dtype, size }) => count(-ELEMENT_BYTES[dtype] * size, -1),
    memory: () => ({ ...use }),
    resetPeak() {
      use.peakBytes = use.bytes;
    },
  };
  return new Proxy(own as Backend, {
    // Without this exception, `await` would treat the backend as a promise that never resolves.
    get: (target, name) => Reflect.get(target, name) ?? (name === 'then' || WITHOUT.includes(name) ? undefined : () => undefined),
  });
}
