/** Opens the run in a folder. Training one is in `training/`. */
import { stat } from 'node:fs/promises';
import type { Run } from 'zfnet';
import * as engine from 'zfnet';
import type { Origin } from 'zfnet/report';
import { UsageError } from '../command.js';
import { loadImportedFrom } from '../importing/imported.js';
import { recoverReplaced } from './replaced_run.js';
import { FolderStore } from './run_folder.js';

/**
 * Opens the run in a folder: `{ config, model, preprocess, classes, metrics, checkpoint }`. The weights are those of the named checkpoint,
 * otherwise the best ones, or the last ones before the first epoch has ended; an imported network has its own. Call `context.engine()`
 * first.
 */
export const openRun = (path: string, options: { checkpoint?: string } = {}): Promise<Run> =>
  opening(path, (store) => engine.openRun(store, { ...options, loadModel: loadImportedFrom(path) }));

/** Like `openRun`, but only for runs trained with zfnet, which have an architecture, a recipe and checkpoints. */
export const openTrainedRun = (path: string, options: { checkpoint?: string } = {}): Promise<engine.TrainedRun> =>
  opening(path, (store) => engine.openTrainedRun(store, options));

/** How the weights of a run came about, for the pages about it. */
export const originOf = (run: Run): Origin =>
  !engine.isTrained(run) ? 'imported' : run.config.from === undefined ? 'random' : 'pretrained';

async function opening<T>(path: string, open: (store: FolderStore) => Promise<T>): Promise<T> {
  if (!(await isRun(path)))
    throw new UsageError(`${path} is not a run: it contains no config.json. Train one with: npx zfnet train --data SOURCE --out ${path}`);
  return await naming(path, () => open(new FolderStore(path)));
}

/** Whether there is a run at a path. */
export async function isRun(path: string): Promise<boolean> {
  if (await recoverReplaced(path))
    process.stderr.write(`${path}: a new run was stopped before its first step; the run that it would have replaced is restored\n`);
  return await stat(`${path}/config.json`).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Runs `fn` and adds the folder of the run to the messages of its format errors. */
export async function naming<T>(path: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    if (error instanceof engine.FormatError) throw new engine.FormatError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Runs `build` and turns shape and value errors into `UsageError`, because the sizes come from the command line. */
export function namingWrongSize<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof engine.ShapeError || error instanceof engine.ValueError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
