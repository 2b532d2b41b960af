/** Records the kernel calls of a backend and their durations, by wrapping its methods with timers. */
import type { Backend } from '../backend/backend.js';
import { BackendError } from '../backend/errors.js';
import { currentLayer, listenToSpans, type SpanListener } from '../tensor/graph/spans.js';
import { type Cost, costOf } from './costs.js';

/** One call of a kernel. Times are in milliseconds since the start of the recording. */
export interface KernelCall {
  kernel: string;
  /** Path of the layer that called the kernel, or ''. */
  layer: string;
  start: number;
  end: number;
  /** Bytes allocated for tensors at the end of the call. */
  heldBytes: number;
  cost: Cost;
}

/** A call as it is stored while the function runs. Its cost is computed from the arguments afterwards, to disturb the timing less. */
type NotedCall = Omit<KernelCall, 'cost'> & { args: readonly unknown[] };

/** A named span of work: see `span`. Times are in milliseconds since the start of the recording. */
export interface RecordedSpan {
  name: string;
  start: number;
  end: number;
}

/** All kernel calls and spans of a profiled function. */
export interface Recording {
  calls: readonly KernelCall[];
  spans: readonly RecordedSpan[];
  wallMs: number;
}

type Method = (...args: unknown[]) => unknown;

/** Methods of a backend that are not kernels. */
const UNTIMED: readonly string[] = [
  'info',
  'allocate',
  'release',
  'memory',
  'resetPeak',
  'dispose',
  'conv2dPlan',
] satisfies (keyof Backend)[];

const recorded = new WeakSet<Backend>();

/**
 * Runs `fn` and records all kernel calls of `backend` until it has finished.
 *
 * @throws BackendError if another recording of this backend is running
 */
export async function record(backend: Backend, fn: () => unknown): Promise<Recording> {
  if (recorded.has(backend)) throw new BackendError('profile: got a backend that is already being profiled; await the other profile first');
  const calls: NotedCall[] = [];
  const spans: RecordedSpan[] = [];
  const started = performance.now();
  const now = () => performance.now() - started;
  recorded.add(backend);
  const unwrap = wrapKernels(backend, now, calls);
  const before = listenToSpans(spanRecorder(now, spans));
  try {
    await fn();
    const wallMs = now();
    return { calls: calls.map(({ args, ...call }) => ({ ...call, cost: costOf(backend, call.kernel, args) })), spans, wallMs };
  } finally {
    listenToSpans(before);
    unwrap();
    recorded.delete(backend);
  }
}

/** Wraps every kernel of a backend with a timer and returns a function that restores the kernels. */
function wrapKernels(backend: Backend, now: () => number, calls: NotedCall[]): () => void {
  const methods = backend as unknown as Record<string, unknown>;
  const originals = Object.entries(methods).filter(
    (entry): entry is [string, Method] => typeof entry[1] === 'function' && !UNTIMED.includes(entry[0]),
  );
  for (const [kernel, original] of originals) {
    methods[kernel] = (...args: unknown[]): unknown => {
      const start = now();
      const result = original.apply(backend, args);
      const end = now();
      calls.push({ kernel, layer: currentLayer(), start, end, args, heldBytes: backend.memory().bytes });
      return result;
    };
  }
  return () => {
    for (const [kernel, original] of originals) methods[kernel] = original;
  };
}

/** Returns a listener that appends each span to `spans`. */
function spanRecorder(now: () => number, spans: RecordedSpan[]): SpanListener {
  const open: RecordedSpan[] = [];
  return {
    begin(name) {
      const span = { name, start: now(), end: Number.NaN };
      open.push(span);
      spans.push(span);
    },
    end() {
      const span = open.pop();
      if (span) span.end = now();
    },
  };
}
