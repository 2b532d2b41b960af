/** Entry point of the package `zfnet`: initialisation of the engine, and everything that the package exports. */
import type { Backend, BackendInfo, MemoryUse } from './backend/backend.js';
import type { ReferenceOptions } from './backend/reference/index.js';
import { checkOptions, integer, oneOf, rule } from './backend/validate.js';
import { createWasmBackend } from './backend/wasm/index.js';
import { BackendError, defaultBackend, setDefaultBackend, setNanCheck } from './tensor/index.js';

export { type Ceiling, ceilingFor, createCeiling } from './backend/wasm/runtime/ceiling.js';
export * from './deconv/index.js';
export * from './interpret/index.js';
export * from './nn/index.js';
export * from './profile/index.js';
export * from './tensor/index.js';
export * from './zfnet/index.js';

export interface InitOptions {
  /** Default `wasm`, or `reference` if the runtime lacks WebAssembly SIMD; `backendInfo().fallbackBecause` then gives the reason. */
  backend?: 'wasm' | 'webgpu' | 'reference';
  /** Number of threads. Default `auto`: one per processor, at most 16, if the runtime supports threads. */
  threads?: number | 'auto';
  /** `strict` (default) gives the same bits on every machine; `fast` allows instructions and algorithms that round differently. */
  mode?: 'strict' | 'fast';
  /** `nan`: the first operation whose output contains NaN or an infinity throws a `NonFiniteError`. Slow. */
  check?: 'nan';
  /** The compiled module (`dist/simd.wasm`), for runtimes that cannot compile WebAssembly from bytes. */
  wasm?: WebAssembly.Module;
}

/** Upper limit of the option `threads`, above the number of processors of any machine; each thread needs memory. */
const MOST_THREADS = 1024;

const INIT_RULES = {
  backend: oneOf('wasm', 'reference', 'webgpu'),
  threads: rule(`'auto' or a whole number from 1 to ${MOST_THREADS}`, (value) => value === 'auto' || integer(1, MOST_THREADS).test(value)),
  mode: oneOf('strict', 'fast'),
  check: oneOf('nan'),
  wasm: rule('a WebAssembly.Module', (value) => typeof WebAssembly === 'object' && value instanceof WebAssembly.Module),
};

/**
 * Initialises the engine. Must be awaited once before tensors are created. A second call creates a new default backend; existing tensors
 * keep theirs.
 *
 * @example await init({ threads: 4 });
 * @throws ValueError for unknown or invalid options; BackendError if the requested backend is not available
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const backend = await createBackend(options);
  setNanCheck(options.check === 'nan');
  setDefaultBackend(backend);
}

/** Creates a backend without making it the default, so that several can be used at the same time. Options and errors as for `init`. */
export async function createBackend(options: InitOptions = {}): Promise<Backend> {
  checkOptions('init', options, INIT_RULES);
  const { backend = 'wasm', threads = 'auto', mode = 'strict' } = options;
  switch (backend) {
    case 'reference':
      return referenceBackend();
    case 'wasm':
      return wasmOrReference(options, threads, mode);
    case 'webgpu':
      throw new BackendError('init: the webgpu backend is not part of this version; leave `backend` out to use wasm');
  }
}

async function wasmOrReference(options: InitOptions, threads: number | 'auto', mode: 'strict' | 'fast'): Promise<Backend> {
  try {
    return await createWasmBackend({ threads, mode, wasm: options.wasm });
  } catch (error) {
    // Falls back to the reference backend only if wasm was not requested explicitly.
    if (options.backend === 'wasm' || !(error instanceof BackendError)) throw error;
    return referenceBackend({ fallbackBecause: error.message });
  }
}

/** Loads the reference backend on demand, so that it is not part of every bundle. */
async function referenceBackend(options?: ReferenceOptions): Promise<Backend> {
  const { createReferenceBackend } = await import('./backend/reference/index.js');
  return createReferenceBackend(options);
}

/** Returns name, kernels and threads of the default backend, and the reasons for a single thread or a fallback. */
export function backendInfo(): BackendInfo {
  return defaultBackend().info();
}

/** Returns the memory in use on the default backend. `bytes` and `tensors` are current values, `peakBytes` is the maximum of `bytes`. */
export function memory(): Omit<MemoryUse, 'buffers'> & { tensors: number } {
  const { buffers, ...rest } = defaultBackend().memory();
  return { ...rest, tensors: buffers };
}

/** Resets `memory().peakBytes` to the current value. */
export function resetPeakMemory(): void {
  defaultBackend().resetPeak();
}
