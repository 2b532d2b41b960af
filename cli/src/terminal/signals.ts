/** Handles the signals of Ctrl-C, `kill` and a closed terminal, so that a command can finish its files before it ends. */

/** Exit status after each signal: 128 + the number of the signal. */
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Name = keyof typeof STATUS;
const NAMES = Object.keys(STATUS) as Name[];

/** Signals within this time count as one: npx forwards Ctrl-C to its child, which has already received it from the terminal. */
const SAME_MS = 100;

/**
 * Installs handlers: the first signal calls `onFirst` with an exit status instead of ending the process. After it the handlers are removed,
 * so that the second signal has the system's default action and ends the process at once, even during synchronous work.
 *
 * @returns a function that removes the handlers
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
