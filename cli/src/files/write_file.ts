/**
 * All writing of the command line. A file is written under a new name of its own, pushed to the disk and renamed, so that readers see the old
 * bytes or the new ones; nothing is written through a symbolic link.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ignoring } from './confined_path.js';
import { FileError } from './file_error.js';

/** Ending of names that files have while they are written. */
export const TEMPORARY = '.part';

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | NO_FOLLOW | (constants.O_NONBLOCK ?? 0);

/** A name in the same folder that nobody can guess, short enough for every file system. */
export const temporaryFor = (path: string): string =>
  join(dirname(path), `${basename(path).slice(0, 40)}.${randomBytes(8).toString('hex')}${TEMPORARY}`);

/** Creates a file; fails where the name is taken, be it by a symbolic link. */
export async function createFile(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, CREATE, 0o666);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Replaces a file whose folder exists. A symbolic link of that name is replaced itself. What could not be written whole is removed. */
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

/** Adds bytes to a file whose folder exists. Where they do not fit, the file is as long as before. */
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

/** Writes the file that the user named, and makes its folder. Devices and pipes, such as /dev/stdout, are written into. */
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

/** Makes the renaming itself last; Windows cannot open folders, and no file system suffers from trying. */
async function pushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, constants.O_RDONLY);
    await folder.sync().finally(() => folder.close());
  } catch {
    // The renaming is on the disk a little later.
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; make room on it',
  EDQUOT: 'your share of the disk is used up; make room',
  EROFS: 'the disk can only be read',
  EACCES: 'you may not write there',
  EPERM: 'you may not write there',
  ELOOP: 'it is a symbolic link; remove it',
  ENXIO: 'it is not a regular file; remove it',
  ENAMETOOLONG: 'its name is too long; take a shorter one',
};

/** What kept a file from being written, in words. */
export function writeError(path: string, cause: unknown): FileError {
  const reason = REASONS[codeOf(cause) ?? ''] ?? (cause instanceof Error ? cause.message : String(cause));
  return new FileError(`${path} cannot be written: ${reason}`, { cause });
}

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
