/**
 * Sets aside a run that `--force` replaces, in a sub-folder of the run, until the new run has finished its first step. If the new run fails
 * or is killed earlier, the old run is restored.
 *
 * Every step is a renaming, so that the next command can restore the run after a kill at any moment. The name of the sub-folder tells the
 * state: `replaced-run-moving` contains some of the old files and the others are at their original paths; `replaced-run` contains all old
 * files and the original paths belong to the new run; `replaced-run-done` contains files that are no longer needed.
 */
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { placeBelow } from '../files/confined_path.js';
import { codeOf, writeError } from '../files/write_file.js';
import { lockRun, RunLockedError } from './run_lock.js';

const MOVING = 'replaced-run-moving';
const ASIDE = 'replaced-run';
const DONE = 'replaced-run-done';

/** Files of an old run that are set aside before a new run starts. */
const RUN_FILES =
  /^(config\.json|metrics\.jsonl|last\.safetensors\.damaged|(last|best|checkpoints\/epoch-\d+)\.safetensors|report\/training\.html)$/;

export const isRunFile = (path: string): boolean => RUN_FILES.test(path);

/** Sorts `config.json` first: its presence makes a folder a run, so it is moved away first and restored last. */
const configFirst = (paths: readonly string[]): string[] =>
  [...paths].sort((a, b) => Number(b === 'config.json') - Number(a === 'config.json'));

/** Moves files of a run to the sub-folder. The caller must hold the lock of the run. */
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

/** Deletes the old run after the first step of the new one. */
export async function dropReplaced(folder: string): Promise<void> {
  if (!(await isFolder(join(folder, ASIDE)))) return;
  await rename(join(folder, ASIDE), join(folder, DONE));
  await rm(join(folder, DONE), { recursive: true, force: true });
}

/**
 * Restores the files that were set aside, and removes those of the new run. The caller must hold the lock of the run.
 *
 * @returns whether any files were restored
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
 * Restores a run whose replacement was killed before its first step. Does nothing while a replacement is still running.
 *
 * @returns whether a run was restored
 * @throws Error that names the location of the files if they cannot be moved
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
      `${folder}: a new run was stopped before its first step. The replaced run is in ${join(folder, found)} and cannot be restored (${(error as Error).message}): move its files to ${folder} yourself`,
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
