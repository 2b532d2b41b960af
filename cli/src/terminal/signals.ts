/** Stopping by Ctrl-C, by `kill` and by a closed terminal. */

/** Exit status after each signal: 128 and its number. */
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Name = keyof typeof STATUS;
const NAMES = Object.keys(STATUS) as Name[];

/** npx passes Ctrl-C on to its child, which the terminal has sent it already: within this time both are one. */
const SAME_MS = 100;

/**
 * From now on the first signal calls `onFirst` with an exit status instead of ending the process. The second one ends it at once: it finds the
 * system's own action, which neither synchronous work nor a file that does not open can hold up.
 *
 * @returns what puts everything back
 */
export function catchSignals(onFirst: (status: number) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const handlers = NAMES.map((name) => [name, () => first(name)] as const);
  const restore = () => {
    clearTimeout(timer);
    for (const [name, handler] of handlers) process.off(name, handler);
  };
  const first = (name: Name) => {
    if (timer) return;
    timer = setTimeout(restore, SAME_MS);
    onFirst(STATUS[name]);
  };
  for (const [name, handler] of handlers) process.on(name, handler);
  return restore;
}
