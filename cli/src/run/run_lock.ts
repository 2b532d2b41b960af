/**
 * A lock on a run's folder, so that no two processes write one run: a file that names its holder. It is made by a hard link, which appears
 * whole or not at all. While the lock is held, a thread writes to the file every few seconds: its time of change tells processes that
 * cannot look at the holder (in another container or on another machine) that it lives. The lock of a dead process is taken over.
 *
 * Whoever replaces or removes a lock L first creates the claim of L, a file named after L's content. One process at a time has it, so two
 * processes that find the same stale lock cannot both replace it, and neither can replace a newer lock.
 */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { link, lstat, mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { ZfnetError } from 'zfnet';
import { checkFolder, ignoring, openRegular } from '../files/confined_path.js';
import { FileError } from '../files/file_error.js';
import { codeOf, createFile, temporaryFor, writeError } from '../files/write_file.js';
import { type FoundHolder, HEARTBEAT_SECONDS, isAlive, isVisible, parseHolder, STALE_SECONDS, thisHolder } from './lock_holder.js';
import { LOCK, type WriteGuard } from './run_folder.js';

/** Another process is at work on the run. */
export class RunLockedError extends ZfnetError {
  override name = 'RunLockedError';
}

export interface RunLock {
  /** Throws `RunLockedError` where the lock was taken away; called before each write. */
  check: WriteGuard;
  /** Gives the lock back, and removes the folder again if it was made for nothing. */
  release(): Promise<void>;
}

/** Attempts at a lock that others take and leave at the same moment. */
const ATTEMPTS = 10;
/** A lock that cannot be read may be under way, where the file system has no hard links; seconds after which it counts as left behind. */
const HALF_WRITTEN_SECONDS = 10;

/**
 * Takes the lock of a folder, which is made where it is missing.
 *
 * @throws RunLockedError naming the process that holds it
 */
export async function lockRun(folder: string): Promise<RunLock> {
  await checkFolder(folder);
  const path = join(folder, LOCK);
  const own = `${JSON.stringify(await thisHolder())}\n`;
  const made = await makeFolder(folder);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await wait(10 + Math.random() * 20 * attempt);
    if (await create(path, own)) return heldLock(folder, path, own, made);
    const found = await look(path);
    if (found === null) continue;
    if (await isInUse(path, found)) {
      if (found.holder) throw new RunLockedError(await lockedMessage(folder, found.holder, await silenceOf(path, found)));
    } else if (await takeOver(path, found.text, own)) return heldLock(folder, path, own, made);
  }
  throw new RunLockedError(`${path}: other processes keep taking and leaving this lock; try again`);
}

function heldLock(folder: string, path: string, own: string, made: boolean): RunLock {
  const heartbeat = startHeartbeat(path, own);
  // Where the process ends at once, by process.exit.
  const onExit = () => {
    try {
      if (readFileSync(path, 'utf8') === own) rmSync(path);
    } catch {
      // It is gone already.
    }
  };
  process.on('exit', onExit);
  return {
    async check() {
      const found = await look(path);
      if (found?.text === own) return;
      const now = found?.holder ? `process ${found.holder.pid} on ${found.holder.host} has it now` : 'it was removed or replaced';
      throw new RunLockedError(
        `${path}: this process no longer holds the lock of the run (${now}); it stops, so that no two write one run`,
      );
    },
    async release() {
      process.off('exit', onExit);
      await heartbeat.terminate();
      const claim = claimOf(path, own);
      if (await create(claim, own)) {
        if ((await look(path))?.text === own) await rm(path, { force: true });
        await rm(claim, { force: true });
      }
      // The folder is empty only where nothing came of the work.
      if (made) await rmdir(folder).catch(() => undefined);
    },
  };
}

/** Writes the last byte of the lock file again every few seconds, in a thread of its own: the main thread may compute for minutes. */
function startHeartbeat(path: string, own: string): Worker {
  const program = `
    const { workerData: { path, own, flags, ms } } = require('node:worker_threads');
    const fs = require('node:fs');
    const file = fs.openSync(path, flags);
    if (fs.readFileSync(file, 'utf8') === own)
      setInterval(() => {
        try {
          fs.writeSync(file, '\\n', Buffer.byteLength(own) - 1);
          fs.fsyncSync(file);
        } catch {}
      }, ms);`;
  const workerData = { path, own, flags: 'r+', ms: HEARTBEAT_SECONDS * 1000 };
  const worker = new Worker(program, { eval: true, workerData, execArgv: [] });
  // The lock may be gone before the thread is up.
  worker.on('error', () => undefined);
  worker.unref();
  return worker;
}

