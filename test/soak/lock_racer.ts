/**
 * A process that takes the lock of a run again and again: `lock_racer.ts FOLDER TIMES SEED`. While it has the lock, a file of its own
 * making lies beside it; another process's file there means that two had the lock at once. It prints `N taken` and ends with
 * status 9 where that happened.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';

const [folder, times, seed] = process.argv.slice(2);
const { lockRun, RunLockedError } = await import(resolve(import.meta.dirname, '../../cli/src/run/run_lock.ts'));
const inside = join(folder, 'inside.txt');
const random = new Random(seed);
let taken = 0;

/** Whether the process that wrote the file is alive. */
function someoneElse(): boolean {
  try {
    const pid = Number(readFileSync(inside, 'utf8'));
    if (pid === process.pid) return false;
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (let i = 0; i < Number(times); i++) {
  try {
    const lock = await lockRun(folder);
    if (someoneElse()) process.exit(9);
    writeFileSync(inside, String(process.pid));
    await wait(random.below(20));
    // Some die with the lock in their hands.
    if (random.chance(0.03)) process.kill(process.pid, 'SIGKILL');
    if (Number(readFileSync(inside, 'utf8')) !== process.pid) process.exit(9);
    rmSync(inside);
    await lock.release();
    taken++;
  } catch (error) {
    if (!(error instanceof RunLockedError)) throw error;
  }
  await wait(random.below(30));
}
process.stdout.write(`${taken} taken\n`);
