// Ends a test runner that takes longer than its time: says what was running, prints the counts, and ends the process with all that it
// started. It runs in a thread of its own, so that it also ends a runner whose main thread waits for a command.
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Returns the processes that a process started, those that they started, and so on. Only Linux says so; elsewhere the list is empty. */
function descendants(of) {
  const parents = new Map();
  try {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        // The name in brackets may contain spaces and brackets itself.
        const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
        parents.set(Number(pid), Number(parent));
      } catch {
        // The process has ended.
      }
    }
  } catch {
    return [];
  }
  const found = [of];
  for (const each of found) for (const [pid, parent] of parents) if (parent === each) found.push(pid);
  return found.slice(1);
}

/** Ends all processes that this process started and that still run. */
export function endDescendants() {
  for (const pid of descendants(process.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  }
}

/**
 * Starts the watchdog.
 *
 * @returns a function that is told what is running and the counts so far: `{ running, passed, failed, skipped }`
 */
export function startWatchdog(minutes) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { watchdogMinutes: minutes } });
  worker.unref();
  // Browsers have process groups of their own, which a signal to the group of this process does not reach.
  process.once('SIGTERM', () => {
    endDescendants();
    process.exit(143);
  });
  return (state) => worker.postMessage(state);
}

if (!isMainThread && workerData?.watchdogMinutes) {
  const minutes = workerData.watchdogMinutes;
  let state = { running: 'the start', passed: 0, failed: 0, skipped: 0 };
  parentPort.on('message', (next) => {
    state = next;
  });
  setTimeout(() => {
    const { running, passed, failed, skipped } = state;
    writeSync(1, `FAILED  ${running}: still running at the end of the ${minutes} minutes that all checks have\n`);
    writeSync(1, `${passed} passed, ${failed + 1} failed, ${skipped} skipped\n`);
    endDescendants();
    process.kill(process.pid, 'SIGKILL');
  }, minutes * 60_000);
}