/** Whether the folder had to be made. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    return (await mkdir(folder, { recursive: true })) !== undefined;
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** Puts a lock or a claim in place, whole. False where there is one. */
async function create(path: string, text: string): Promise<boolean> {
  const bytes = new TextEncoder().encode(text);
  const temporary = temporaryFor(path);
  try {
    await createFile(temporary, bytes);
    await link(temporary, path);
    return true;
  } catch (error) {
    // ENOENT: the holder of the lock removed leftovers just now. Over a network a link may be made and still be reported as failed.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return (await look(path))?.text === text;
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK'].includes(codeOf(error) ?? '')) throw writeError(path, error);
  } finally {
    await rm(temporary, { force: true });
  }
  // This file system has no hard links: for a moment, others may see half a lock.
  try {
    await createFile(path, bytes);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw writeError(path, error);
  }
}

const claimOf = (path: string, text: string): string => `${path}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}.part`;

/** Claims upon claims upon claims: their processes died one after the other, each in taking over from the one before. */
const DEEPEST = 3;

/** Replaces a stale lock by this process's own. False where another process was faster. */
async function takeOver(path: string, stale: string, own: string, depth = 0): Promise<boolean> {
  const claim = claimOf(path, stale);
  if (!(await create(claim, own))) {
    const other = await look(claim);
    if (other === null || depth === DEEPEST) return false;
    if (await isInUse(claim, other)) return false;
    if (!(await takeOver(claim, other.text, own, depth + 1))) return false;
  }
  if ((await look(path))?.text === stale) await rename(claim, path).catch(ignoring('ENOENT'));
  else await rm(claim, { force: true });
  return (await look(path))?.text === own;
}

interface Found {
  text: string;
  /** Null for a file that no process has written as a lock. */
  holder: FoundHolder | null;
  /** When the file was last written, by the clock of its file system. */
  mtimeMs: number;
}

/** The lock or claim at a path, or null where there is none. */
async function look(path: string): Promise<Found | null> {
  try {
    if (!(await lstat(path)).isFile()) throw new FileError(`${path} is not a regular file; remove it`);
    const file = await openRegular(path);
    try {
      const [{ mtimeMs }, text] = [await file.stat(), await file.readFile('utf8')];
      return { text, holder: parseHolder(text), mtimeMs };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function isInUse(path: string, found: Found): Promise<boolean> {
  const silentSeconds = await silenceOf(path, found);
  return found.holder ? await isAlive(found.holder, silentSeconds) : silentSeconds < HALF_WRITTEN_SECONDS;
}

/** Seconds since a lock was last written. */
const silenceOf = async (path: string, { mtimeMs }: Found): Promise<number> => ((await clockOf(path)) - mtimeMs) / 1000;

/** The time now by the clock that stamps files beside `path`: on a network drive, the server's. */
async function clockOf(path: string): Promise<number> {
  const temporary = temporaryFor(path);
  try {
    const file = await open(temporary, 'wx');
    return await file
      .stat()
      .then(({ mtimeMs }) => mtimeMs)
      .finally(() => file.close());
  } catch {
    return Date.now();
  } finally {
    await rm(temporary, { force: true });
  }
}

async function lockedMessage(folder: string, holder: FoundHolder, silentSeconds: number): Promise<string> {
  const { pid, host, since, boot } = holder;
  const elsewhere = host !== hostname();
  const says = `${folder} is being written by process ${pid}${elsewhere ? ` on ${host}` : ''}, since ${since}. `;
  if (await isVisible(holder)) return `${says}Wait for it, or stop it by: kill -INT ${pid}; or take another folder for --out`;
  if (boot === undefined) return `${says}Wait for it; if it is gone for certain, remove ${join(folder, LOCK)}`;
  const last = Math.max(0, Math.round(silentSeconds));
  return (
    `${says}It runs in another container or on another machine; its last sign of life was ${last} s ago. Wait for it; ` +
    `after ${STALE_SECONDS} s without one its lock is taken over. If it is gone for certain, remove ${join(folder, LOCK)}`
  );
}
