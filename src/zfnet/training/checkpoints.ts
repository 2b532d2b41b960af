/** Writes the checkpoints of a run and its line of metrics. */
import { encodeCheckpoint } from '../../formats/checkpoint.js';
import type { EpochMetrics } from '../run/metrics.js';
import { PATHS } from '../run/run_store.js';
import { calmer, fail, optimizerOp } from './failures.js';
import type { Session } from './session.js';
import { capture, firstNonFinite } from './training_state.js';

/** Writes the files of a run while it is trained. */
export class Checkpoints {
  constructor(private readonly session: Session) {}

  /** Writes `last.safetensors`. All losses must have been delivered. */
  async save(bytes?: Uint8Array): Promise<void> {
    const { session } = this;
    const content = bytes ?? (await this.encode());
    await this.write(() => session.store.write(PATHS.last, content));
    const { epoch, step } = session.progress;
    session.saved = { epoch, step, at: performance.now() };
  }

  /** Writes the line of metrics and the checkpoints of an epoch. */
  async saveEpoch(metrics: EpochMetrics, isBest: boolean): Promise<void> {
    const { store } = this.session;
    const bytes = await this.encode();
    // The line is written before the checkpoints: a resume drops surplus lines, but could not restore a missing one.
    await this.write(() => store.append(PATHS.metrics, JSON.stringify(metrics)));
    await this.write(() => store.write(PATHS.epoch(metrics.epoch), bytes));
    if (isBest) await this.write(() => store.write(PATHS.best, bytes));
    await this.save(bytes);
  }

  /** Whether a checkpoint within the epoch is due. */
  isDue(): boolean {
    const { job, saved, progress } = this.session;
    const { checkpointMinutes = 5, checkpointSteps = Number.POSITIVE_INFINITY } = job;
    if (!saved) return true;
    return progress.step - saved.step >= checkpointSteps || performance.now() - saved.at >= checkpointMinutes * 60_000;
  }

  /** Runs a write. A failure becomes a `TrainingError` that names the last intact checkpoint. */
  private async write(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      fail(this.session, reason, { cause, advice: 'Fix the cause and resume: the steps since then are computed again, to the same bits' });
    }
  }

  private async encode(): Promise<Uint8Array> {
    const { session } = this;
    const captured = await capture({ ...session, model: session.job.model });
    const states = [captured.weights, captured.velocities, ...Object.values(captured.slots ?? {})];
    // The last step may have produced non-finite weights that no loss has revealed yet.
    const bad = states.map(firstNonFinite).find((name) => name !== undefined);
    if (bad !== undefined) {
      const op = optimizerOp(session);
      fail(session, `${bad} became NaN or infinite (op ${op})`, { culprit: { layer: bad.split('.')[0], op }, advice: calmer(session) });
    }
    return encodeCheckpoint(captured);
  }
}
