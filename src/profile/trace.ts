/**
 * Converts a recording to Chrome's trace event format for https://ui.perfetto.dev and chrome://tracing. The trace shows kernels inside
 * the layers that called them, and the memory of tensors. Times are in microseconds.
 *
 * Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Recording } from './recorder.js';

/** One event. `ph` is its kind: `X` for a span, `C` for the value of a counter, `M` for the name of a process or thread. */
export interface TraceEvent {
  name: string;
  ph: 'X' | 'C' | 'M';
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  cat?: string;
  args: Record<string, string | number>;
}

/** A trace file. */
export interface Trace {
  traceEvents: TraceEvent[];
  displayTimeUnit: 'ms';
}

const PLACE = { pid: 1, tid: 1 };

/** Returns the trace of a recording. */
export function traceOf({ calls, spans }: Recording): Trace {
  const named = (what: 'process_name' | 'thread_name', name: string): TraceEvent => ({
    name: what,
    ph: 'M',
    ...PLACE,
    ts: 0,
    args: { name },
  });
  const spanEvent = (name: string, cat: string, start: number, end: number, args: TraceEvent['args']): TraceEvent => ({
    name,
    cat,
    ph: 'X',
    ...PLACE,
    ts: 1e3 * start,
    dur: 1e3 * (end - start),
    args,
  });
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      named('process_name', 'zfnet'),
      named('thread_name', 'kernels and the layers that called them'),
      ...spans.map(({ name, start, end }) => spanEvent(name, 'layer', start, end, {})),
      ...calls.flatMap(({ kernel, layer, start, end, cost, heldBytes }): TraceEvent[] => {
        const { shape, flop, bytes, plan } = cost;
        const speed: TraceEvent['args'] = flop > 0 ? { 'GFLOP/s': flop / (end - start) / 1e6 } : {};
        return [
          spanEvent(kernel, 'kernel', start, end, { shape, bytes, ...speed, ...(plan && { plan }), ...(layer && { layer }) }),
          { name: 'tensors', ph: 'C', ...PLACE, ts: 1e3 * start, args: { bytes: heldBytes } },
        ];
      }),
    ],
  };
}
