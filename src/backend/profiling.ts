/** Profiling of a backend that computes while it is called: wraps its kernels with timers. */
import type { Backend, KernelListener } from './backend.js';
import { BackendError } from './errors.js';

type Method = (...args: unknown[]) => unknown;

/** Methods of a backend that are not kernels. */
const UNTIMED: readonly string[] = [
  'info',
  'allocate',
  'release',
  'memory',
  'resetPeak',
  'synchronize',
  'dispose',
  'profileKernels',
  'measureCeiling',
  'compileKernels',
  'conv2dPlan',
] satisfies (keyof Backend)[];

const profiled = new WeakSet<Backend>();

/**
 * Times every kernel of a backend with the clock of the calling thread and reports it to the listener, until the returned function is
 * called. That function restores the kernels and returns the sum of the durations in milliseconds.
 *
 * @throws BackendError if the backend is already being profiled
 */
export function profileKernels(backend: Backend, listener: KernelListener): () => number {
  if (profiled.has(backend)) throw new BackendError('profile: got a backend that is already being profiled; await the other profile first');
  profiled.add(backend);
  const methods = backend as unknown as Record<string, unknown>;
  const originals = Object.entries(methods).filter(
    (entry): entry is [string, Method] => typeof entry[1] === 'function' && !UNTIMED.includes(entry[0]),
  );
  let sum = 0;
  for (const [kernel, original] of originals) {
    methods[kernel] = (...args: unknown[]): unknown => {
      const report = listener(kernel, args);
      const start = performance.now();
      const result = original.apply(backend, args);
      const end = performance.now();
      sum += end - start;
      report(start, end);
      return result;
    };
  }
  return () => {
    for (const [kernel, original] of originals) methods[kernel] = original;
    profiled.delete(backend);
    return sum;
  };
}
