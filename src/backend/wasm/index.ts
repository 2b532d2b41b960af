/**
 * The WASM backend: chooses a build for this runtime and this mode, sets the engine up and puts the groups of kernels together.
 */
import type { Backend } from '../backend.js';
import { BackendError, ValueError } from '../errors.js';
import { channel } from './channel.js';
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
import { checkRuntime, chooseBuild, compileBuild, instantiate, sharingOffBecause } from './runtime/builds.js';
import { WasmEngine } from './runtime/engine.js';
import { availableThreads, findSpawn, type Spawn } from './runtime/worker.js';
import { sgd } from './sgd.js';
import { softmax } from './softmax.js';
import { stridedCopy } from './strided_copy.js';
import { unpool } from './unpool.js';

export interface WasmOptions {
  /** Threads that work is split over; `auto` (the default) is one for each processor, 16 at most. */
  threads?: number | 'auto';
  /** `strict` (the default) gives the same bits everywhere; `fast` allows relaxed instructions. */
  mode?: 'strict' | 'fast';
  /** A compiled build of the kernels, for runtimes that may not compile; with single memory unless they share memory too. */
  wasm?: WebAssembly.Module;
}

const MOST_THREADS = 16;
const PAGE = 65536;
const MOST_PAGES = 65536;
/** 256 MiB: where even that much address space is missing, there is no going on. */
const LEAST_PAGES = 4096;
/** Room for the module's constants and a start; the heap grows it. */
const FIRST_PAGES = 32;

/** A memory that can grow as far as this runtime lets it: the address space of a shared one may be taken at once. */
function createMemory(shared: boolean): { memory: WebAssembly.Memory; limitBytes: number } {
  for (let maximum = MOST_PAGES; ; maximum /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial: FIRST_PAGES, maximum, shared }), limitBytes: maximum * PAGE };
    } catch {
      if (maximum <= LEAST_PAGES) throw new BackendError('wasm: this runtime gives no memory to WebAssembly');
    }
  }
}

interface Threading {
  threads: number;
  spawn: Spawn | null;
  because?: string;
}

const single = (because?: string): Threading => ({ threads: 1, spawn: null, because });

async function planThreads(asked: number | 'auto'): Promise<Threading> {
  if (asked !== 'auto' && (!Number.isInteger(asked) || asked < 1)) {
    throw new ValueError(`init: threads is ${asked}, expected 'auto' or a whole number of at least 1`);
  }
  if (asked === 1) return single();
  const threads = asked === 'auto' ? Math.min(await availableThreads(), MOST_THREADS) : asked;
  if (threads === 1) return single('this machine has one processor');
  const because = sharingOffBecause();
  if (because !== undefined) return single(because);
  const spawn = await findSpawn();
  return spawn === null ? single('this runtime has no workers') : { threads, spawn };
}

/** @param internals for tests: how workers are started, and how long the caller waits for one that does nothing */
export async function createWasmEngine(
  options: WasmOptions = {},
  internals: { spawn?: Spawn; patienceMs?: number } = {},
): Promise<WasmEngine> {
  checkRuntime();
  const mode = options.mode ?? 'strict';
  let plan = await planThreads(options.threads ?? 'auto');

  const start = async (module: WebAssembly.Module, build: string, shared: boolean): Promise<WasmEngine> => {
    const { memory, limitBytes } = createMemory(shared);
    const kernels = await instantiate(module, memory);
    const { threads, because } = plan;
    const spawn = plan.spawn && (internals.spawn ?? plan.spawn);
    const { patienceMs } = internals;
    return new WasmEngine({ kernels, module, memory, limitBytes, mode, build, threads, spawn, threadsOffBecause: because, patienceMs });
  };

  if (options.wasm !== undefined) {
    // Whether a module shares its memory shows only when it is given one.
    const wanted = plan.threads > 1;
    try {
      return await start(options.wasm, 'given module', wanted);
    } catch {
      if (wanted) plan = single('the module given as init({ wasm }) does not share memory');
      return start(options.wasm, 'given module', !wanted);
    }
  }

  if (plan.threads > 1) {
    try {
      const build = chooseBuild(mode, true);
      return await start(await compileBuild(build), build, true);
    } catch (error) {
      plan = single(`shared memory could not be had: ${error instanceof Error ? error.message : error}`);
    }
  }
  const build = chooseBuild(mode, false);
  return start(await compileBuild(build), build, false);
}

export async function createWasmBackend(options: WasmOptions = {}): Promise<Backend> {
  return wasmBackend(await createWasmEngine(options));
}

/** The backend over an engine; `plan` as for `conv2d`. */
export function wasmBackend(engine: WasmEngine, plan = conv2dPlan): Backend {
  return {
    name: 'wasm',
    info: () => ({ ...engine.info(), variant: `${engine.info().variant} ${gemmKernelName(engine)}` }),
    allocate: (dtype, size) => engine.allocate(dtype, size),
    release: (storage) => engine.release(storage),
    write: (storage, data) => engine.write(storage, data),
    read: async (storage) => engine.readSync(storage),
    readSync: (storage) => engine.readSync(storage),
    memory: () => engine.memory(),
    resetPeak: () => engine.resetPeak(),
    dispose: () => engine.dispose(),
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
    ...reduce(engine),
    ...softmax(engine),
    ...crossEntropy(engine),
    ...sgd(engine),
  };
}
