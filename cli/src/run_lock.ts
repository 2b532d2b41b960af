/**
 * A lock on a run's folder, so that no two processes write one run: a file that names its holder. It is made by a hard
 * link, which appears whole or not at all, and a lock whose process has died is taken over.
 */
import { link, mkdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { codeOf, LOCK, writeError } from './run_folder.js';

interface Holder {
  pid: number;
  host: string;
  /** When the lock was taken, ISO 8601. */
  since: string;
  /** When the process began, in the system's own count; tells a process from a later one of the same number. Null where unknown. */
  born: string | null;
}

/** Another process is at work on the run. */
export class RunLockedError extends Error {
  override name = 'RunLockedError';
}

/** Attempts at a lock that others take and leave at the same moment. */
const ATTEMPTS = 10;

/**
 * Takes the lock of a folder, which is made where it is missing.
 *
 * @returns what gives the lock back, and takes the folder away again if it was made for nothing
 * @throws RunLockedError naming the process that holds it
 */
export async function lockRun(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, LOCK);
  const own: Holder = { pid: process.pid, host: hostname(), since: new Date().toISOString(), born: await birthOf(process.pid) };
  const text = `${JSON.stringify(own)}\n`;
  const made = await makeFolder(folder);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await create(path, text)) {
      return async () => {
        if ((await readText(path)) === text) await rm(path, { force: true });
        // It has something in it, as a rule.
        if (made) await rmdir(folder).catch(() => undefined);
      };
    }
    const found = await readText(path);
    if (found === null) continue;
    const holder = parse(found);
    if (holder && (await isAlive(holder))) throw new RunLockedError(lockedMessage(folder, holder));
    await remove(path, found);
  }
  throw new RunLockedError(`${path}: other processes keep taking and leaving this lock; try again`);
}

/** Whether the folder had to be made. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    return (await mkdir(folder, { recursive: true })) !== undefined;
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** Puts the lock in place, whole. False where there is one. */
async function create(path: string, text: string): Promise<boolean> {
  const temporary = `${path}.${process.pid}.part`;
  try {
    await writeFile(temporary, text);
    await link(temporary, path);
    return true;
  } catch (error) {
    // ENOENT: whoever had the lock tidied up behind itself just now.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false;
    // Some file systems know no hard links; there, whoever looks in this very moment may see half a lock.
    if (['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP'].includes(codeOf(error) ?? '')) return await createInPlace(path, text);
    throw writeError(path, error);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function createInPlace(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw writeError(path, error);
  }
}

/** Takes a dead process's lock away, unless somebody else has put a new one there meanwhile. */
async function remove(path: string, stale: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale.part`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readText(aside)) !== stale) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

/** Null for what no lock looks like: half a file, of a process that died in writing it. */
function parse(text: string): Holder | null {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    return typeof value?.pid === 'number' && typeof value.host === 'string' ? (value as Holder) : null;
  } catch {
    return null;
  }
}

async function isAlive({ pid, host, born }: Holder): Promise<boolean> {
  // Nothing can be known of processes elsewhere; a shared folder may be in use there.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is one, of another user.
    if (codeOf(error) === 'ESRCH') return false;
  }
  const now = await birthOf(pid);
  return born === null || now === null || born === now;
}

/** Linux tells when a process began, in clock ticks since the start of the machine: the 20th field behind the command's name. */
async function birthOf(pid: number): Promise<string | null> {
  const text = await readText(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

async function readText(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null);
}

function lockedMessage(folder: string, { pid, host, since }: Holder): string {
  const elsewhere = host !== hostname();
  return (
    `${folder} is being written by process ${pid}${elsewhere ? ` on ${host}` : ''}, since ${since}. ` +
    (elsewhere
      ? `Wait for it; if it is gone for certain, remove ${join(folder, LOCK)}`
      : `Wait for it, or stop it by: kill -INT ${pid}; or take another folder for --out`)
  );
}
