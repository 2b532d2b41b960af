/**
 * A recording in Chrome's trace event format, which https://ui.perfetto.dev and chrome://tracing open: kernels inside the layers
 * that they worked for, and the memory that tensors held. Times are in microseconds.
 *
 * Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Recording } from './recorder.js';

/** `X`: a stretch of time; `C`: a value from here on; `M`: a name for a process or a thread. */
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

export interface Trace {
  traceEvents: TraceEvent[];
  displayTimeUnit: 'ms';
}

const PLACE = { pid: 1, tid: 1 };

export function traceOf({ calls, spans }: Recording): Trace {
  const named = (what: 'process_name' | 'thread_name', name: string): TraceEvent => ({
    name: what,
    ph: 'M',
    ...PLACE,
    ts: 0,
    args: { name },
  });
  const stretch = (name: string, cat: string, start: number, end: number, args: TraceEvent['args']): TraceEvent => ({
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
      named('thread_name', 'kernels and the layers they work for'),
      ...spans.map(({ name, start, end }) => stretch(name, 'layer', start, end, {})),
      ...calls.flatMap(({ kernel, layer, start, end, cost, heldBytes }): TraceEvent[] => {
        const { shape, flop, bytes, plan } = cost;
        const speed: TraceEvent['args'] = flop > 0 ? { 'GFLOP/s': flop / (end - start) / 1e6 } : {};
        return [
          stretch(kernel, 'kernel', start, end, { shape, bytes, ...speed, ...(plan && { plan }), ...(layer && { layer }) }),
          { name: 'tensors', ph: 'C', ...PLACE, ts: 1e3 * end, args: { bytes: heldBytes } },
        ];
      }),
    ],
  };
}
