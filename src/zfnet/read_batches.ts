/** Reads the examples of an order in batches, several batches ahead of the engine. */
import type { Example, Split } from '../data/dataset.js';
import { DataError } from '../data/errors.js';

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

/**
 * Yields the batches in order. All images of a batch, and of the batches ahead, are asked for at once: kernels keep this
 * thread busy, so whatever decodes elsewhere must have enough to do until the next turn.
 */
export async function* readBatches(split: Split, order: ArrayLike<number>, options: ReadOptions): AsyncGenerator<Batch, void, undefined> {
  const { batchSize, from = 0, ahead = 2, onBroken } = options;
  const waiting: Promise<Batch>[] = [];
  let next = from;
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
    const batch = waiting.shift();
    if (!batch) return;
    yield await batch;
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

/** Lets timers, signals, progress bars and finished reads have their turn. */
export function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
