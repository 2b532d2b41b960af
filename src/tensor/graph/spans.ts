/**
 * Named spans of work, such as the forward or backward step of a layer. A recorded operation stores the layer in which it ran. A listener
 * (the profiler) is notified when a span begins and ends; without a listener, spans cost almost nothing.
 */
import { checkArgument, func } from '../../backend/validate.js';
import { context, type SpanListener } from '../context.js';

export type { SpanListener };

/** Returns the path of the layer that is running, such as `block1.conv2`; empty outside of all layers. */
export const currentLayer = (): string => context.layer;

/** Runs `fn` as the layer `name` inside the layer that is running. */
export function inLayer<T>(name: string, fn: () => T): T {
  return withLayer(context.layer === '' ? name : `${context.layer}.${name}`, fn);
}

/** Runs `fn` as the layer with this full path; `name` is the name of the span, by default the path. */
export function withLayer<T>(path: string, fn: () => T, name = path): T {
  const before = context.layer;
  context.layer = path;
  try {
    return span(name, fn);
  } finally {
    context.layer = before;
  }
}

/** Runs `fn` as a named span, shown in traces of the profiler, and returns its result. */
export function span<T>(name: string, fn: () => T): T {
  checkArgument('span', 'the function', fn, func);
  const active = context.listener;
  if (!active) return fn();
  active.begin(name);
  try {
    return fn();
  } finally {
    active.end();
  }
}

/** Makes `next` the listener of all spans that begin from now on, and returns the previous listener. */
export function listenToSpans(next: SpanListener | null): SpanListener | null {
  const before = context.listener;
  context.listener = next;
  return before;
}
