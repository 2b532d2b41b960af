/**
 * A process of lock.test.ts: prints `ready`, then reads lines of JSON `{ folder, at }`. At the time `at` it tries to lock the folder, prints
 * `got`, `locked` or another error, and releases the lock after `holdMs`.
 */
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { lockRun, RunLockedError } from '../../cli/src/run/run_lock.js';

const say = (text: string) => process.stdout.write(`${text}\n`);
say('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const { folder, at, holdMs } = JSON.parse(line) as { folder: string; at: number; holdMs: number };
  await wait(Math.max(0, at - Date.now() - 2));
  while (Date.now() < at);
  try {
    const lock = await lockRun(folder);
    say('got');
    await wait(holdMs);
    await lock.check();
    await lock.release();
  } catch (error) {
    say(error instanceof RunLockedError ? `locked: ${error.message}` : `failed: ${error}`);
  }
}
