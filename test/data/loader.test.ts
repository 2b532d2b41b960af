/** The loader: the order of an epoch, the division into batches, and prefetching. */
import { describe, expect, it } from 'vitest';
import { type BatchOptions, batches, DataError, type Example, epochOrder, prefetch, type Split } from '../../src/data/index.js';
import { failure } from './support.js';

/** Numbered examples that arrive in another order than they are requested. */
function numbered(length: number, fail?: (index: number) => Error | undefined): Split {
  return {
    length,
    labels: Int32Array.from({ length }, (_, i) => (i * 7) % 5),
    async get(index) {
      for (let turn = (index * 5) % 7; turn > 0; turn--) await Promise.resolve();
      const error = fail?.(index);
      if (error) throw error;
      const image = { width: 1, height: 1, channels: 1 as const, data: Uint8Array.of(index) };
      return { image, label: (index * 7) % 5, index, name: `example/${index}` };
    },
  };
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

const indices = async (split: Split, options: BatchOptions) =>
  (await collect(batches(split, options))).map((batch) => batch.map((example: Example) => example.index));

const ascending = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('the order of an epoch', () => {
  it('depends only on seed and epoch', () => {
    const order = epochOrder(50, { seed: 3, epoch: 4 });
    epochOrder(50, { seed: 9, epoch: 9 });
    expect(epochOrder(50, { seed: 3, epoch: 4 })).toEqual(order);
    const others = [{ seed: 3, epoch: 5 }, { seed: 4, epoch: 4 }, { seed: 4, epoch: 3 }, { seed: 3 }, { epoch: 4 }, {}];
    const seen = new Set([order, ...others.map((options) => epochOrder(50, options))].map(String));
    expect(seen.size).toBe(7);
    expect(epochOrder(50)).toEqual(epochOrder(50, { seed: 0, epoch: 0 }));
  });

  it('stays the same from version to version, so that a run can be repeated', () => {
    expect([...epochOrder(10, { seed: 1, epoch: 2 })]).toEqual([2, 0, 6, 5, 1, 8, 7, 4, 3, 9]);
  });

  it('contains every index once, or the given indices', () => {
    expect([...epochOrder(1000, { seed: 1 })].sort((a, b) => a - b)).toEqual(ascending(1000));
    const given = [40, 2, 17, 33, 8];
    const order = [...epochOrder(1000, { seed: 1, indices: given })];
    expect(order.sort((a, b) => a - b)).toEqual([2, 8, 17, 33, 40]);
    expect(given).toEqual([40, 2, 17, 33, 8]);
  });

  it('takes every permutation equally often', () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 2400; epoch++) {
      const order = String(epochOrder(4, { seed: 7, epoch }));
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThan(40);
  });
});

