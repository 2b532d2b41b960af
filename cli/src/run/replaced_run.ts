/**
 * A run that `--force` replaces is set aside in a folder within its own, until the new run has done its first step; if the new run fails
 * or is killed before that, the old one is put back.
 *
 * Every step is a renaming, so that a kill at any moment leaves a state that the next command can repair, by the folder's name:
 * `replaced-run-moving` holds a part of the old files, the others are in their places; `replaced-run` holds all of them, and those in
 * their places are the new run's; `replaced-run-done` holds files that are no longer needed.
 */
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { placeBelow } from '../files/confined_path.js';
import { codeOf, writeError } from '../files/write_file.js';
import { lockRun, RunLockedError } from './run_lock.js';

const MOVING = 'replaced-run-moving';
const ASIDE = 'replaced-run';
const DONE = 'replaced-run-done';

/** The files of a run that a new run in its place begins without. */
const RUN_FILES =
  /^(config\.json|metrics\.jsonl|last\.safetensors\.damaged|(last|best|checkpoints\/epoch-\d+)\.safetensors|report\/training\.html)$/;

export const isRunFile = (path: string): boolean => RUN_FILES.test(path);

/** The configuration makes a folder a run: it leaves first and comes back last. */
const configFirst = (paths: readonly string[]): string[] =>
  [...paths].sort((a, b) => Number(b === 'config.json') - Number(a === 'config.json'));

/** Sets files of a run aside. The caller holds the lock of the folder. */
export async function setAside(folder: string, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  try {
    await mkdir(join(folder, MOVING));
    for (const path of configFirst(paths)) await move(folder, path, `${MOVING}/${path}`);
    await rename(join(folder, MOVING), join(folder, ASIDE));
  } catch (error) {
    await putBack(folder);
    throw writeError(join(folder, MOVING), error);
  }
}

/** The new run has done its first step: the old one goes. */
export async function dropReplaced(folder: string): Promise<void> {
  if (!(await isFolder(join(folder, ASIDE)))) return;
  await rename(join(folder, ASIDE), join(folder, DONE));
  await rm(join(folder, DONE), { recursive: true, force: true });
}

/**
 * Puts files that were set aside back in their places, and removes those of the new run. The caller holds the lock of the folder.
 *
 * @returns whether there were any
 */
export async function putBack(folder: string): Promise<boolean> {
  await rm(join(folder, DONE), { recursive: true, force: true });
  if (await isFolder(join(folder, ASIDE))) {
    const made = (await filesBelow(folder)).filter(isRunFile);
    for (const path of configFirst(made)) await rm(join(folder, path), { force: true });
    await rename(join(folder, ASIDE), join(folder, MOVING));
  }
  if (!(await isFolder(join(folder, MOVING)))) return false;
  const kept = await filesBelow(join(folder, MOVING));
  for (const path of configFirst(kept).reverse()) await move(folder, `${MOVING}/${path}`, path);
  await rm(join(folder, MOVING), { recursive: true, force: true });
  return kept.length > 0;
}

/**
 * Puts a run back whose replacement was killed before its first step.
 *
 * @returns whether there was one. While its replacement is under way, nothing is done
 * @throws Error that says where the files are when they cannot be moved
 */
export async function recoverReplaced(folder: string): Promise<boolean> {
  const found = (await Promise.all([MOVING, ASIDE, DONE].map(async (name) => (await isFolder(join(folder, name))) && name))).find(Boolean);
  if (!found) return false;
  try {
    const lock = await lockRun(folder);
    try {
      return await putBack(folder);
    } finally {
      await lock.release();
    }
  } catch (error) {
    if (error instanceof RunLockedError) return false;
    throw new Error(
      `${folder}: a new run was stopped before its first step, and the run that it was to replace lies in ${join(folder, found)}. It cannot be put back (${(error as Error).message}): move its files to ${folder} where you may write`,
      { cause: error },
    );
  }
}

async function move(folder: string, from: string, to: string): Promise<void> {
  await rename(await placeBelow(folder, from), await placeBelow(folder, to));
}

async function isFolder(path: string): Promise<boolean> {
  return await lstat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function filesBelow(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}
