/** How workers are started in pages: from memory or from a file, under Trusted Types, and in the windows of Electron. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BackendError } from '../../../src/backend/errors.js';
import { findSpawn } from '../../../src/backend/wasm/runtime/spawn.js';
import type { WorkerData } from '../../../src/backend/wasm/runtime/worker.js';

const POLICY = Symbol.for('zfnet.trusted-types');
const electron = process as { type?: string };
const data = {} as WorkerData;

/** The workers that were started; they do nothing. */
const started: FakeWorker[] = [];
class FakeWorker {
  onmessage: (() => void) | null = null;
  onerror: ((event: { preventDefault(): void; message?: string }) => void) | null = null;
  posted: unknown[] = [];
  constructor(readonly url: unknown) {
    started.push(this);
  }
  postMessage(message: unknown): void {
    this.posted.push(message);
  }
  fail(message?: string): void {
    this.onerror?.({ preventDefault: () => undefined, message });
  }
}

// A window of Electron has Node's modules and the workers of a page.
beforeEach(() => {
  electron.type = 'renderer';
  started.length = 0;
  vi.stubGlobal('Worker', FakeWorker);
});
afterEach(() => {
  delete electron.type;
  delete (globalThis as { [POLICY]?: unknown })[POLICY];
  vi.unstubAllGlobals();
});

async function spawnWith(workerUrl?: string): Promise<{ worker: FakeWorker; failures: string[] }> {
  const failures: string[] = [];
  const spawn = await findSpawn(workerUrl);
  spawn?.(data, (reason) => failures.push(reason));
  return { worker: started[0], failures };
}

describe('a worker of a page', () => {
  it('is started from memory, and gets its data', async () => {
    const { worker } = await spawnWith();
    expect(String(worker.url)).toMatch(/^blob:/);
    expect(worker.posted).toEqual([data]);
  });

  it('is started from the file that was given', async () => {
    expect((await spawnWith('/worker.js')).worker.url).toBe('/worker.js');
  });

  it('is not used in Node', async () => {
    delete electron.type;
    expect(await findSpawn()).not.toBeNull();
    vi.stubGlobal('Worker', undefined);
    electron.type = 'renderer';
    expect(await findSpawn()).toBeNull();
  });

  it.each([
    [undefined, /add blob: to worker-src, or serve the file zfnet\/worker\.js and pass its address as init\(\{ workerUrl \}\)/],
    ['/none.js', /^\/none\.js could not be loaded; serve the file zfnet\/worker\.js there/],
  ])('that is not loaded names the way out, with workerUrl %s', async (url, reason) => {
    const { worker, failures } = await spawnWith(url);
    worker.fail();
    expect(failures).toEqual([expect.stringMatching(reason)]);
  });

  it('that fails later gives its own reason', async () => {
    const { worker, failures } = await spawnWith();
    worker.onmessage?.();
    worker.fail('out of memory');
    worker.fail();
    expect(failures).toEqual(['out of memory', 'it stopped']);
  });

  it('has an address of the policy zfnet, which is made once', async () => {
    const createPolicy = vi.fn((_name: string, rules: { createScriptURL(url: string): string }) => ({
      createScriptURL: (url: string) => ({ trusted: rules.createScriptURL(url) }),
    }));
    vi.stubGlobal('trustedTypes', { createPolicy });
    expect((await spawnWith('/worker.js')).worker.url).toEqual({ trusted: '/worker.js' });
    await spawnWith('/worker.js');
    expect(createPolicy.mock.calls.map(([name]) => name)).toEqual(['zfnet']);
  });

  it('cannot be started where the policy is refused, with a reason that names it', async () => {
    const refuse = () => {
      throw new TypeError('Policy "zfnet" disallowed.');
    };
    vi.stubGlobal('trustedTypes', { createPolicy: refuse });
    await expect(spawnWith()).rejects.toThrow(BackendError);
    await expect(spawnWith()).rejects.toThrow(/trusted-types zfnet/);
  });
});
