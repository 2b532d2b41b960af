/** Worker threads that die or are slow: the caller neither hangs nor gives up on a thread that still works. */
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { BackendError } from '../../../src/backend/errors.js';
import { createWasmEngine } from '../../../src/backend/wasm/index.js';
import type { WasmEngine } from '../../../src/backend/wasm/runtime/engine.js';
import { PROGRAM, type Spawn } from '../../../src/backend/wasm/runtime/worker.js';

const N = 1 << 16;
const GRAIN = 1 << 13;
const KERNEL = 'kernel(...args, begin';

let engine: WasmEngine | undefined;
afterEach(() => {
  engine?.dispose();
  engine = undefined;
});

/** Starts workers that run `code` before each chunk that they have taken; `flag[0]` counts these chunks. */
async function start(code: string, patienceMs: number): Promise<{ flag: Int32Array; workers: Worker[] }> {
  const flag = new Int32Array(new SharedArrayBuffer(8));
  const workers: Worker[] = [];
  expect(PROGRAM.split(KERNEL)).toHaveLength(2);
  const program = PROGRAM.replace(KERNEL, `Atomics.add(flag, 0, 1); Atomics.notify(flag, 0); ${code}; ${KERNEL}`);
  const spawn: Spawn = (data, onFail) => {
    const source = `const { workerData: { data, flag } } = require('node:worker_threads'); (${program})(data)`;
    const worker = new Worker(source, { eval: true, workerData: { data, flag }, execArgv: [] });
    worker.on('exit', () => onFail('it ended'));
    worker.unref();
    workers.push(worker);
    return { terminate: () => void worker.terminate() };
  };
  engine = await createWasmEngine({ threads: 2 }, { spawn, patienceMs });
  return { flag, workers };
}

/** y = relu(x) over N numbers, in chunks; false where y is wrong. */
function relu(own: WasmEngine): boolean {
  const [x, y] = [own.allocate('float32', N), own.allocate('float32', N)];
  try {
    const values = Float32Array.from({ length: N }, (_, i) => (i % 2 === 0 ? i : -i));
    own.write(x, values);
    own.parallel('relu', N, GRAIN, own.pointer(y), own.pointer(x));
    return own.readSync(y).every((value, i) => value === Math.max(0, values[i]));
  } finally {
    own.release(x);
    own.release(y);
  }
}

/** Repeats the kernel until the worker has taken a chunk, or the kernel throws. */
async function untilTaken(own: WasmEngine, flag: Int32Array): Promise<void> {
  for (let i = 0; i < 100_000 && Atomics.load(flag, 0) === 0; i++) {
    expect(relu(own)).toBe(true);
    await wait(0);
  }
}

describe('a worker thread', () => {
  it('that dies inside a chunk leads to one BackendError, then to correct results on one thread', async () => {
    const { flag } = await start('process.exit(1)', 400);
    const own = engine!;
    await expect(untilTaken(own, flag)).rejects.toThrow(BackendError);
    expect(own.info()).toMatchObject({ threads: 1, threadsOffBecause: expect.stringMatching(/worker thread failed/) });
    for (let i = 0; i < 10; i++) expect(relu(own)).toBe(true);
    expect(own.memory().bytes).toBe(0);
  });

  it('that hangs inside a chunk leads to one BackendError that says what to do', async () => {
    const { flag } = await start('Atomics.wait(flag, 1, 0)', 300);
    const own = engine!;
    await expect(untilTaken(own, flag)).rejects.toThrow(
      /kernel relu: a worker thread finished no work for 0.3 s.*resume from a checkpoint/,
    );
    expect(own.info().threads).toBe(1);
    expect(relu(own)).toBe(true);
  });

  it('that is terminated between calls is no longer counted', async () => {
    const { flag, workers } = await start('', 5000);
    const own = engine!;
    await untilTaken(own, flag);
    expect(own.info().threads).toBe(2);
    await workers[0].terminate();
    await wait(0);
    expect(own.info()).toMatchObject({ threads: 1, threadsOffBecause: 'a worker thread failed: it ended' });
    expect(relu(own)).toBe(true);
  });

  it('that is slow is not treated as dead: only the time without a finished chunk counts', async () => {
    // The worker needs 150 ms for each chunk that it takes, longer in all than the caller's patience.
    const { flag } = await start('Atomics.wait(flag, 1, 0, 150)', 2000);
    const own = engine!;
    for (let i = 0; i < 100_000 && Atomics.load(flag, 0) < 16; i++) {
      expect(relu(own)).toBe(true);
      await wait(0);
    }
    expect(Atomics.load(flag, 0)).toBeGreaterThanOrEqual(16);
    expect(own.info().threads).toBe(2);
  });
});
