/**
 * `npm run test:soak`: worker threads of the engine that die at random moments, in a chunk or between chunks. The call ends with a
 * `BackendError` or its right result, never without an end, and the engine goes on with one thread.
 */
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { BackendError } from '../../src/backend/errors.js';
import { createWasmEngine } from '../../src/backend/wasm/index.js';
import { PROGRAM, type Spawn } from '../../src/backend/wasm/runtime/worker.js';
import { Random } from '../fuzz/random.js';
import { pick } from './settings.js';

const N = 1 << 16;
const GRAIN = 1 << 12;
const KERNEL = 'kernel(...args, begin';
const DEATHS = pick(20, 500);
const SEED = process.env.SOAK_SEED ?? String(Date.now() % 100_000);
const PATIENCE_MILLISECONDS = 1000;

type Engine = Awaited<ReturnType<typeof createWasmEngine>>;

/** Starts an engine whose worker ends before the chunk with the given number, or after the given number of milliseconds. */
async function start(chunk: number, milliseconds: number): Promise<{ engine: Engine; worker: () => Worker | undefined }> {
  expect(PROGRAM.split(KERNEL)).toHaveLength(2);
  const program = PROGRAM.replace(KERNEL, `if (++globalThis.chunks === ${chunk}) process.exit(1); ${KERNEL}`);
  let worker: Worker | undefined;
  const spawn: Spawn = (data, onFail) => {
    const own = new Worker(`globalThis.chunks = 0; (${program})(require('node:worker_threads').workerData)`, {
      eval: true,
      workerData: data,
      execArgv: [],
    });
    worker = own;
    own.on('exit', () => onFail('it ended'));
    own.unref();
    if (chunk === 0) setTimeout(() => void own.terminate(), milliseconds);
    return { terminate: () => void own.terminate() };
  };
  const engine = await createWasmEngine({ threads: 2 }, { spawn, patienceMs: PATIENCE_MILLISECONDS });
  return { engine, worker: () => worker };
}

/** y = relu(x) in chunks. True where it is right, false where it ended in a `BackendError`. */
function relu(engine: Engine, values: Float32Array): boolean {
  const [x, y] = [engine.allocate('float32', N), engine.allocate('float32', N)];
  try {
    engine.write(x, values);
    engine.parallel('relu', N, GRAIN, engine.pointer(y), engine.pointer(x));
    const result = engine.readSync(y);
    for (let i = 0; i < N; i++) if (result[i] !== Math.max(0, values[i])) throw new Error(`number ${i} is ${result[i]}`);
    return true;
  } catch (error) {
    if (error instanceof BackendError) return false;
    throw error;
  } finally {
    engine.release(x);
    engine.release(y);
  }
}

describe(`worker threads that die (SOAK_SEED=${SEED})`, () => {
  const open: Engine[] = [];
  afterAll(() => {
    for (const engine of open) engine.dispose();
  });

  it(`${DEATHS} deaths: an error or a right result, and one thread afterwards`, { timeout: 3_600_000 }, async () => {
    const random = new Random(SEED);
    const values = Float32Array.from({ length: N }, (_, i) => (i % 2 === 0 ? i : -i));
    let [errors, right] = [0, 0];
    for (let death = 0; death < DEATHS; death++) {
      const { engine } = await start(random.chance(0.6) ? 1 + random.below(40) : 0, random.below(60));
      open.push(engine);
      const began = performance.now();
      while (engine.info().threads > 1 && performance.now() - began < 20_000) {
        if (relu(engine, values)) right++;
        else errors++;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      expect(engine.info().threads, `death ${death}`).toBe(1);
      expect(relu(engine, values)).toBe(true);
      expect(engine.memory().bytes).toBe(0);
      engine.dispose();
    }
    console.log(`worker deaths: ${DEATHS}; ${errors} calls ended in a BackendError, ${right} gave right results`);
    expect(errors).toBeGreaterThan(0);
  });
});
