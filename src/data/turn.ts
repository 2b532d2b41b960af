/** Long work in one thread, and everybody else's turn. */

/** Lets timers, signals, progress bars and finished reads have their turn. */
export function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
