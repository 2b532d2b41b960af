/** Verifies the files of a run: configuration, metrics and checkpoints, each alone and against the others. */
import { checkArgument } from '../../backend/validate.js';
import { decodeCheckpoint } from '../../formats/checkpoint.js';
import { ZfnetError } from '../../tensor/index.js';
import { runStore } from '../rules.js';
import type { TrainingState } from '../training/training_state.js';
import { checkResumable } from '../training/training_state_check.js';
import { checkpointInfo } from './checkpoint_info.js';
import { readMetrics } from './metrics.js';
import { isImported, type RunConfig, readRunConfig } from './run_config.js';
import { PATHS, type RunStore } from './run_store.js';

/** Result of the verification of one file. */
export interface VerifiedFile {
  /** Path relative to the folder of the run. */
  path: string;
  /** `unchecked` means that the file is readable but has no checksum, so that changed values would not be noticed. */
  state: 'whole' | 'damaged' | 'missing' | 'unchecked';
  /** Epoch of a checkpoint, problem of a damaged file, or an empty text. */
  detail: string;
}

const CHECKPOINT = /^((last|best)|checkpoints\/epoch-(\d+))\.safetensors$/;

/**
 * Verifies `config.json`, `metrics.jsonl` and every checkpoint of a run. Checkpoints are compared with their checksums. No file is changed.
 *
 * @example const damaged = (await verifyRun(store)).filter(({ state }) => state !== 'whole');
 * @returns one entry per file; the run is intact if no entry is `damaged` or `missing`
 */
export async function verifyRun(store: RunStore): Promise<VerifiedFile[]> {
  checkArgument('verifyRun', 'store', store, runStore);
  let config: Awaited<ReturnType<typeof readRunConfig>> = null;
  const files = [
    await attempt(PATHS.config, async () => {
      config = await readRunConfig(store);
      return config ? whole('') : { state: 'missing', detail: 'a run needs it' };
    }),
  ];
  const found = config as Awaited<ReturnType<typeof readRunConfig>>;
  if (found && isImported(found)) return [...files, await verifyImported(store, found.network.file)];
  const checkpoints = (await store.list()).filter((path) => CHECKPOINT.test(path)).sort();
  const done = new Map<string, number>();
  const verified: VerifiedFile[] = [];
  for (const path of checkpoints) verified.push(await attempt(path, () => verifyCheckpoint(store, path, found, done)));
  const epochs = Math.max(0, ...done.values());
  const metrics = await attempt(PATHS.metrics, () => verifyMetrics(store, epochs));
  return [...files, metrics, ...absent(checkpoints, found), ...verified];
}

type Finding = Pick<VerifiedFile, 'state' | 'detail'>;

const whole = (detail: string): Finding => ({ state: 'whole', detail });

/** Runs the check of one file. Errors of the library mean a damaged file; other errors, such as an unreadable disk, are thrown. */
async function attempt(path: string, check: () => Promise<Finding>): Promise<VerifiedFile> {
  try {
    return { path, ...(await check()) };
  } catch (error) {
    if (!(error instanceof ZfnetError)) throw error;
    return { path, state: 'damaged', detail: error.message };
  }
}

async function verifyImported(store: RunStore, path: string): Promise<VerifiedFile> {
  const bytes = await store.read(path);
  return bytes
    ? { path, state: 'unchecked', detail: 'an imported model has no checksum; openRun reads and checks it' }
    : { path, state: 'missing', detail: 'the run needs it' };
}

async function verifyCheckpoint(
  store: RunStore,
  path: string,
  config: RunConfig | Awaited<ReturnType<typeof readRunConfig>>,
  done: Map<string, number>,
): Promise<Finding> {
  const bytes = await store.read(path);
  if (!bytes) return { state: 'missing', detail: 'it was removed during the check' };
  const checkpoint = decodeCheckpoint(bytes, path);
  const state = checkpoint.info.training as TrainingState | undefined;
  if (state !== undefined && config && !isImported(config)) {
    checkResumable(checkpoint, config, config.data.trainExamples, path);
    const named = CHECKPOINT.exec(path)?.[3];
    if (named !== undefined && Number(named) !== state.epoch)
      return { state: 'damaged', detail: `${path}: it holds epoch ${state.epoch}, expected the epoch in its name` };
    done.set(path, state.epoch);
  } else checkpointInfo(checkpoint, path);
  const detail = done.has(path) ? `epoch ${done.get(path)}` : '';
  if (checkpoint.hasChecksum) return whole(detail);
  return { state: 'unchecked', detail: `${detail}${detail ? '; ' : ''}written by an earlier version, without a checksum` };
}

async function verifyMetrics(store: RunStore, epochs: number): Promise<Finding> {
  const lines = await readMetrics(store);
  const known = new Set(lines.map(({ epoch }) => epoch));
  if (known.size !== lines.length) return { state: 'damaged', detail: `${PATHS.metrics}: an epoch has more than one line` };
  const lost = Array.from({ length: epochs }, (_, i) => i + 1).filter((epoch) => !known.has(epoch));
  if (lost.length > 0 && lines.length === 0) return { state: 'missing', detail: `the checkpoints hold ${epochs} epochs` };
  if (lost.length > 0) return { state: 'damaged', detail: `${PATHS.metrics}: it has no line of epoch ${lost[0]}` };
  return whole(`${lines.length} ${lines.length === 1 ? 'epoch' : 'epochs'}`);
}

/** An entry if the checkpoint that the run needs is missing: the last one, or the best one of a run that was imported with 0 epochs. */
function absent(paths: readonly string[], config: Awaited<ReturnType<typeof readRunConfig>>): VerifiedFile[] {
  const needed = config && !isImported(config) && config.training.epochs === 0 && paths.includes(PATHS.best) ? PATHS.best : PATHS.last;
  return paths.includes(needed) ? [] : [{ path: needed, state: 'missing', detail: 'a resume uses the newest whole checkpoint instead' }];
}
