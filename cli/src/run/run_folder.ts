/** Stores the files of a run in a folder. Every write is atomic, so that a crash at any moment leaves each file intact. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { RunStore } from 'zfnet';
import { placeBelow, readRegular } from '../files/confined_path.js';
import { FileError } from '../files/file_error.js';
import { appendToFile, codeOf, replaceFile, TEMPORARY, writeError } from '../files/write_file.js';

/** Name of the lock file: see `run_lock.ts`. It is not part of the run. */
export const LOCK = 'lock.json';

/** Called before each write; throws if this process has lost the lock: see `RunLock.check`. */
export type WriteGuard = () => Promise<void>;

/**
 * Stores files below `folder`, which is created with the first file. Refuses to write into sub-folders that are symbolic links.
 *
 * @param below folder within `root`, with forward slashes; `''` is `root` itself
 */
export class FolderStore implements RunStore {
  readonly folder: string;
  /** Set by the holder of the folder's lock. */
  guard: WriteGuard | undefined;

  constructor(
    readonly root: string,
    readonly below = '',
    guard?: WriteGuard,
  ) {
    this.folder = join(root, below);
    this.guard = guard;
  }

  async read(path: string): Promise<Uint8Array | null> {
    try {
      return await readRegular(join(this.folder, path));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await replaceFile(await this.place(path), bytes);
  }

  async append(path: string, line: string): Promise<void> {
    await appendToFile(await this.place(path), new TextEncoder().encode(`${line}\n`));
  }

  async list(): Promise<string[]> {
    const entries = await this.entries();
    return entries.filter((path) => path !== LOCK && !path.endsWith(TEMPORARY));
  }

  /** Removes the temporary files of a killed process. */
  async removeLeftovers(): Promise<void> {
    const entries = await this.entries();
    await Promise.all(entries.filter((path) => path.endsWith(TEMPORARY)).map((path) => rm(join(this.folder, path), { force: true })));
  }

  async remove(paths: readonly string[]): Promise<void> {
    await Promise.all(paths.map((path) => rm(join(this.folder, path), { force: true })));
  }

  /** Checks the lock, creates the parent folder of a file to write, and returns the full path of the file. */
  private async place(path: string): Promise<string> {
    await this.guard?.();
    try {
      return await placeBelow(this.root, this.below === '' ? path : `${this.below}/${path}`);
    } catch (error) {
      throw writeError(join(this.folder, path), error);
    }
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

/** Whether a path is an empty folder or does not exist. Throws `FileError` if it is a file. */
export async function isEmptyPlace(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isDirectory()) throw new FileError(`${path} is a file, expected a folder`);
    return (await readdir(path)).length === 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
}
