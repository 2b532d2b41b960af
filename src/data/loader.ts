/** Walks a split in batches: the order of an epoch, the batches themselves, and reading ahead. */
import { arrayOf, boolean, checkArgument, checkFields, checkOptions, func, integer, type RulesFor, rule } from '../backend/validate.js';
import type { Example, Split } from './dataset.js';
import { DataError } from './errors.js';
import { Draws } from './random.js';
import { split as splitRule } from './rules.js';

export interface BatchOptions {
  batchSize: number;
  /** Shuffle the order (by `seed` and `epoch` alone). False unless given. */
  shuffle?: boolean;
  seed?: number;
  epoch?: number;
  /** Walk these places of the split only. */
  indices?: ArrayLike<number>;
  /** Leave out a last batch that is not full. */
  dropLast?: boolean;
  /** Called with each example that cannot be read, which is then left out of its batch; without it the error is thrown. */
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

/** Order of an epoch over `indices` (or 0 … length - 1), [length]: a Fisher–Yates shuffle drawn from (seed, epoch). */
export function epochOrder(length: number, options: { seed?: number; epoch?: number; indices?: ArrayLike<number> } = {}): Int32Array {
  checkArgument('epochOrder', 'length', length, integer(0, 2 ** 31 - 1));
  checkOptions('epochOrder', options, ORDER_OPTIONS);
  const { seed = 0, epoch = 0, indices } = options;
  const order = indices ? Int32Array.from(indices) : Int32Array.from({ length }, (_, i) => i);
  return new Draws(seed, 'order', epoch).shuffle(order);
}

/** Yields the examples of one epoch, `batchSize` at a time; the examples of a batch are fetched together. Empty batches are not yielded. */
export async function* batches(split: Split, options: BatchOptions): AsyncGenerator<Example[], void, undefined> {
  checkArgument('batches', 'split', split, splitRule, DataError);
  checkFields('batches', options, OPTIONS, ['batchSize'], DataError);
  const { batchSize, shuffle = false, seed, epoch, indices, dropLast = false, onBroken } = options;
  const order = shuffle
    ? epochOrder(split.length, { seed, epoch, indices })
    : Int32Array.from(indices ?? { length: split.length }, (value, i) => (indices ? (value as number) : i));
  const fetch = async (index: number): Promise<Example | undefined> => {
    try {
      return await split.get(index);
    } catch (error) {
      if (!onBroken || !(error instanceof DataError)) throw error;
      onBroken(error);
      return undefined;
    }
  };
  for (let start = 0; start < order.length; start += batchSize) {
    const places = order.subarray(start, start + batchSize);
    if (dropLast && places.length < batchSize) return;
    const fetched = await Promise.all(Array.from(places, fetch));
    const examples = fetched.filter((example) => example !== undefined);
    if (examples.length > 0) yield examples;
  }
}

/**
 * Iterates `source` with up to `depth` items read ahead. Items and errors come in order; leaving the loop early
 * closes the source.
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
    // An error is thrown when its turn comes; until then it must not count as unhandled.
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
