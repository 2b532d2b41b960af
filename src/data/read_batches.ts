/** Reads examples in a given order in batches, several batches ahead of the training step. */
import type { Example, Split } from './dataset.js';
import { DataError } from './errors.js';
import { exampleAt } from './rules.js';

/** One batch of `readBatches`. */
export interface Batch {
  /** The examples that could be read; may be empty. */
  examples: Example[];
  /** Position in the order after this batch. */
  cursor: number;
}

/** Options of `readBatches`. */
export interface ReadOptions {
  batchSize: number;
  /** Position in the order to start from. Default 0. */
  from?: number;
  /** Number of batches to prefetch while one is used; 0 reads each batch when it is needed. Default 2. */
  ahead?: number;
  /** Called for each example that cannot be read, which is then omitted. Without this option the error is thrown. */
  onBroken?: (error: DataError) => void;
}

/** Number of consecutive unreadable images after which the data count as missing (a deleted folder, a lost network drive). */
const GONE = 64;

/**
 * Yields the batches in order. All images of the current batch and of the prefetched batches are requested at once: kernels block this
 * thread for long, so the decoding threads need enough queued work until it is free again.
 *
 * @throws DataError if 64 consecutive images, or all images, cannot be read, even with `onBroken`
 */
export async function* readBatches(split: Split, order: ArrayLike<number>, options: ReadOptions): AsyncGenerator<Batch, void, undefined> {
  const { batchSize, from = 0, ahead = 2 } = options;
  let last: DataError | undefined;
  const onBroken =
    options.onBroken &&
    ((error: DataError) => {
      last = error;
      options.onBroken?.(error);
    });
  const waiting: Promise<Batch>[] = [];
  let next = from;
  let readUpTo = from;
  const start = () => {
    if (next >= order.length) return;
    const places = Array.prototype.slice.call(order, next, next + batchSize) as number[];
    next += places.length;
    const cursor = next;
    const batch = readExamples(split, places, onBroken).then((examples) => ({ examples, cursor }));
    // The error is thrown when its batch is consumed; until then it must not be reported as an unhandled rejection.
    batch.catch(() => undefined);
    waiting.push(batch);
  };
  for (let i = 0; i < ahead; i++) start();
  for (;;) {
    start();
    const batch = await waiting.shift();
    if (!batch) return;
    if (batch.examples.length > 0) readUpTo = batch.cursor;
    const unread = batch.cursor - readUpTo;
    if (last && (unread >= GONE || unread === order.length))
      throw new DataError(
        `none of the last ${unread} images can be read; the last error: ${last.message}. Check that the data still exist`,
        last.file,
        last,
      );
    yield batch;
  }
}

/**
 * Reads the examples at some indices concurrently, and returns them in that order.
 *
 * @param onBroken called for each example that cannot be read, which is then omitted; without it the error is thrown
 */
export async function readExamples(split: Split, places: ArrayLike<number>, onBroken?: (error: DataError) => void): Promise<Example[]> {
  const read = async (place: number): Promise<Example | undefined> => {
    try {
      return await exampleAt(split, place);
    } catch (error) {
      if (!onBroken || !(error instanceof DataError)) throw error;
      onBroken(error);
      return undefined;
    }
  };
  const examples = await Promise.all(Array.from(places, read));
  return examples.filter((example) => example !== undefined);
}
