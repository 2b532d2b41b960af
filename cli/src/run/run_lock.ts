/**
 * Locks the folder of a run, so that two processes never write the same run. The lock is a file that names its holder. It is created by a
 * hard link, which is atomic. While the lock is held, a thread writes to the file every few seconds (the heartbeat): its modification time
 * tells processes in other containers or on other machines, which cannot inspect the holder, that it is alive. The lock of a dead process
 * is taken over.
 *
 * Before a process replaces or removes a lock, it creates the claim of this lock: a file named after the hash of the lock's content. Only
 * one process at a time can hold a claim, so two processes that find the same stale lock cannot both replace it, and neither can replace a
 * newer lock.
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

/** Thrown if another process holds the lock of the run. */
export class RunLockedError extends ZfnetError {
  override name = 'RunLockedError';
}

export interface RunLock {
  /** Throws `RunLockedError` if this process has lost the lock; called before each write. */
  check: WriteGuard;
  /** Releases the lock, and removes the folder if `lockRun` created it and it is still empty. */
  release(): Promise<void>;
}

/** Number of attempts to take a lock that other processes take and release at the same time. */
const ATTEMPTS = 10;
/**
 * Seconds after which an invalid lock file counts as abandoned. Without hard links, a valid one may still be in the middle of being
 * written.
 */
const HALF_WRITTEN_SECONDS = 10;

/**
 * Takes the lock of a folder, and creates the folder if it does not exist.
 *
 * @throws RunLockedError that names the process holding the lock
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
  throw new RunLockedError(`${path}: other processes keep taking and releasing this lock; try again`);
}

function heldLock(folder: string, path: string, own: string, made: boolean): RunLock {
  const heartbeat = startHeartbeat(path, own);
  // Removes the lock if `process.exit` ends the process at once.
  const onExit = () => {
    try {
      if (readFileSync(path, 'utf8') === own) rmSync(path);
    } catch {
      // The lock file no longer exists.
    }
  };
  process.on('exit', onExit);
  return {
    async check() {
      const found = await look(path);
      if (found?.text === own) return;
      const now = found?.holder ? `process ${found.holder.pid} on ${found.holder.host} holds it now` : 'it was removed or replaced';
      throw new RunLockedError(
        `${path}: this process no longer holds the lock of the run (${now}); it stops, so that two processes never write the same run`,
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
      // Fails, as intended, if the folder contains files.
      if (made) await rmdir(folder).catch(() => undefined);
    },
  };
}

/** Starts a thread that rewrites the last byte of the lock file every few seconds; the main thread may be busy for minutes. */
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
  // The lock may be released before the thread has started.
  worker.on('error', () => undefined);
  worker.unref();
  return worker;
}

/** Creates the folder if it does not exist. Returns whether it created one. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    return (await mkdir(folder, { recursive: true })) !== undefined;
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** Creates a lock or claim file atomically. Returns false if it exists. */
async function create(path: string, text: string): Promise<boolean> {
  const bytes = new TextEncoder().encode(text);
  const temporary = temporaryFor(path);
  try {
    await createFile(temporary, bytes);
    await link(temporary, path);
    return true;
  } catch (error) {
    // ENOENT: the holder of the lock has removed temporary files. On a network drive a link may be created although an error is reported.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return (await look(path))?.text === text;
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK'].includes(codeOf(error) ?? '')) throw writeError(path, error);
  } finally {
    await rm(temporary, { force: true });
  }
  // Without hard links, other processes may see a partly written lock for a moment.
  try {
    await createFile(path, bytes);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw writeError(path, error);
  }
}

const claimOf = (path: string, text: string): string => `${path}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}.part`;

/** Largest depth of nested claims, which arise when processes die while they take over a claim. */
const DEEPEST = 3;

/** Replaces a stale lock by the lock of this process. Returns false if another process was faster. */
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
  /** Null if the content is not a valid lock. */
  holder: FoundHolder | null;
  /** Modification time of the file, by the clock of its file system. */
  mtimeMs: number;
}

/** Reads the lock or claim at a path. Returns null if there is none. */
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

/** Returns the seconds since a lock was last written. */
const silenceOf = async (path: string, { mtimeMs }: Found): Promise<number> => ((await clockOf(path)) - mtimeMs) / 1000;

/** Returns the current time by the clock of the file system of `path`: on a network drive, that of the server. */
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
  if (await isVisible(holder)) return `${says}Wait for it, or stop it by: kill -INT ${pid}; or use another folder for --out`;
  if (boot === undefined) return `${says}Wait for it; if it is certainly no longer running, remove ${join(folder, LOCK)}`;
  const last = Math.max(0, Math.round(silentSeconds));
  return (
    `${says}It runs in another container or on another machine; its last heartbeat was ${last} s ago. Wait for it; ` +
    `after ${STALE_SECONDS} s without a heartbeat its lock is taken over. If it is certainly no longer running, remove ${join(folder, LOCK)}`
  );
}
