/** Profiles of a device's queue, on a stand-in for the device whose clock is set by the test. */
import { expect, it } from 'vitest';
import { createReferenceBackend } from '../../../src/backend/reference/index.js';
import { type DispatchTimer, profileQueue, startTiming, type Timeable } from '../../../src/backend/webgpu/profile.js';
import { profile } from '../../../src/profile/index.js';
import { add, BackendError, randn } from '../../../src/tensor/index.js';

const MS = 1_000_000n;

/** A device whose clock starts at an arbitrary time, and a queue on it; each dispatch takes the time that the test states. */
function standIn({ timestamps = true, step = 1n } = {}) {
  let clock = 123_456_789_000n;
  let timer: DispatchTimer | null = null;
  const sets: BigUint64Array[] = [];
  const stamp = () => (clock / step) * step;
  const memory = new Map<object, BigUint64Array>();
  let live = 0;
  const buffer = (size: number) => {
    const made = {
      mapAsync: async () => undefined,
      getMappedRange: () => memory.get(made)!.buffer as ArrayBuffer,
      destroy: () => void live--,
    };
    live++;
    memory.set(made, new BigUint64Array(size / 8));
    return made;
  };
  const device = {
    features: { has: (name: string) => timestamps && name === 'timestamp-query' },
    queue: { submit() {}, onSubmittedWorkDone: async () => undefined },
    createQuerySet({ count }: { count: number }) {
      expect(count).toBeLessThanOrEqual(4096);
      const set = Object.assign(new BigUint64Array(count), { destroy: () => void live-- });
      live++;
      sets.push(set);
      return set;
    },
    createBuffer: ({ size }: { size: number }) => buffer(size),
    createCommandEncoder: () => ({
      resolveQuerySet(set: BigUint64Array, first: number, count: number, to: object, offset: number) {
        memory.get(to)!.set(set.subarray(first, first + count), offset / 8);
      },
      copyBufferToBuffer: (from: object, _offset: number, to: object) => memory.get(to)!.set(memory.get(from)!),
      finish: () => ({}),
    }),
  } as unknown as Timeable['device'];
  const queue: Timeable = {
    device,
    timeWith(next) {
      timer = next;
    },
    flush() {},
  };
  const dispatch = (name: string, ns: bigint) => {
    const writes = timer?.dispatch(name);
    const begin = stamp();
    clock += ns;
    if (!writes) return timer?.submitted();
    const set = writes.querySet as unknown as BigUint64Array;
    set[writes.beginningOfPassWriteIndex] = begin;
    set[writes.endOfPassWriteIndex] = stamp();
  };
  const wait = (ns: bigint) => {
    clock += ns;
  };
  return { queue, dispatch, wait, isTimed: () => timer !== null, live: () => live, sets };
}

it('reports every dispatch in order, also beyond one set of queries, and frees the sets', async () => {
  const { queue, dispatch, wait, live, sets, isTimed } = standIn();
  const timing = startTiming(queue);
  const count = 5000;
  for (let i = 0; i < count; i++) {
    dispatch(`kernel ${i % 3}`, BigInt(1 + i) * 1000n);
    wait(500n);
  }
  expect(timing.count).toBe(count);
  const before = performance.now();
  const { dispatches, clock, note } = await timing.end();
  expect(clock).toBe('timestamps');
  expect(note).toBeUndefined();
  expect(dispatches).toHaveLength(count);
  for (const [i, { name, start, end }] of dispatches.entries()) {
    expect(name).toBe(`kernel ${i % 3}`);
    expect(end - start).toBeCloseTo((1 + i) / 1000, 4);
    if (i > 0) expect(start - dispatches[i - 1].end).toBeCloseTo(0.0005, 4);
  }
  expect(dispatches[0].start).toBeGreaterThan(0);
  expect(dispatches[0].start).toBeLessThan(before + 1e5);
  expect(sets).toHaveLength(3);
  expect(live()).toBe(0);
  expect(isTimed()).toBe(false);
});

it('says that the clock is rounded', async () => {
  const { queue, dispatch } = standIn({ step: 65_536n });
  const timing = startTiming(queue);
  for (let i = 0; i < 4; i++) dispatch('short', 20_000n);
  expect((await timing.end()).note).toContain('timestamp_quantization');
});

it('times by completion where the device has no timestamps, and says so', async () => {
  const { queue, dispatch } = standIn({ timestamps: false });
  const timing = startTiming(queue);
  dispatch('one', MS);
  dispatch('two', MS);
  const { dispatches, clock, note } = await timing.end();
  expect(clock).toBe('completion');
  expect(note).toContain('no timestamp queries');
  expect(dispatches.map(({ name }) => name)).toEqual(['one', 'two']);
  expect(dispatches[1].start).toBeGreaterThanOrEqual(dispatches[0].end);
});

it('has nothing to report of no dispatches', async () => {
  for (const timestamps of [true, false]) {
    const { queue } = standIn({ timestamps });
    expect((await startTiming(queue).end()).dispatches).toEqual([]);
  }
});

/** The reference backend, with a queue that runs two dispatches per addition. */
function backendWithQueue() {
  const { queue, dispatch, ...rest } = standIn();
  const backend = createReferenceBackend();
  const { binary } = backend;
  backend.binary = (...args) => {
    dispatch('add first', 2n * MS);
    dispatch('add second', 3n * MS);
    binary.apply(backend, args);
  };
  backend.profileKernels = (listener) => profileQueue(backend, queue, listener);
  return { backend, dispatch, ...rest };
}

it('profiles kernels by the time of their dispatches, and shows the device in the table and the trace', async () => {
  const { backend } = backendWithQueue();
  const [a, b] = [randn([4], { backend }), randn([4], { backend })];
  const found = await profile(() => [add(a, b), add(b, a)], { backend });
  expect(found.rows.find(({ kernel }) => kernel === 'binary')).toMatchObject({
    calls: 2,
    ms: expect.closeTo(10, 3),
    bestMs: expect.closeTo(5, 3),
  });
  expect(found.kernelMs).toBeCloseTo(10, 3);
  expect(found.device).toMatchObject({ dispatches: 4, busyMs: expect.closeTo(10, 3), clock: 'timestamps' });
  expect(found.device!.encodeMs).toBeGreaterThan(0);
  expect(found.device!.idleMs).toBeCloseTo(found.wallMs - 10, 3);
  expect(found.device!.shaders.map(({ name, dispatches }) => [name, dispatches])).toEqual([
    ['add second', 2],
    ['add first', 2],
  ]);
  const text = found.text({ ceiling: 100, bandwidth: 10 });
  expect(text).toMatch(/^device: 4 dispatches, busy 10\.0 ms.*timed by timestamp queries$/m);
  expect(text).toContain('copy 10.0 GB/s');
  const { traceEvents } = found.trace();
  const [first, second] = traceEvents.filter(({ cat }) => cat === 'dispatch');
  expect([first.name, second.name, first.tid]).toEqual(['add first', 'add second', 2]);
  expect(second.ts).toBeCloseTo(first.ts + 2000, 0);
  const kernels = traceEvents.filter(({ cat, name }) => cat === 'kernel' && name === 'binary');
  expect(kernels[0].ts).toBeCloseTo(first.ts, 3);
  expect(kernels[0].dur).toBeCloseTo(5000, 0);
});

it('refuses a second profile at the same time', () => {
  const { backend } = backendWithQueue();
  const end = backend.profileKernels(() => () => {});
  expect(() => backend.profileKernels(() => () => {})).toThrow(BackendError);
  return end();
});
