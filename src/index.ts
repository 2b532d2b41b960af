/** Entry point of the package `zfnet`: initialisation of the engine, and everything that the package exports. */
import type { Backend, BackendInfo, MemoryUse } from './backend/backend.js';
import type { ReferenceOptions } from './backend/reference/index.js';
import { checkOptions, func, integer, objectWith, oneOf, rule } from './backend/validate.js';
import { createWasmBackend, type WasmOptions } from './backend/wasm/index.js';
import type { GpuLike } from './backend/webgpu/types.js';
import { context } from './tensor/context.js';
import { BackendError, defaultBackend, setDefaultBackend, setNanCheck } from './tensor/index.js';
import { retire } from './tensor/memory/memory.js';

export { type Ceiling, ceilingFor, createCeiling } from './backend/wasm/runtime/ceiling.js';
export * from './deconv/index.js';
export * from './interpret/index.js';
export * from './nn/index.js';
export * from './profile/index.js';
export * from './tensor/index.js';
export * from './zfnet/index.js';
export type { GpuLike };

/** Options of `init` and `createBackend`. */
export interface InitOptions {
  /**
   * Default `wasm`, or `reference` if the runtime lacks WebAssembly SIMD or does not allow it. A warning and `backendInfo().fallbackBecause`
   * then give the reason.
   */
  backend?: 'wasm' | 'webgpu' | 'reference';
  /** Number of threads. Default `auto`: one per processor, at most 16, if the runtime supports threads. */
  threads?: number | 'auto';
  /** `strict` (default) gives the same bits on every machine; `fast` allows instructions and algorithms that round differently. */
  mode?: 'strict' | 'fast';
  /** `nan`: the first operation whose output contains NaN or an infinity throws a `NonFiniteError`. Slow. */
  check?: 'nan';
  /**
   * The kernels, `zfnet/simd.wasm`, for runtimes that cannot load or compile the built-in ones: a `WebAssembly.Module`, the bytes of the
   * file, or its address. Implies one thread. The type contains `object` so that programs whose `lib` lacks WebAssembly compile.
   */
  wasm?: object | string;
  /** Address of the file `zfnet/worker.js`, for pages whose content security policy forbids workers from `blob:`. */
  workerUrl?: string | { readonly href: string };
  /**
   * For `backend: 'webgpu'`: the implementation of WebGPU. Default: `navigator.gpu`, or the npm package `webgpu` in Node and Bun, which users
   * install.
   */
  gpu?: GpuLike;
  /** For `backend: 'webgpu'`: maximum number of bytes of all buffers on the device. Default: no limit but the device's. */
  maxBytes?: number;
}

/** Upper limit of the option `threads`: more threads than processors make kernels slower, and each thread needs memory. */
const MOST_THREADS = 256;

/** Hermes, the engine of React Native, has no `URL` of its own. */
const isUrl = (value: unknown): value is URL => typeof URL === 'function' && value instanceof URL;

const isAddress = (value: unknown): boolean => (typeof value === 'string' && value !== '') || isUrl(value);

const isWasm = (value: unknown): boolean =>
  isAddress(value) ||
  value instanceof ArrayBuffer ||
  ArrayBuffer.isView(value) ||
  (typeof WebAssembly === 'object' && value instanceof WebAssembly.Module);

const INIT_RULES = {
  backend: oneOf('wasm', 'reference', 'webgpu'),
  threads: rule(`'auto' or a whole number from 1 to ${MOST_THREADS}`, (value) => value === 'auto' || integer(1, MOST_THREADS).test(value)),
  mode: oneOf('strict', 'fast'),
  check: oneOf('nan'),
  wasm: rule('a WebAssembly.Module, the bytes of simd.wasm, or its address', isWasm),
  workerUrl: rule('a string or a URL', isAddress),
  gpu: objectWith('an implementation of WebGPU, such as navigator.gpu', { requestAdapter: func }),
  maxBytes: integer(1),
};

/**
 * Initialises the engine and returns the default backend. Must be awaited once before tensors are created.
 *
 * A second call with equal options returns the same backend. With other options it replaces the default backend: tensors and networks that
 * exist keep theirs and go on working, and the replaced backend is disposed of, with its threads, together with the last of them.
 *
 * @example await init({ threads: 4 });
 * @throws ValueError for unknown or invalid options; BackendError if the requested backend is not available
 */
