/** Reads the examples of an order in batches, several batches ahead of the engine. */
import type { Example, Split } from './dataset.js';
import { DataError } from './errors.js';

export interface Batch {
  /** Without those that could not be read: there may be none. */
  examples: Example[];
  /** How much of the order is used up behind this batch. */
  cursor: number;
}

export interface ReadOptions {
  batchSize: number;
  /** Where in the order to begin. Default 0. */
  from?: number;
  /** Batches that are being read while one is used. Default 2; 0 reads each when it is needed. */
  ahead?: number;
  /** Called with examples that cannot be read, which are left out; without it the error is thrown. */
  onBroken?: (error: DataError) => void;
}

/** So many images in a row that cannot be read are no longer a few broken files: the data are gone. */
const GONE = 64;

/**
 * Yields the batches in order. All images of a batch, and of the batches ahead, are asked for at once: kernels keep this
 * thread busy, so whatever decodes elsewhere must have enough to do until the next turn.
 *
 * @throws DataError when `onBroken` is told of one image after the other and none can be read
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
    const batch = fetchAll(split, places, next, onBroken);
    // An error is thrown when its turn comes; until then it must not count as unhandled.
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
        `none of ${unread} images in a row can be read; the last: ${last.message}. Are the data still there?`,
        last.file,
        last,
      );
    yield batch;
  }
}

async function fetchAll(split: Split, places: readonly number[], cursor: number, onBroken?: (error: DataError) => void): Promise<Batch> {
  const fetched = await Promise.all(
    places.map(async (place) => {
      try {
        return await split.get(place);
      } catch (error) {
        if (!onBroken || !(error instanceof DataError)) throw error;
        onBroken(error);
        return undefined;
      }
    }),
  );
  return { examples: fetched.filter((example) => example !== undefined), cursor };
}
