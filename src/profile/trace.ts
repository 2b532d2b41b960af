/**
 * Converts a recording to Chrome's trace event format for https://ui.perfetto.dev and chrome://tracing. The trace shows kernels inside
 * the layers that called them, and the memory of tensors. Times are in microseconds.
 *
 * Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
import type { Recording } from './recorder.js';

/** One event. `ph` is its kind: `X` for a span, `C` for the value of a counter, `M` for the name of a process or thread. */
export interface TraceEvent {
  /** Kernel, layer or counter that the event belongs to. */
  name: string;
  /** Phase of the event: `X` a span, `C` a counter value, `M` the name of a process or thread. */
  ph: 'X' | 'C' | 'M';
  /** Process number; always 1, since a trace covers one process. */
  pid: number;
  /** Thread number, which is the row in the viewer; 1 for the calling thread. */
  tid: number;
  /** Start in microseconds since the profile began. */
  ts: number;
  /** Duration in microseconds; only for spans. */
  dur?: number;
  /** Category for filters in the viewer: `kernel` or `layer`; only for spans. */
  cat?: string;
  /** Details that viewers show for a selected event, such as shape, bytes and GFLOP/s. */
  args: Record<string, string | number>;
}

/** A trace file. */
export interface Trace {
  /** The events; viewers sort them by time. */
  traceEvents: TraceEvent[];
  /** Unit in which viewers show times. The events themselves are in microseconds. */
  displayTimeUnit: 'ms';
}

/** Tracks of the trace: the calling thread, and the device if the backend has one. */
const HOST = { pid: 1, tid: 1 };
const DEVICE = { pid: 1, tid: 2 };

type Place = typeof HOST;

const named = (what: 'process_name' | 'thread_name', place: Place, name: string): TraceEvent => ({
  name: what,
  ph: 'M',
  ...place,
  ts: 0,
  args: { name },
});

const spanEvent = (place: Place, name: string, cat: string, start: number, end: number, args: TraceEvent['args']): TraceEvent => ({
  name,
  cat,
  ph: 'X',
  ...place,
  ts: 1e3 * start,
  dur: 1e3 * (end - start),
  args,
});

/**
 * Returns the trace of a recording. On a device, the kernels and their dispatches are on a track of their own, at the times when the device
 * computed them; the layers are where the calling thread recorded them.
 */
export function traceOf({ calls, spans, threads, started }: Recording): Trace {
  const queue = threads.find((thread) => thread.queue)?.queue;
  const place = queue ? DEVICE : HOST;
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      named('process_name', HOST, 'zfnet'),
      named('thread_name', HOST, queue ? 'layers, while their commands are recorded' : 'kernels and the layers that called them'),
      ...(queue ? [named('thread_name', DEVICE, 'kernels and dispatches on the device')] : []),
      ...spans.map(({ name, start, end }) => spanEvent(HOST, name, 'layer', start, end, {})),
      ...calls.flatMap(({ kernel, layer, start, end, cost, heldBytes }): TraceEvent[] => {
        const { shape, flop, bytes, plan } = cost;
        const ms = end - start;
        const speed: TraceEvent['args'] = flop > 0 && ms > 0 ? { 'GFLOP/s': flop / ms / 1e6 } : {};
        const rate: TraceEvent['args'] = queue && ms > 0 ? { 'GB/s': bytes / ms / 1e6 } : {};
        return [
          spanEvent(place, kernel, 'kernel', start, end, {
            shape,
            bytes,
            ...speed,
            ...rate,
            ...(plan && { plan }),
            ...(layer && { layer }),
          }),
          { name: 'tensors', ph: 'C', ...HOST, ts: 1e3 * start, args: { bytes: heldBytes } },
        ];
      }),
      ...(queue?.dispatches ?? []).map(({ name, start, end }) => spanEvent(DEVICE, name, 'dispatch', start - started, end - started, {})),
    ],
  };
}
