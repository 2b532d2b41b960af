/** Identifies the process that holds a lock, and checks whether it is still running. */
import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { parseJson } from '../files/json.js';
import { codeOf } from '../files/write_file.js';

/** Content of a lock file. interop/pytorch/run_lock.py uses the same format. */
export interface Holder {
  pid: number;
  host: string;
  /** When the lock was taken, ISO 8601. */
  since: string;
  /** Start time of the process in clock ticks since the system's start (/proc/PID/stat, field 22). Null if unknown. */
  born: string | null;
  /** /proc/sys/kernel/random/boot_id, which identifies one start of one machine. Null if unknown. */
  boot: string | null;
  /** Target of the link /proc/self/ns/pid: process ids are unique only within one PID namespace. Null if unknown. */
  pidNamespace: string | null;
  /** Random text that makes every lock unique. */
  token: string;
}

/** A holder read from a lock file. Locks of earlier versions lack boot, namespace and token, and have no heartbeat. */
export type FoundHolder = Pick<Holder, 'pid' | 'host' | 'since' | 'born'> & Partial<Holder>;

/** Seconds between heartbeats, which are writes to the lock file. */
export const HEARTBEAT_SECONDS = 5;
/** Seconds without a heartbeat after which a holder that cannot be inspected counts as dead. */
export const STALE_SECONDS = 60;

/** Returns a new holder for this process. */
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

/** Parses a lock file. Returns null for invalid text, such as a partly written lock of a process that died. */
export function parseHolder(text: string): FoundHolder | null {
  const value = parseJson(text).value as Partial<Holder> | null | undefined;
  if (!Number.isSafeInteger(value?.pid) || (value?.pid as number) < 1 || typeof value?.host !== 'string') return null;
  return { born: null, since: 'an unknown time', ...value } as FoundHolder;
}

/**
 * Whether the holder can be inspected by its process id, because it runs in this PID namespace. On systems without namespaces (macOS,
 * Windows) the host name decides.
 */
export async function isVisible(holder: FoundHolder): Promise<boolean> {
  const [boot, pidNamespace] = await identity();
  if (holder.boot === undefined || (holder.boot === null && boot === null)) return holder.host === hostname();
  return boot !== null && pidNamespace !== null && holder.boot === boot && holder.pidNamespace === pidNamespace;
}

/**
 * Whether the holder is still running.
 *
 * @param silentSeconds seconds since the last change of the lock file, by the clock of its file system
 */
export async function isAlive(holder: FoundHolder, silentSeconds: number): Promise<boolean> {
  const silent = silentSeconds >= STALE_SECONDS;
  // Earlier versions write no heartbeats, so their processes elsewhere count as alive.
  if (!(await isVisible(holder))) return holder.boot === undefined || !silent;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
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

/** Start time of a process of this namespace. Null if unknown, also if /proc shows another namespace. */
async function birthOf(pid: number): Promise<string | null> {
  const shown = await readlink('/proc/self').catch(() => null);
  return shown === String(process.pid) ? bornIn(await readText(`/proc/${pid}/stat`)) : null;
}

/** Extracts the start time: the 20th field after the command name, which is in parentheses and may contain any character. */
const bornIn = (stat: string | null): string | null => stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;

const readText = (path: string): Promise<string | null> => readFile(path, 'utf8').catch(() => null);
