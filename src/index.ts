/** zfnet: train convolutional networks in any JavaScript runtime, and look into them. */
import type { Backend, BackendInfo, MemoryUse } from './backend/backend.js';
import type { ReferenceOptions } from './backend/reference/index.js';
import { checkOptions, integer, oneOf, rule } from './backend/validate.js';
import { createWasmBackend } from './backend/wasm/index.js';
import { BackendError, defaultBackend, setDefaultBackend, setNanCheck } from './tensor/index.js';

export { type Ceiling, ceilingFor, createCeiling } from './backend/wasm/runtime/ceiling.js';
export * from './deconv/index.js';
export * from './nn/index.js';
export * from './profile/index.js';
export * from './tensor/index.js';
export * from './zfnet/index.js';

export interface InitOptions {
  /** Default `wasm`; where the runtime has no WebAssembly SIMD, `reference` takes over and `backendInfo()` says so. */
  backend?: 'wasm' | 'webgpu' | 'reference';
  /** Default `auto`: as many as there are processors, where threads are possible. */
  threads?: number | 'auto';
  /** `strict` (default) gives the same bits everywhere; `fast` allows relaxed operations. */
  mode?: 'strict' | 'fast';
  /** `nan` throws at the first operation that makes a NaN or an infinity, and names it. Slow. */
  check?: 'nan';
  /** A compiled engine for runtimes that may not compile from bytes. */
  wasm?: WebAssembly.Module;
}

/** More threads than any machine has processors; each takes memory. */
const MOST_THREADS = 1024;

const INIT_RULES = {
  backend: oneOf('wasm', 'reference', 'webgpu'),
  threads: rule(`'auto' or a whole number from 1 to ${MOST_THREADS}`, (value) => value === 'auto' || integer(1, MOST_THREADS).test(value)),
  mode: oneOf('strict', 'fast'),
  check: oneOf('nan'),
  wasm: rule('a WebAssembly.Module', (value) => typeof WebAssembly === 'object' && value instanceof WebAssembly.Module),
};

/**
 * Gets the engine ready: call it once, and wait for it, before making tensors. Called again it makes a new default
 * backend; tensors made before keep theirs.
 *
 * @throws ValueError for unknown or unfit options; BackendError when the backend asked for is not there
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const backend = await createBackend(options);
  setNanCheck(options.check === 'nan');
  setDefaultBackend(backend);
}

/** Makes a backend without making it the default one, so that several can work side by side. */
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
    // Asked for by name, its absence is an error; chosen by default, the reference steps in.
    if (options.backend === 'wasm' || !(error instanceof BackendError)) throw error;
    return referenceBackend({ fallbackBecause: error.message });
  }
}

/** Loaded by those who compute on it alone. */
async function referenceBackend(options?: ReferenceOptions): Promise<Backend> {
  const { createReferenceBackend } = await import('./backend/reference/index.js');
  return createReferenceBackend(options);
}

/** The default backend, its kernels and threads, and why threads are off or another backend took over. */
export function backendInfo(): BackendInfo {
  return defaultBackend().info();
}

/** What tensors hold on the default backend: `{ bytes, tensors, peakBytes, reservedBytes }`. */
export function memory(): Omit<MemoryUse, 'buffers'> & { tensors: number } {
  const { buffers, ...rest } = defaultBackend().memory();
  return { ...rest, tensors: buffers };
}

/** Starts the peak of `memory()` anew. */
export function resetPeakMemory(): void {
  defaultBackend().resetPeak();
}
