/** Records the kernel calls of a backend, with the durations that the backend reports. */
import type { Backend, ThreadTime } from '../backend/backend.js';
import { currentLayer, listenToSpans, type SpanListener } from '../tensor/graph/spans.js';
import { type Cost, costOf } from './costs.js';

/** One call of a kernel. Times are in milliseconds since the start of the recording, as the backend reports them. */
export interface KernelCall {
  kernel: string;
  /** Path of the layer that called the kernel, or ''. */
  layer: string;
  start: number;
  end: number;
  /** Bytes allocated for tensors at the beginning of the call. */
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
  /** Beginning of the recording, by `performance.now()`. */
  started: number;
  /** Time that each thread of the backend spent computing. */
  threads: readonly ThreadTime[];
}
/**
 * Runs `fn` and records all kernel calls of `backend` until it and the work that it queued have finished.
 *
 * @throws BackendError if another recording of this backend is running
 */
export async function record(backend: Backend, fn: () => unknown): Promise<Recording> {
  const calls: NotedCall[] = [];
  const spans: RecordedSpan[] = [];
  const end = backend.profileKernels((kernel, args) => {
    const call = { kernel, layer: currentLayer(), start: Number.NaN, end: Number.NaN, args, heldBytes: backend.memory().bytes };
    calls.push(call);
    return (start, end) => {
      call.start = start;
      call.end = end;
    };
  });
  const started = performance.now();
  const before = listenToSpans(spanRecorder(() => performance.now() - started, spans));
  let threads: ThreadTime[] = [];
  let wallMs = 0;
  try {
    await fn();
    await backend.synchronize();
    wallMs = performance.now() - started;
  } finally {
    listenToSpans(before);
    threads = await end();
  }
  return { calls: calls.map((call) => finished(backend, call, started)), spans, wallMs, started, threads };
}

/** Returns a recorded call with its cost and with times since `origin`. */
function finished(backend: Backend, { args, ...call }: NotedCall, origin: number): KernelCall {
  return { ...call, start: call.start - origin, end: call.end - origin, cost: costOf(backend, call.kernel, args) };
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
