/**
 * What is at work, by name: layers, and steps back through what they recorded. Operations remember the layer they ran in, and a
 * listener, the profiler, hears of each beginning and end. With nobody listening this costs next to nothing.
 */

import { checkArgument, func } from '../../backend/validate.js';

/** Hears of stretches of work. They are nested: each ends before the one around it. */
export interface SpanListener {
  begin(name: string): void;
  end(): void;
}

let listener: SpanListener | null = null;
let layer = '';

/** The layer that runs now, those around it in front: `block1.conv2`. Empty outside of all. */
export const currentLayer = (): string => layer;

/** Runs `fn` as the work of a layer inside the one that runs now. */
export function inLayer<T>(name: string, fn: () => T): T {
  return withLayer(layer === '' ? name : `${layer}.${name}`, fn);
}

/** Runs `fn` as the work of the layer at this path, whichever runs now; a span has another `name` where there is no layer. */
export function withLayer<T>(path: string, fn: () => T, name = path): T {
  const before = layer;
  layer = path;
  try {
    return span(name, fn);
  } finally {
    layer = before;
  }
}

/** Runs `fn` as a stretch of work with a name. */
export function span<T>(name: string, fn: () => T): T {
  checkArgument('span', 'the function', fn, func);
  const hearing = listener;
  if (!hearing) return fn();
  hearing.begin(name);
  try {
    return fn();
  } finally {
    hearing.end();
  }
}

/** Has `next` hear of all spans that begin from now on, and returns who did before. */
export function listenToSpans(next: SpanListener | null): SpanListener | null {
  const before = listener;
  listener = next;
  return before;
}
