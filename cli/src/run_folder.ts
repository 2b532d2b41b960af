/** A run's files in a folder, written so that a crash at any moment leaves each of them whole. */
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { RunStore } from 'zfnet';

const TEMPORARY = '.part';
/** The lock's name: see `run_lock.ts`. It is no part of the run. */
export const LOCK = 'lock.json';

/** Files below `folder`. It is made when the first file is written. */
export class FolderStore implements RunStore {
  constructor(readonly folder: string) {}

  async read(path: string): Promise<Uint8Array | null> {
    try {
      return await readFile(join(this.folder, path));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }

  /** Under another name first, pushed to the disk, and only then renamed. What could not be written whole is removed again. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.folder, path);
    const temporary = `${target}${TEMPORARY}`;
    try {
      await mkdir(dirname(target), { recursive: true });
      await writeDown(temporary, 'w', bytes);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw writeError(target, error);
    }
    await pushFolder(dirname(target));
  }

  /** A line that was cut short is taken back. */
  async append(path: string, line: string): Promise<void> {
    const target = join(this.folder, path);
    const before = await stat(target).then(
      ({ size }) => size,
      () => null,
    );
    try {
      await mkdir(dirname(target), { recursive: true });
      await writeDown(target, 'a', new TextEncoder().encode(`${line}\n`));
    } catch (error) {
      if (before !== null) await truncate(target, before).catch(() => undefined);
      throw writeError(target, error);
    }
    if (before === null) await pushFolder(dirname(target));
  }

  async list(): Promise<string[]> {
    const entries = await this.entries();
    return entries.filter((path) => path !== LOCK && !path.endsWith(TEMPORARY));
  }

  /** Removes what a killed process had not finished writing. */
  async removeLeftovers(): Promise<void> {
    const entries = await this.entries();
    await Promise.all(entries.filter((path) => path.endsWith(TEMPORARY)).map((path) => rm(join(this.folder, path), { force: true })));
  }

  async remove(paths: readonly string[]): Promise<void> {
    await Promise.all(paths.map((path) => rm(join(this.folder, path), { force: true })));
  }

  private async entries(): Promise<string[]> {
    try {
      const found = await readdir(this.folder, { recursive: true, withFileTypes: true });
      return found
        .filter((entry) => entry.isFile())
        .map((entry) => relative(this.folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

async function writeDown(path: string, flags: 'w' | 'a', bytes: Uint8Array): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the renaming itself last; not every file system knows this, and none suffers from trying. */
async function pushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, constants.O_RDONLY);
    await folder.sync().finally(() => folder.close());
  } catch {
    // Windows cannot open folders.
  }
}

/** Whether a path is a folder with nothing in it, or nothing at all. Throws where it is something else. */
export async function isEmptyPlace(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isDirectory()) throw new Error(`${path} is a file, expected a folder`);
    return (await readdir(path)).length === 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; make room on it',
  EDQUOT: 'your share of the disk is used up; make room',
  EROFS: 'the disk can only be read',
  EACCES: 'you may not write there',
  EPERM: 'you may not write there',
};

/** What kept a file from being written, in words. */
export function writeError(path: string, cause: unknown): Error {
  const reason = REASONS[codeOf(cause) ?? ''] ?? (cause instanceof Error ? cause.message : String(cause));
  return new Error(`${path} cannot be written: ${reason}`, { cause });
}

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
