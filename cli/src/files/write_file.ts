/**
 * Writes files of the command line. A file is written under a temporary name, synchronised to the disk and renamed, so that readers see
 * either the old or the new content. Symbolic links are not followed.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ignoring } from './confined_path.js';
import { FileError } from './file_error.js';

/** Extension of temporary files. */
export const TEMPORARY = '.part';

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | NO_FOLLOW | (constants.O_NONBLOCK ?? 0);

/** Returns an unpredictable temporary name in the same folder, short enough for every file system. */
export const temporaryFor = (path: string): string =>
  join(dirname(path), `${basename(path).slice(0, 40)}.${randomBytes(8).toString('hex')}${TEMPORARY}`);

/** Creates a file and synchronises it to the disk. Fails if the name exists, also as a symbolic link. */
export async function createFile(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, CREATE, 0o666);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file in an existing folder. A symbolic link of that name is replaced, not followed. On failure the temporary file is removed.
 */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryFor(path);
  try {
    await createFile(temporary, bytes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  }
  await pushFolder(dirname(path));
}

/** Appends bytes to a file in an existing folder. If they cannot be written completely, the file is truncated to its old length. */
export async function appendToFile(path: string, bytes: Uint8Array): Promise<void> {
  let made = false;
  try {
    const file = await open(path, APPEND, 0o666);
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new Error('it is not a regular file');
      made = found.size === 0;
      try {
        await file.writeFile(bytes);
        await file.sync();
      } catch (error) {
        await file.truncate(found.size).catch(() => undefined);
        throw error;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw writeError(path, error);
  }
  if (made) await pushFolder(dirname(path));
}

/** Writes a file whose path the user gave, and creates its folder. Writes into devices and pipes, such as /dev/stdout, directly. */
export async function writeOutput(path: string, bytes: Uint8Array | string): Promise<void> {
  const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
  try {
    await mkdir(dirname(path), { recursive: true });
    const found = await lstat(path).catch(ignoring('ENOENT'));
    if (found?.isDirectory()) throw new Error('it is a folder; name a file in it');
    const special = found !== undefined && !found.isFile() && !found.isSymbolicLink();
    if (special || /^\/(dev|proc)\//.test(resolve(path))) {
      const file = await open(path, 'w');
      await file.writeFile(data).finally(() => file.close());
      return;
    }
  } catch (error) {
    throw writeError(path, error);
  }
  await replaceFile(path, data);
}

/** Synchronises a folder, so that a renaming survives a power failure. Errors are ignored: Windows cannot open folders. */
async function pushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, constants.O_RDONLY);
    await folder.sync().finally(() => folder.close());
  } catch {
    // The file system writes the renaming later.
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space',
  EDQUOT: 'your disk quota is used up; free some space',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'it is a symbolic link; remove it',
  ENXIO: 'it is not a regular file; remove it',
  ENAMETOOLONG: 'its name is too long; use a shorter one',
};

/** Returns a `FileError` that says in words why a file could not be written. */
export function writeError(path: string, cause: unknown): FileError {
  const reason = REASONS[codeOf(cause) ?? ''] ?? (cause instanceof Error ? cause.message : String(cause));
  return new FileError(`${path} cannot be written: ${reason}`, { cause });
}

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
