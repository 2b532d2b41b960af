/** Yields to the event loop during long computations. */

/** Resolves after pending timers, signal handlers and I/O callbacks have run. */
export function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
