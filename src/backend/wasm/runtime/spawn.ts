/** How each runtime starts a worker thread: `worker_threads` in Node, Bun and Deno, `Worker` in pages and in Electron's windows. */
import { BackendError } from '../../errors.js';
import { nodeModule, nodeProcess } from '../../node_module.js';
import { PROGRAM, type Spawn, WEB_SCRIPT } from './worker.js';

/** Returns the number of processors of this machine. */
export async function availableThreads(): Promise<number> {
  const os = await nodeModule('node:os');
  return os?.availableParallelism?.() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** Electron's windows offer `worker_threads` but cannot start them; they have the workers of pages. */
const isElectronWindow = (): boolean => (nodeProcess as { type?: string } | undefined)?.type === 'renderer';

/**
 * Returns the function that starts a worker in this runtime, or null if it has no workers.
 *
 * @param workerUrl address of the file `zfnet/worker.js`, for pages that may not start workers from memory
 */
export async function findSpawn(workerUrl?: string): Promise<Spawn | null> {
  const threads = isElectronWindow() ? null : await nodeModule('node:worker_threads');
  if (threads?.Worker) return spawnNode(threads);
  return typeof Worker === 'undefined' ? null : spawnWeb(workerUrl);
}

const spawnNode =
  (threads: typeof import('node:worker_threads')): Spawn =>
  (workerData, onFail) => {
    // The worker does not inherit flags of the main thread, such as TypeScript loaders.
    const worker = new threads.Worker(`(${PROGRAM})(require('node:worker_threads').workerData)`, { eval: true, workerData, execArgv: [] });
    worker.on('error', (error) => onFail(error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => onFail('it ended'));
    worker.unref();
    return { terminate: () => void worker.terminate() };
  };

const spawnWeb =
  (workerUrl?: string): Spawn =>
  (data, onFail) => {
    const url = workerUrl ?? URL.createObjectURL(new Blob([WEB_SCRIPT], { type: 'text/javascript' }));
    const revoke = () => workerUrl === undefined && URL.revokeObjectURL(url);
    const worker = new Worker(trusted(url) as string);
    let isUp = false;
    worker.onmessage = () => {
      isUp = true;
      revoke();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      revoke();
      onFail(event.message || (isUp ? 'it stopped' : notLoaded(workerUrl)));
    };
    worker.postMessage(data);
    return worker;
  };

const notLoaded = (workerUrl: string | undefined): string =>
  workerUrl === undefined
    ? "the page did not let it start; if a content security policy forbids it, add blob: to worker-src, or serve the file zfnet/worker.js and pass its address as init({ workerUrl }) with worker-src 'self'"
    : `${workerUrl} could not be loaded; serve the file zfnet/worker.js there, allow it in worker-src, and send Cross-Origin-Embedder-Policy: require-corp with it`;

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
}

/** The policy is kept here, because a page may create a policy of one name only once. */
const POLICY = Symbol.for('zfnet.trusted-types');

/** Returns the address in the form that a page with Trusted Types accepts: made by the policy `zfnet`, where the runtime has policies. */
function trusted(url: string): unknown {
  const realm = globalThis as { trustedTypes?: TrustedTypes; [POLICY]?: ReturnType<TrustedTypes['createPolicy']> };
  if (!realm.trustedTypes) return url;
  try {
    realm[POLICY] ??= realm.trustedTypes.createPolicy('zfnet', { createScriptURL: (each) => each });
  } catch {
    throw new BackendError("the page's Trusted Types refuse the policy zfnet; add it to the content security policy: trusted-types zfnet");
  }
  return realm[POLICY].createScriptURL(url);
}