export async function init(options: InitOptions = {}): Promise<Backend> {
  checkOptions('init', options, INIT_RULES);
  const { backend: kind, threads = 'auto', mode = 'strict', workerUrl, gpu, maxBytes } = options;
  const wasm = isUrl(options.wasm) ? options.wasm.href : options.wasm;
  const text = JSON.stringify([kind ?? 'wasm or reference', threads, mode, workerUrl && String(workerUrl), maxBytes]);
  const given = wasm ?? gpu;
  let { engine } = context;
  if (engine?.options !== text || engine.wasm !== given || isDisposed(await engine.backend)) {
    engine = { options: text, wasm: given, backend: createBackend(options) };
    const before = context.engine;
    context.engine = engine;
    try {
      context.created.add(await engine.backend);
    } catch (error) {
      if (context.engine === engine) context.engine = before;
      throw error;
    }
    if (before) void before.backend.then(replaced, () => undefined);
  }
  const backend = await engine.backend;
  setNanCheck(options.check === 'nan');
  setDefaultBackend(backend);
  return backend;
}

/** Returns whether a backend was disposed of, after which it allocates nothing. */
function isDisposed(backend: Backend): boolean {
  try {
    backend.release(backend.allocate('uint8', 1));
    return false;
  } catch (error) {
    return error instanceof BackendError;
  }
}

function replaced(backend: Backend): void {
  context.created.delete(backend);
  retire(backend);
}

/**
 * Ends the engine: disposes of the backends that `init()` created, which ends their worker threads and frees their memory. Their tensors
 * cannot be used afterwards; `init()` starts the engine again. Without this call, the threads end with the process.
 *
 * @example await shutdown();
 */
export async function shutdown(): Promise<void> {
  const { engine } = context;
  context.engine = null;
  // A call of init() that is running has not yet added its backend.
  const starting = await engine?.backend.catch(() => undefined);
  const backends = new Set([...context.created, ...context.retired, ...(starting ? [starting] : [])]);
  for (const backend of backends) {
    if (context.backend === backend) setDefaultBackend(null);
    backend.dispose();
  }
  context.created.clear();
  context.retired.clear();
}

/**
 * Creates a backend without making it the default, so that several can be used at the same time. Options and errors as for `init`.
 *
 * @example
 * const exact = await createBackend({ backend: 'reference' });
 * const x = tensor([1, 2], [2], { backend: exact });
 */
export async function createBackend(options: InitOptions = {}): Promise<Backend> {
  checkOptions('init', options, INIT_RULES);
  const { backend = 'wasm', threads = 'auto', mode = 'strict' } = options;
  switch (backend) {
    case 'reference':
      return referenceBackend();
    case 'wasm':
      return wasmOrReference(options, threads, mode);
    case 'webgpu':
      return webgpuBackend(options, mode);
  }
}

async function wasmOrReference(options: InitOptions, threads: number | 'auto', mode: 'strict' | 'fast'): Promise<Backend> {
  const { wasm, workerUrl } = options as WasmOptions;
  try {
    return await createWasmBackend({ threads, mode, wasm, workerUrl });
  } catch (error) {
    // Falls back to the reference backend only if wasm was not requested explicitly.
    if (options.backend === 'wasm' || !(error instanceof BackendError)) throw error;
    // Where the kernels cannot be loaded, the reference backend cannot either.
    const backend = await referenceBackend({ fallbackBecause: error.message }).catch(() => Promise.reject(error));
    globalThis.console?.warn(
      `zfnet: init() uses the reference backend, which is about 100 times slower than WebAssembly. ${error.message}`,
    );
    return backend;
  }
}

/** Loads the WebGPU backend on demand, so that it is not part of pages that do not use it. */
async function webgpuBackend({ gpu, maxBytes }: InitOptions, mode: 'strict' | 'fast'): Promise<Backend> {
  const { createWebgpuBackend } = await import('./backend/webgpu/index.js');
  return createWebgpuBackend({ gpu, maxBytes, mode });
}

/** Loads the reference backend on demand, so that it is not part of every bundle. */
async function referenceBackend(options?: ReferenceOptions): Promise<Backend> {
  const { createReferenceBackend } = await import('./backend/reference/index.js');
  return createReferenceBackend(options);
}

/**
 * Returns name, kernels and threads of the default backend, and the reasons for a single thread or a fallback.
 *
 * @example const { backend, threads, threadsOffBecause } = backendInfo();
 */
export function backendInfo(): BackendInfo {
  return defaultBackend().info();
}

/**
 * Returns the memory in use on the default backend. `bytes` and `tensors` are current values, `peakBytes` is the maximum of `bytes`.
 *
 * @example const { bytes, tensors, peakBytes } = memory();
 */
export function memory(): Omit<MemoryUse, 'buffers'> & { tensors: number } {
  const { buffers, ...rest } = defaultBackend().memory();
  return { ...rest, tensors: buffers };
}

/**
 * Resets `memory().peakBytes` to the current value.
 *
 * @example
 * resetPeakMemory();
 * model.forward(images);
 * const peak = memory().peakBytes;
 */
export function resetPeakMemory(): void {
  defaultBackend().resetPeak();
}
