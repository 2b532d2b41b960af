/** Trains a run in a folder, or resumes it, with the lock of the run held. */
import { existsSync } from 'node:fs';
import { type RunConfig, readMetrics, type TrainedRun, type TrainingListener, type TrainJob, type TrainResult, train } from 'zfnet';
import { Interrupted } from '../../command.js';
import { TrainingPageWriter } from '../../report/training_page.js';
import type { Reporter } from '../../terminal/reporter.js';
import { dropReplaced, putBack, recoverReplaced, setAside } from '../replaced_run.js';
import { FolderStore } from '../run_folder.js';
import { lockRun } from '../run_lock.js';
import { naming } from '../runs.js';
import { listen } from './listener.js';
import type { TrainRunOptions, TrainRunResult } from './options.js';
import { checkPlace, checkRun, checkSource, recordedConfig } from './place.js';
import { begin, prepare, type Start, startOf } from './start.js';

/** Minutes between two versions of the page within an epoch, unless `checkpointMinutes` is given. */
const PAGE_MINUTES = 5;

/**
 * Trains a new run in a folder, or resumes the run there, with progress bars and one line per epoch. The engine must be initialised. If
 * `signal` stops the training, the status of the result is `stopped` and the run can be resumed. A replaced run is restored if the new one
 * ends before its first step.
 */
export async function trainRun(options: TrainRunOptions, reporter: Reporter): Promise<TrainRunResult> {
  const { out, resume } = options;
  if (await recoverReplaced(out)) {
    const what = `${out}: a new run was stopped before its first step; the run that it would have replaced is restored`;
    if (resume) throw new Error(`${what}. Give the command again to resume that one`);
    reporter.warn(what);
  }
  const store = new FolderStore(out);
  if (!resume) await checkSource(options);
  const taken = resume ? await checkRun(options) : await checkPlace(store, options);
  const lock = await lockRun(out);
  store.guard = lock.check;
  try {
    await store.removeLeftovers();
    return taken.length > 0 ? await replaceRun(store, taken, options, reporter) : await trainLocked(store, options, reporter);
  } finally {
    await lock.release();
  }
}

/**
 * Trains a new run in place of another. The old run is deleted at the first step of the new one, and restored if that step never happens.
 */
async function replaceRun(
  store: FolderStore,
  taken: readonly string[],
  options: TrainRunOptions,
  reporter: Reporter,
): Promise<TrainRunResult> {
  const { out } = options;
  let dropped: Promise<void> | null = null;
  const drop = () => {
    dropped ??= dropReplaced(out).catch((error: Error) => reporter.warn(`the replaced run cannot be removed: ${error.message}`));
  };
  const place = { clear: () => setAside(out, taken), firstStep: drop };
  try {
    const result = await trainLocked(store, options, reporter, place);
    if (result.status === 'stopped' && !dropped) {
      result.model.dispose();
      throw new Interrupted('stopped before the first step', Number(options.signal?.reason) || 130);
    }
    drop();
    return result;
  } catch (error) {
    if (!dropped && (await putBack(out))) reporter.warn(`the new run ended before its first step; the run that was in ${out} is restored`);
    throw error;
  } finally {
    await dropped;
  }
}

/** Hooks for replacing a run: `clear` sets the old run aside before training, `firstStep` is called after each step. */
interface TakenPlace {
  clear(): Promise<void>;
  firstStep(): void;
}

async function trainLocked(store: FolderStore, options: TrainRunOptions, reporter: Reporter, place?: TakenPlace): Promise<TrainRunResult> {
  const started = performance.now();
  const recorded = options.resume ? await recordedConfig(store, options) : null;
  const from = await startOf(store, recorded, options);
  let start: Start | null = null;
  let done = false;
  try {
    start = await prepare(recorded, from, options, reporter);
    const { model, dataset } = start;
    const result = await trainFrom({ store, options, reporter, place, recorded, from, start });
    done = true;
    return { ...result, out: options.out, seconds: (performance.now() - started) / 1000, model, dataset };
  } finally {
    from?.model.dispose();
    if (!done) start?.model.dispose();
  }
}

interface Locked {
  store: FolderStore;
  options: TrainRunOptions;
  reporter: Reporter;
  place?: TakenPlace;
  recorded: RunConfig | null;
  from: TrainedRun | null;
  start: Start;
}

/** Trains with progress bars and the page of curves. */
async function trainFrom(locked: Locked): Promise<TrainResult> {
  const { store, options, reporter, place, recorded } = locked;
  const { out, signal } = options;
  const page = options.prepareOnly ? null : new TrainingPageWriter(store, options.checkpointMinutes ?? PAGE_MINUTES, reporter);
  const listener = listen(reporter, page, recorded ? await readMetrics(store) : []);
  let status: TrainResult['status'] | 'failed' = 'failed';
  try {
    await place?.clear();
    const result = await naming(out, () => train(jobOf(locked, listener)));
    status = result.status;
    return result;
  } catch (error) {
    if (!signal?.aborted) throw error;
    const next = place ? '' : `; resume with: npx zfnet train --out ${out} --resume`;
    throw new Interrupted(`stopped before the first step${next}`, Number(signal.reason) || 130);
  } finally {
    reporter.stop();
    if (status !== 'prepared') await page?.end(status);
  }
}

function jobOf({ store, options, reporter, place, recorded, from, start }: Locked, listener: TrainingListener): TrainJob {
  const { model, dataset, dataOptions, training } = start;
  const { init, scale, meanExamples, freeze, keepBytes, prepareOnly, signal, checkpointMinutes, checkpointSteps } = options;
  return {
    ...{
      model,
      dataset,
      dataOptions,
      store,
      scale,
      meanExamples,
      freeze,
      keepBytes,
      prepareOnly,
      signal,
      checkpointMinutes,
      checkpointSteps,
    },
    ...listener,
    ...(from && begin(model, from, recorded ?? options, dataset.classes, reporter)),
    options: training,
    init: from?.init ?? init,
    resume: recorded !== null,
    // A missing file existed when the data were opened, so it was lost since; an undecodable file was always broken.
    isLost: ({ file }) => file !== undefined && !existsSync(file),
    onStep(report) {
      place?.firstStep();
      listener.onStep?.(report);
    },
  };
}
