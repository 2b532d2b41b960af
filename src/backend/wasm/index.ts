/**
 * The wasm backend: chooses the build of the kernels for the runtime and mode, creates the engine and combines the kernels to a backend.
 */
import type { Backend } from '../backend.js';
import { BackendError, ValueError } from '../errors.js';
import { profileKernels } from '../profiling.js';
import { adam } from './adam.js';
import { batchNorm } from './batch_norm.js';
import { channel } from './channel.js';
import { checks } from './checks.js';
import { conv2d } from './conv2d.js';
import { conv2dPlan } from './conv2d_plan.js';
import { crossEntropy } from './cross_entropy.js';
import { dropout } from './dropout.js';
import { elementwise } from './elementwise.js';
import { gemmKernelName } from './gemm.js';
import { linear } from './linear.js';
import { matmul } from './matmul.js';
import { normalize } from './normalize.js';
import { pool2d } from './pool2d.js';
import { random } from './random.js';
import { reduce } from './reduce.js';
import {
  checkRuntime,
  chooseBuild,
  compileBuild,
  compileGiven,
  type GivenBuild,
  instantiate,
  sharingOffBecause,
} from './runtime/builds.js';
import { WasmEngine } from './runtime/engine.js';
import { availableThreads, findSpawn } from './runtime/spawn.js';
import type { Spawn } from './runtime/worker.js';
import { sgd } from './sgd.js';
import { softmax } from './softmax.js';
import { stridedCopy } from './strided_copy.js';
import { sumSquares } from './sum_squares.js';
import { unpool } from './unpool.js';

/** Options of the wasm backend. */
export interface WasmOptions {
  /** Number of threads. Default `auto`: one per processor, at most 16. */
  threads?: number | 'auto';
  /** `strict` (default) gives the same bits on every machine; `fast` allows relaxed instructions and coarser algorithms. */
  mode?: 'strict' | 'fast';
  /** A build of the kernels, for runtimes that cannot load or compile one: see `compileGiven`. Threads need one with shared memory. */
  wasm?: GivenBuild;
  /** Address of the file `zfnet/worker.js`, for pages that may not start workers from memory. */
  workerUrl?: string | URL;
}

const MOST_THREADS = 16;
const PAGE = 65536;
const MOST_PAGES = 65536;
/** 256 MiB: with less address space, creating the backend fails. */
const LEAST_PAGES = 4096;
/** Initial size: the module's constants and a first part of the heap, which grows on demand. */
const FIRST_PAGES = 32;

/** Creates a memory with the largest limit that the runtime allows; runtimes may reserve the address space of a shared one at once. */
function createMemory(shared: boolean): { memory: WebAssembly.Memory; limitBytes: number } {
  for (let maximum = MOST_PAGES; ; maximum /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial: FIRST_PAGES, maximum, shared }), limitBytes: maximum * PAGE };
    } catch {
      if (maximum <= LEAST_PAGES)
        throw new BackendError(
          'wasm: the runtime refused 256 MiB of WebAssembly memory; free memory, or use init({ backend: "reference" })',
        );
    }
  }
}

/** Number of threads, and the reason if it is 1. */
interface Threading {
  threads: number;
  spawn: Spawn | null;
  because?: string;
}

const single = (because?: string): Threading => ({ threads: 1, spawn: null, because });

/** Decides how many threads can be used. */
async function planThreads(asked: number | 'auto', workerUrl?: string): Promise<Threading> {
  if (asked !== 'auto' && (!Number.isInteger(asked) || asked < 1)) {
    throw new ValueError(`init: threads is ${asked}, expected 'auto' or a whole number of at least 1`);
  }
  if (asked === 1) return single();
  const threads = asked === 'auto' ? Math.min(await availableThreads(), MOST_THREADS) : asked;
  if (threads === 1) return single('this machine has one processor');
  const because = sharingOffBecause();
  if (because !== undefined) return single(because);
  const spawn = await findSpawn(workerUrl);
  return spawn === null ? single('this runtime has no workers') : { threads, spawn };
}

/** Creates the engine below the backend. @param internals for tests: how workers are started, and the timeout of an idle worker */
export async function createWasmEngine(
  options: WasmOptions = {},
  internals: { spawn?: Spawn; patienceMs?: number } = {},
): Promise<WasmEngine> {
  checkRuntime();
  const mode = options.mode ?? 'strict';
  let plan = await planThreads(options.threads ?? 'auto', options.workerUrl && String(options.workerUrl));

  const start = async (module: WebAssembly.Module, build: string, shared: boolean): Promise<WasmEngine> => {
    const { memory, limitBytes } = createMemory(shared);
    const kernels = await instantiate(module, memory);
    const { threads, because } = plan;
    const spawn = plan.spawn && (internals.spawn ?? plan.spawn);
    const { patienceMs } = internals;
    return new WasmEngine({ kernels, module, memory, limitBytes, mode, build, threads, spawn, threadsOffBecause: because, patienceMs });
  };

  if (options.wasm !== undefined) {
    // Instantiating the module is the only way to find out whether it needs shared memory.
    const wanted = plan.threads > 1;
    const module = await compileGiven(options.wasm);
    try {
      return await start(module, 'given module', wanted);
    } catch {
      if (wanted) plan = single('the module given as init({ wasm }) does not share memory');
      return start(module, 'given module', !wanted);
    }
  }

  if (plan.threads > 1) {
    try {
      const build = chooseBuild(mode, true);
      return await start(await compileBuild(build), build, true);
    } catch (error) {
      plan = single(`shared memory could not be created: ${error instanceof Error ? error.message : error}`);
    }
  }
  const build = chooseBuild(mode, false);
  return start(await compileBuild(build), build, false);
}

/** Creates a wasm backend. @throws BackendError if the runtime lacks WebAssembly SIMD */
export async function createWasmBackend(options: WasmOptions = {}): Promise<Backend> {
  return wasmBackend(await createWasmEngine(options));
}

/** Creates the backend for an engine; `plan` as for `conv2d`. */
export function wasmBackend(engine: WasmEngine, plan = conv2dPlan): Backend {
  const backend: Backend = {
    name: 'wasm',
    capabilities: engine.capabilities,
    info: () => ({ ...engine.info(), variant: `${engine.info().variant} ${gemmKernelName(engine)}` }),
    allocate: (dtype, size) => engine.allocate(dtype, size),
    release: (storage) => engine.release(storage),
    write: (storage, data) => engine.write(storage, data),
    read: async (storage) => engine.readSync(storage),
    readSync: (storage) => engine.readSync(storage),
    synchronize: async () => undefined,
    memory: () => engine.memory(),
    resetPeak: () => engine.resetPeak(),
    dispose: () => engine.dispose(),
    profileKernels(listener) {
      const end = profileKernels(backend, listener);
      engine.timeThreads(true);
      return async () => {
        const threads = engine.threadTimes(end());
        engine.timeThreads(false);
        return threads;
      };
    },
    ...checks(engine),
    ...elementwise(engine),
    ...dropout(engine),
    ...stridedCopy(engine),
    ...random(engine),
    ...matmul(engine),
    ...linear(engine),
    ...conv2d(engine, plan),
    ...channel(engine),
    ...pool2d(engine),
    ...unpool(engine),
    ...normalize(engine),
    ...batchNorm(engine),
    ...reduce(engine),
    ...softmax(engine),
    ...crossEntropy(engine),
    ...sgd(engine),
    ...adam(engine),
    ...sumSquares(engine),
  };
  return backend;
}
