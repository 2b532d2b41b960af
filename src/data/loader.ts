/** Iterates a split in batches: the random order of an epoch, the batches, and prefetching. */
import { arrayOf, boolean, checkArgument, checkFields, checkOptions, func, integer, type RulesFor, rule } from '../backend/validate.js';
import type { Example, Split } from './dataset.js';
import { DataError } from './errors.js';
import { RandomStream } from './random.js';
import { readExamples } from './read_batches.js';
import { split as splitRule } from './rules.js';

/** Options of `batches`. */
export interface BatchOptions {
  /** Number of examples per batch; the last batch may have fewer. */
  batchSize: number;
  /** Whether to shuffle the examples. The order depends only on `seed` and `epoch`. Default false. */
  shuffle?: boolean;
  /** Seed of the random order. Default 0. */
  seed?: number;
  /** Number of the epoch: each has an order of its own. Default 0. */
  epoch?: number;
  /** Indices of the examples to iterate. Default: all examples. */
  indices?: ArrayLike<number>;
  /** Whether to omit a last batch that is not full (`drop_last` in PyTorch). Default false. */
  dropLast?: boolean;
  /** Called for each example that cannot be read, which is then omitted from its batch. Without this option the error is thrown. */
  onBroken?: (error: DataError) => void;
}

const OPTIONS: RulesFor<BatchOptions> = {
  batchSize: integer(1),
  shuffle: boolean,
  seed: integer(),
  epoch: integer(),
  indices: arrayOf(integer()),
  dropLast: boolean,
  onBroken: func,
};

const ORDER_OPTIONS = { seed: integer(), epoch: integer(), indices: arrayOf(integer()) };

/**
 * Returns the random order of an epoch, [length]: a Fisher–Yates shuffle of `indices` (default: 0 to length - 1), which depends only on
 * `seed` and `epoch` (both default to 0).
 *
 * @example const order = epochOrder(10, { seed: 1, epoch: 3 });
 */
export function epochOrder(length: number, options: { seed?: number; epoch?: number; indices?: ArrayLike<number> } = {}): Int32Array {
  checkArgument('epochOrder', 'length', length, integer(0, 2 ** 31 - 1));
  checkOptions('epochOrder', options, ORDER_OPTIONS);
  const { seed = 0, epoch = 0, indices } = options;
  const order = indices ? Int32Array.from(indices) : Int32Array.from({ length }, (_, i) => i);
  return new RandomStream(seed, 'order', epoch).shuffle(order);
}

/**
 * Yields the examples of one epoch in batches of `batchSize`. The examples of a batch are fetched concurrently. Empty batches are not
 * yielded.
 *
 * @example for await (const examples of batches(dataset.splits.train, { batchSize: 4, shuffle: true })) console.log(examples.length);
 */
export async function* batches(split: Split, options: BatchOptions): AsyncGenerator<Example[], void, undefined> {
  checkArgument('batches', 'split', split, splitRule, DataError);
  checkFields('batches', options, OPTIONS, ['batchSize'], DataError);
  const { batchSize, shuffle = false, seed, epoch, indices, dropLast = false, onBroken } = options;
  const order = shuffle
    ? epochOrder(split.length, { seed, epoch, indices })
    : Int32Array.from(indices ?? { length: split.length }, (value, i) => (indices ? (value as number) : i));
  for (let start = 0; start < order.length; start += batchSize) {
    const places = order.subarray(start, start + batchSize);
    if (dropLast && places.length < batchSize) return;
    const examples = await readExamples(split, places, onBroken);
    if (examples.length > 0) yield examples;
  }
}

/**
 * Iterates `source` and prefetches up to `depth` items (default 2). Items and errors keep their order. Leaving the loop early closes
 * the source.
 *
 * @example for await (const examples of prefetch(batches(dataset.splits.train, { batchSize: 4 }), 2)) console.log(examples.length);
 */
export async function* prefetch<T>(source: AsyncIterable<T>, depth = 2): AsyncGenerator<T, void, undefined> {
  checkArgument(
    'prefetch',
    'source',
    source,
    rule('an async iterable', (value) => isAsyncIterable(value)),
  );
  checkArgument('prefetch', 'depth', depth, integer(0, 10_000));
  const iterator = source[Symbol.asyncIterator]();
  const waiting: Promise<IteratorResult<T>>[] = [];
  const readAhead = (): void => {
    const next = iterator.next();
    // The error is thrown when its item is consumed; until then it must not be reported as an unhandled rejection.
    next.catch(() => undefined);
    waiting.push(next);
  };
  try {
    for (let i = 0; i < Math.max(1, depth); i++) readAhead();
    for (;;) {
      const result = await waiting.shift()!;
      if (result.done) return;
      readAhead();
      yield result.value;
    }
  } finally {
    await iterator.return?.();
  }
}

const isAsyncIterable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === 'function';
