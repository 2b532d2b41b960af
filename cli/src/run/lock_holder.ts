/** Who holds a lock, and whether that process still lives. */
import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { codeOf } from '../files/write_file.js';

/** Content of a lock file. interop/pytorch/run_lock.py reads and writes the same. */
export interface Holder {
  pid: number;
  host: string;
  /** When the lock was taken, ISO 8601. */
  since: string;
  /** Start time of the process in clock ticks since the system's start (/proc/PID/stat, field 22). Null where unknown. */
  born: string | null;
  /** /proc/sys/kernel/random/boot_id: tells one start of one machine from all others. Null where unknown. */
  boot: string | null;
  /** The link /proc/self/ns/pid: numbers of processes mean something within one namespace only. Null where unknown. */
  pidNamespace: string | null;
  /** Random, so that no two locks are equal. */
  token: string;
}

/** A holder as it was found; locks of earlier versions have neither boot, namespace nor token, and no heartbeat. */
export type FoundHolder = Pick<Holder, 'pid' | 'host' | 'since' | 'born'> & Partial<Holder>;

/** Seconds between signs of life, which are writes to the lock file. */
export const HEARTBEAT_SECONDS = 5;
/** Seconds without a sign of life after which a holder that cannot be looked at counts as dead. */
export const STALE_SECONDS = 60;

/** This process, as a new holder. */
export async function thisHolder(): Promise<Holder> {
  const [boot, pidNamespace] = await identity();
  const born = bornIn(await readText('/proc/self/stat'));
  return {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    born,
    boot,
    pidNamespace,
    token: randomBytes(12).toString('hex'),
  };
}

/** Null for text that is no holder: half a lock, of a process that died in writing it. */
export function parseHolder(text: string): FoundHolder | null {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    if (!Number.isSafeInteger(value?.pid) || (value?.pid as number) < 1 || typeof value?.host !== 'string') return null;
    return { born: null, since: 'an unknown time', ...value } as FoundHolder;
  } catch {
    return null;
  }
}

/**
 * Whether the holder can be looked at from here: it has a number in this process's namespace of process numbers. Where the system tells
 * nothing of namespaces (macOS, Windows), the host's name decides.
 */
export async function isVisible(holder: FoundHolder): Promise<boolean> {
  const [boot, pidNamespace] = await identity();
  if (holder.boot === undefined || (holder.boot === null && boot === null)) return holder.host === hostname();
  return boot !== null && pidNamespace !== null && holder.boot === boot && holder.pidNamespace === pidNamespace;
}

/** @param silentSeconds since the lock file's last change, by the clock of its file system */
export async function isAlive(holder: FoundHolder, silentSeconds: number): Promise<boolean> {
  const silent = silentSeconds >= STALE_SECONDS;
  // Earlier versions give no sign of life, so nothing can be known of their processes elsewhere.
  if (!(await isVisible(holder))) return holder.boot === undefined || !silent;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: there is one, of another user.
    if (codeOf(error) === 'ESRCH') return false;
  }
  const now = await birthOf(holder.pid);
  if (holder.born !== null && now !== null) return holder.born === now;
  return holder.boot === undefined || !silent;
}

async function identity(): Promise<[boot: string | null, pidNamespace: string | null]> {
  const boot = await readText('/proc/sys/kernel/random/boot_id');
  return [boot?.trim() || null, await readlink('/proc/self/ns/pid').catch(() => null)];
}

/** When a process of this namespace began. Null where unknown, which includes a /proc that shows another namespace. */
async function birthOf(pid: number): Promise<string | null> {
  const shown = await readlink('/proc/self').catch(() => null);
  return shown === String(process.pid) ? bornIn(await readText(`/proc/${pid}/stat`)) : null;
}

/** The 20th field behind the command's name, which is in brackets and may hold anything. */
const bornIn = (stat: string | null): string | null => stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;

const readText = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null);
