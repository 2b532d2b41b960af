/** Times the calls of a backend's kernels: puts a stopwatch in front of each, and takes it away again. */
import type { Backend } from '../backend/backend.js';
import { BackendError } from '../backend/errors.js';
import { currentLayer, listenToSpans, type SpanListener } from '../tensor/graph/spans.js';
import { type Cost, costOf } from './costs.js';

/** One call of a kernel. Times are in milliseconds since the start of the recording. */
export interface KernelCall {
  kernel: string;
  /** The layer that it worked for, or ''. */
  layer: string;
  start: number;
  end: number;
  /** Bytes that tensors held when it ended. */
  heldBytes: number;
  cost: Cost;
}

/** A call as it is noted while time runs: what it was given, so that its cost can be worked out later. */
type NotedCall = Omit<KernelCall, 'cost'> & { args: readonly unknown[] };

/** A stretch of work with a name. */
export interface RecordedSpan {
  name: string;
  start: number;
  end: number;
}

export interface Recording {
  calls: readonly KernelCall[];
  spans: readonly RecordedSpan[];
  wallMs: number;
}

type Method = (...args: unknown[]) => unknown;

/** What a backend does besides computing and moving numbers. */
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
 * Runs `fn` and records the kernels that `backend` runs meanwhile, whoever asks for them.
 *
 * @throws BackendError where a recording on this backend has not ended yet
 */
export async function record(backend: Backend, fn: () => unknown): Promise<Recording> {
  if (recorded.has(backend)) throw new BackendError('profile: this backend is being profiled already; wait for that to end');
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

/** Puts a stopwatch in front of every kernel of this backend; what it returns takes them away. */
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
