// Runs checks one after the other, prints a line about each, and ends the process within a time limit, whatever is still open then.
import { endDescendants, startWatchdog } from './watchdog.mjs';

/** Returns the result of a promise; rejects after a number of seconds. */
export function within(seconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result after ${seconds} seconds`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Returns `wanted`, `check` and `finish`.
 *
 * - `check(name, fn, seconds)` runs a check whose name contains `only`. The check returns what it wants to show, or `{ skipped: reason }`;
 *   it throws if it fails.
 * - `finish()` prints "N passed, N failed, N skipped" and ends the process, with all that it started.
 */
export function startChecks({ minutes, only = '', seconds: limit = 600 }) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const tell = startWatchdog(minutes);
  const wanted = (name) => name.toLowerCase().includes(only.toLowerCase());

  async function check(name, fn, seconds = limit) {
    if (!wanted(name)) return;
    tell({ running: name, ...counts });
    const start = Date.now();
    try {
      const result = await within(seconds, Promise.resolve().then(fn));
      const skipped = result?.skipped;
      counts[skipped ? 'skipped' : 'passed']++;
      const took = `${((Date.now() - start) / 1000).toFixed(1)} s`;
      console.log(`${skipped ? 'left out' : 'ok'}  ${name}  ${took}${skipped ? `  ${skipped}` : result ? `  ${result}` : ''}`);
    } catch (error) {
      counts.failed++;
      const output = [error.message, error.stdout, error.stderr].filter(Boolean).join('\n');
      console.log(`FAILED  ${name}\n${output.slice(-3000).replace(/^/gm, '    ')}`);
    }
    tell({ running: `what follows ${name}`, ...counts });
  }

  function finish() {
    endDescendants();
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    process.exit(counts.failed > 0 ? 1 : 0);
  }

  return { wanted, check, finish };
}
