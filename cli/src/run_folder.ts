/** A run's files in a folder, written so that a crash at any moment leaves each of them whole. */
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { RunStore } from 'zfnet';

const TEMPORARY = '.part';

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

  /** Under another name first, pushed to the disk, and only then renamed. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.folder, path);
    const temporary = `${target}${TEMPORARY}`;
    await mkdir(dirname(target), { recursive: true });
    await writeDown(temporary, 'w', bytes);
    await rename(temporary, target);
    await pushFolder(dirname(target));
  }

  async append(path: string, line: string): Promise<void> {
    const target = join(this.folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeDown(target, 'a', new TextEncoder().encode(`${line}\n`));
  }

  async list(): Promise<string[]> {
    const entries = await this.entries();
    return entries.filter((path) => !path.endsWith(TEMPORARY));
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

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
