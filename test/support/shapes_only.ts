/** A backend without numbers: storages know their type and size, kernels do nothing. The largest network costs nothing to run. */
import type { Backend, DType } from '../../src/tensor/index.js';

const BYTES: Record<DType, number> = { float64: 8, float32: 4, int32: 4, uint8: 1 };

export function shapesOnly(): Backend {
  const use = { bytes: 0, buffers: 0, peakBytes: 0, reservedBytes: 0 };
  const count = (bytes: number, buffers: number) => {
    use.bytes += bytes;
    use.buffers += buffers;
    use.peakBytes = Math.max(use.peakBytes, use.bytes);
  };
  const own: Partial<Backend> = {
    name: 'shapes only',
    allocate(dtype, size) {
      count(BYTES[dtype] * size, 1);
      return { dtype, size };
    },
    release: ({ dtype, size }) => count(-BYTES[dtype] * size, -1),
    memory: () => ({ ...use }),
    resetPeak() {
      use.peakBytes = use.bytes;
    },
  };
  return new Proxy(own as Backend, {
    get: (target, name) => Reflect.get(target, name) ?? (name === 'readSync' ? undefined : () => undefined),
  });
}
