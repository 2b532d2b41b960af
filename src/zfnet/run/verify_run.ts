/** Checks every file that a run needs: configuration, metrics and checkpoints, each by itself and against the others. */
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

/** What was found out about one file of a run. */
export interface VerifiedFile {
  path: string;
  /** `unchecked`: readable, but without a checksum, so that changed numbers in it would not be noticed. */
  state: 'whole' | 'damaged' | 'missing' | 'unchecked';
  /** The epoch of a checkpoint, what is wrong with a damaged file, or an empty text. */
  detail: string;
}

const CHECKPOINT = /^((last|best)|checkpoints\/epoch-(\d+))\.safetensors$/;

/**
 * Verifies a run: `config.json`, `metrics.jsonl` and every checkpoint, whose bytes are compared with their checksums. Nothing is changed.
 *
 * @returns one entry per file; a run is in order if none of them is `damaged` or `missing`
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

/** An error of the library means a damaged file; others, such as a disk that cannot be read, are thrown. */
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

/** A trained run resumes from its last checkpoint, one that was imported has a best one alone. */
function absent(paths: readonly string[], config: Awaited<ReturnType<typeof readRunConfig>>): VerifiedFile[] {
  const needed = config && !isImported(config) && config.training.epochs === 0 && paths.includes(PATHS.best) ? PATHS.best : PATHS.last;
  return paths.includes(needed) ? [] : [{ path: needed, state: 'missing', detail: 'a resume takes the newest whole checkpoint instead' }];
}
