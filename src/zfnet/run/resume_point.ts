/** Finds the checkpoint that a run resumes from: the last one, or the newest intact one if the last is missing or damaged. */
import { type Checkpoint, decodeCheckpoint } from '../../formats/checkpoint.js';
import { FormatError } from '../../formats/errors.js';
import type { TrainingState } from '../training/training_state.js';
import { readMetrics } from './metrics.js';
import { epochCheckpoints, PATHS, type RunStore } from './run_store.js';

interface ResumePoint {
  checkpoint: Checkpoint;
  path: string;
}

/**
 * The checkpoint to resume from. If it is not the last one, a warning is issued. A damaged `last.safetensors` is copied to
 * `last.safetensors.damaged`, because training overwrites it.
 *
 * @param check throws FormatError for a checkpoint that the run cannot resume from
 * @returns null for a run that was stopped before its first checkpoint
 * @throws FormatError if no checkpoint is intact
 */
export async function findResumePoint(
  store: RunStore,
  check: (checkpoint: Checkpoint, path: string) => void,
  onWarning: (message: string) => void,
): Promise<ResumePoint | null> {
  const reasons: string[] = [];
  const open = async (path: string): Promise<ResumePoint | null> => {
    try {
      const bytes = await store.read(path);
      if (!bytes) throw new FormatError(`${path} is missing`);
      const checkpoint = decodeCheckpoint(bytes, path);
      check(checkpoint, path);
      return { checkpoint, path };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      reasons.push(error.message);
      return null;
    }
  };
  const last = await open(PATHS.last);
  if (last) return last;
  const [whyNotLast] = reasons;
  const found = await newest(store, open);
  if (!found) return await nothingWhole(store, reasons, onWarning);
  const { epoch, step } = found.checkpoint.info.training as TrainingState;
  const kept = await keepDamaged(store);
  onWarning(
    `${whyNotLast}. Resuming from ${found.path} instead, after epoch ${epoch} (step ${step}): the steps since are computed again${kept ? `. The damaged file is kept as ${kept}` : ''}`,
  );
  return found;
}

/** The newest checkpoint that `open` accepts, among those of the epochs and the best one. */
async function newest(store: RunStore, open: (path: string) => Promise<ResumePoint | null>): Promise<ResumePoint | null> {
  const steps = (point: ResumePoint | null) => (point ? (point.checkpoint.info.training as TrainingState).step : -1);
  let found = (await store.read(PATHS.best)) ? await open(PATHS.best) : null;
  for (const { path } of (await epochCheckpoints(store)).reverse()) {
    const point = await open(path);
    if (!point) continue;
    if (steps(point) >= steps(found)) found = point;
    break;
  }
  return found;
}

/** Without any checkpoint and any finished epoch, the run starts from the beginning (null); otherwise throws, to overwrite nothing. */
async function nothingWhole(store: RunStore, reasons: readonly string[], onWarning: (message: string) => void): Promise<null> {
  const files = (await store.list()).filter((path) => path.endsWith('.safetensors'));
  const { length } = await readMetrics(store);
  if (files.length > 0 || length > 0)
    throw new FormatError(
      `train: no checkpoint of this run is whole: ${reasons.join('; ')}. ${length > 0 ? `${PATHS.metrics} records ${length} epochs. ` : ''}Put a whole checkpoint back as ${PATHS.last}, or start a new run`,
    );
  onWarning('this run was stopped before its first checkpoint; it starts from the beginning');
  return null;
}

async function keepDamaged(store: RunStore): Promise<string | null> {
  const bytes = await store.read(PATHS.last);
  if (!bytes) return null;
  const path = `${PATHS.last}.damaged`;
  await store.write(path, bytes);
  return path;
}