describe('batches', () => {
  it('follow the order of the split, each example with its label and image', async () => {
    const got = await collect(batches(numbered(7), { batchSize: 3 }));
    expect(got.map((batch) => batch.map((example) => example.index))).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
    for (const { image, index, label } of got.flat()) expect([image.data[0], label]).toEqual([index, (index * 7) % 5]);
  });

  it('follow the order of the epoch if shuffled, with every example once', async () => {
    const options = { batchSize: 8, shuffle: true, seed: 5, epoch: 2 };
    const got = await indices(numbered(50), options);
    expect(got.map((batch) => batch.length)).toEqual([8, 8, 8, 8, 8, 8, 2]);
    expect(got.flat()).toEqual([...epochOrder(50, { seed: 5, epoch: 2 })]);
    expect((await indices(numbered(50), { ...options, batchSize: 11 })).flat()).toEqual(got.flat());
  });

  it('omit an incomplete last batch with dropLast', async () => {
    expect(await indices(numbered(7), { batchSize: 3, dropLast: true })).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(await indices(numbered(6), { batchSize: 3, dropLast: true })).toHaveLength(2);
    expect(await indices(numbered(2), { batchSize: 3, dropLast: true })).toEqual([]);
  });

  it('contain only the examples at the given indices', async () => {
    const places = [9, 4, 4, 0];
    expect(await indices(numbered(10), { batchSize: 3, indices: places })).toEqual([[9, 4, 4], [0]]);
    const shuffled = await indices(numbered(10), { batchSize: 3, indices: places, shuffle: true, seed: 1 });
    expect(shuffled.flat().sort()).toEqual([0, 4, 4, 9]);
  });

  it('omit and report broken examples, and are never empty', async () => {
    const broken: string[] = [];
    const split = numbered(9, (index) => (index === 1 || (index >= 3 && index < 6) ? new DataError(`broken ${index}`) : undefined));
    const got = await indices(split, { batchSize: 3, onBroken: (error) => broken.push(error.message) });
    expect(got).toEqual([
      [0, 2],
      [6, 7, 8],
    ]);
    expect(broken.sort()).toEqual(['broken 1', 'broken 3', 'broken 4', 'broken 5']);
  });

  it('throw the error of a broken example without onBroken, and other errors always', async () => {
    const split = numbered(6, (index) => (index === 4 ? new DataError('broken 4') : undefined));
    const walk = batches(split, { batchSize: 3 });
    expect((await walk.next()).value).toHaveLength(3);
    expect((await failure(walk.next())).message).toBe('broken 4');
    const faulty = numbered(6, (index) => (index === 4 ? new TypeError('a fault of the program') : undefined));
    await expect(indices(faulty, { batchSize: 3, onBroken: () => undefined })).rejects.toThrow(TypeError);
  });

  it('have a size of 1 or more', async () => {
    for (const batchSize of [0, -2, 1.5, Number.NaN]) {
      expect((await failure(batches(numbered(3), { batchSize }).next())).message).toBe(
        `batches: batchSize is ${batchSize}, expected a whole number of at least 1`,
      );
    }
  });
});

describe('prefetch', () => {
  /** Counts how far it was read, and notes when it is closed. */
  function source(length: number, failAt = -1) {
    const state = { read: 0, closed: 0 };
    async function* items(): AsyncGenerator<number, void, undefined> {
      try {
        for (let i = 0; i < length; i++) {
          if (i === failAt) throw new DataError(`item ${i} is broken`);
          state.read++;
          await Promise.resolve();
          yield i;
        }
      } finally {
        state.closed++;
      }
    }
    return { state, items: items() };
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it.each([0, 1, 2, 5, 40])('with a depth of %i keeps all items in order', async (depth) => {
    const { items, state } = source(20);
    expect(await collect(prefetch(items, depth))).toEqual(ascending(20));
    expect(state).toEqual({ read: 20, closed: 1 });
  });

  it('reads exactly its depth ahead while an item is processed', async () => {
    const { items, state } = source(20);
    const ahead = prefetch(items, 3);
    await settle();
    expect(state.read).toBe(0);
    for (let i = 0; i < 5; i++) {
      expect((await ahead.next()).value).toBe(i);
      await settle();
      expect(state.read).toBe(i + 1 + 3);
    }
    await ahead.return();
  });

  it('throws an error after the items before it', async () => {
    const { items, state } = source(20, 4);
    const got: number[] = [];
    const walk = async () => {
      for await (const item of prefetch(items, 3)) {
        await settle();
        got.push(item);
      }
    };
    expect((await failure(walk())).message).toBe('item 4 is broken');
    expect(got).toEqual([0, 1, 2, 3]);
    expect(state.closed).toBe(1);
  });

  it('closes the source when the loop is left early, by a break or an error', async () => {
    const left = source(20);
    for await (const item of prefetch(left.items, 3)) if (item === 2) break;
    expect(left.state.closed).toBe(1);
    expect(await left.items.next()).toEqual({ done: true, value: undefined });
    const thrown = source(20);
    const walk = async () => {
      for await (const item of prefetch(thrown.items, 3)) if (item === 2) throw new DataError('enough');
    };
    expect((await failure(walk())).message).toBe('enough');
    expect(thrown.state.closed).toBe(1);
  });

  it('does not throw the error of a prefetched item if the loop is left before it', async () => {
    const { items, state } = source(20, 4);
    for await (const item of prefetch(items, 3)) {
      await settle();
      if (item === 2) break;
    }
    expect(state).toEqual({ read: 4, closed: 1 });
  });
});
