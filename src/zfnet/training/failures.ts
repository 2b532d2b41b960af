/** Ends training with a `TrainingError` that says what happened, where, which checkpoint is intact, and what to do. */
import type { DataError } from '../../data/errors.js';
import type { NonFiniteEvent } from '../../nn/training/stepper.js';
import type { OutOfMemoryError } from '../../tensor/index.js';
import { PATHS } from '../run/run_store.js';
import { rowsOf, type Session } from './session.js';
import { type Culprit, findNonFinite, TrainingError } from './watching/diagnosis.js';

/** @throws TrainingError always */
export function fail(
  { progress, saved, config }: Session,
  what: string,
  { advice, culprit = {}, cause }: { advice: string; culprit?: Omit<Culprit, 'text'>; cause?: unknown },
): never {
  const at = { epoch: progress.epoch + 1, step: progress.step + 1 };
  const batch = Math.floor(progress.cursor / config.training.batchSize) + 1;
  const kept = saved ? ` ${PATHS.last} is whole: it holds step ${saved.step}, after ${epochs(saved.epoch)}.` : '';
  throw new TrainingError(
    `train: epoch ${at.epoch}, batch ${batch} (step ${at.step}): ${what}${/[.?!]$/.test(what) ? '' : '.'}${kept} ${advice}`,
    at,
    culprit,
    cause,
  );
}

const epochs = (count: number): string => `${count} epoch${count === 1 ? '' : 's'}`;

/** Advice for values that have grown too large. */
export const calmer = ({ optimizer }: Session): string =>
  `Try a lower learning rate (it is ${optimizer.lr}), a limit on the filters' root mean square (maxFilterRms), or check the images`;

/** Ends training after a loss that is NaN or infinite; the message names the operation that produced the first such value. */
export async function failNonFinite(session: Session, { part, random, cause }: NonFiniteEvent): Promise<never> {
  const culprit = await findNonFinite(session.learning, optimizerOp(session), part && random && { ...part, random });
  return fail(session, `the loss became NaN or infinite: ${culprit.text}`, { culprit, cause, advice: calmer(session) });
}

/** Name of the kernel that updates the weights. */
export const optimizerOp = ({ config: { training } }: Session): string => training.optimizer?.kind ?? 'sgd';

/** Ends training because memory does not suffice. */
export function failMemory(session: Session, cause: OutOfMemoryError): never {
  const { batchSize } = session.config.training;
  const images = rowsOf(session);
  const advice =
    images > 1
      ? `Run fewer images at once: microBatch ${Math.ceil(images / 2)} (--micro-batch) sums the gradients of a mini-batch of ${batchSize} over smaller parts`
      : 'Use a smaller network or smaller images';
  return fail(session, cause.message, { cause, advice });
}

/** Ends training because images cannot be read any more. */
export const failLost = (session: Session, cause: DataError): never =>
  fail(session, `images are lost: ${cause.message}`, {
    cause,
    advice: 'Restore them and resume, or start a new run without them; a run resumes only with the data with which it began',
  });
