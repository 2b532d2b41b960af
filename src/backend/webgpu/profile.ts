/**
 * Timing of dispatches on a WebGPU queue, and the profile of a backend on top of it. While a profile runs, each dispatch has a compute pass
 * of its own, with one timestamp before and one behind it. The queue asks the timer for these timestamps; nothing else depends on it.
 */
import type { Backend, KernelListener, QueueTime, ThreadTime } from '../backend.js';
import { profileKernels } from '../profiling.js';
import { type GpuBufferLike, type GpuDeviceLike, type GpuQuerySetLike, type GpuTimestampWrites, MAP_READ, USAGE } from './types.js';

/** What the queue calls while it is being timed: see `Timeable`. */
export interface DispatchTimer {
  /** Whether the queue submits every dispatch at once and then calls `submitted`, because the device has no timestamps. */
  readonly submitsEach: boolean;
  /** Called before the pass of each dispatch. Returns its `timestampWrites`. */
  dispatch(kernel: string): GpuTimestampWrites | undefined;
  /** Called after the submission of one dispatch, if `submitsEach`. */
  submitted(): void;
}

/** The part of the queue of the backend that timing needs. */
export interface Timeable {
  readonly device: GpuDeviceLike;
  /** Gives every following dispatch a pass of its own, with the timestamps of the timer. Null ends this. Ends the open pass. */
  timeWith(timer: DispatchTimer | null): void;
  /** Submits everything that is recorded. */
  flush(): void;
}

/** One dispatch. Times are in milliseconds, on the clock of `performance.now()`. */
export interface TimedDispatch {
  name: string;
  start: number;
  end: number;
}

/** Dispatches in the order of the calls, and what is known of the clock that timed them. */
export interface Timing {
  dispatches: TimedDispatch[];
  clock: QueueTime['clock'];
  note?: string;
}

/** Most queries of one set that WebGPU allows. */
const MOST_QUERIES = 4096;
/** Bytes of one timestamp, a 64-bit number of nanoseconds. */
const BYTES = 8;
/** Dawn and Chromium clear the lower 16 bits of timestamps unless told otherwise. */
const ROUNDED_NS = 65_536n;
const NS_PER_MS = 1e6;

const ROUNDED =
  'the runtime rounds timestamps to 65.5 µs, so that single short kernels read 0; ' +
  "in Node, use create(['disable-dawn-features=timestamp_quantization'])";
const COMPLETION =
  'the device has no timestamp queries: each dispatch was submitted on its own, and its time, seen from the processor, includes that';

/**
 * Times every dispatch from now on. The returned object counts them; its `end` submits and waits for all of them. A device without the
 * feature `timestamp-query` is timed by the completion of submissions.
 */
export function startTiming(queue: Timeable): { readonly count: number; end(): Promise<Timing> } {
  return queue.device.features.has('timestamp-query') ? byTimestamps(queue) : byCompletion(queue);
}

function byTimestamps(queue: Timeable): ReturnType<typeof startTiming> {
  const { device } = queue;
  const sets: GpuQuerySetLike[] = [];
  const encoded: { name: string; at: number }[] = [];
  queue.timeWith({
    submitsEach: false,
    dispatch(name) {
      const query = 2 * encoded.length;
      encoded.push({ name, at: performance.now() });
      const index = query % MOST_QUERIES;
      if (index === 0) sets.push(device.createQuerySet({ type: 'timestamp', count: MOST_QUERIES }));
      return { querySet: sets[sets.length - 1], beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
    },
    submitted() {},
  });
  return {
    get count() {
      return encoded.length;
    },
    async end() {
      queue.timeWith(null);
      queue.flush();
      const stamps = await readTimestamps(device, sets, 2 * encoded.length);
      for (const set of sets) set.destroy();
      return { ...placed(encoded, stamps), clock: 'timestamps' };
    },
  };
}

/** Reads the first `count` queries of the sets. */
async function readTimestamps(device: GpuDeviceLike, sets: readonly GpuQuerySetLike[], count: number): Promise<BigUint64Array> {
  if (count === 0) return new BigUint64Array(0);
  const size = sets.length * MOST_QUERIES * BYTES;
  const resolved = device.createBuffer({ size, usage: USAGE.queryResolve | USAGE.copySource, label: 'profile' });
  const mapped: GpuBufferLike = device.createBuffer({ size, usage: USAGE.copyTarget | USAGE.mapRead, label: 'profile' });
  try {
    const encoder = device.createCommandEncoder({ label: 'profile' });
    for (const [i, set] of sets.entries()) {
      const queries = Math.min(MOST_QUERIES, count - i * MOST_QUERIES);
      encoder.resolveQuerySet(set, 0, queries, resolved, i * MOST_QUERIES * BYTES);
    }
    encoder.copyBufferToBuffer(resolved, 0, mapped, 0, size);
    device.queue.submit([encoder.finish()]);
    await mapped.mapAsync(MAP_READ);
    return new BigUint64Array(mapped.getMappedRange().slice(0, count * BYTES));
  } finally {
    resolved.destroy();
    mapped.destroy();
  }
}

/**
 * Converts timestamps to the clock of `performance.now()`. The two clocks have an unknown difference; the smallest one is chosen with
 * which no dispatch starts before it was encoded. Passes may overlap on the device: a dispatch counts from the end of the ones before it,
 * so that the sum of all is the time that the device was busy.
 */
function placed(encoded: readonly { name: string; at: number }[], stamps: BigUint64Array): Omit<Timing, 'clock'> {
  const origin = stamps.length > 0 ? stamps[0] : 0n;
  const ms = (index: number) => Number(stamps[index] - origin) / NS_PER_MS;
  const offset = encoded.reduce((most, { at }, i) => Math.max(most, at - ms(2 * i)), Number.NEGATIVE_INFINITY);
  let last = Number.NEGATIVE_INFINITY;
  const dispatches = encoded.map(({ name }, i) => {
    const end = Math.max(last, ms(2 * i + 1) + offset);
    const start = Math.min(Math.max(last, ms(2 * i) + offset), end);
    last = end;
    return { name, start, end };
  });
  const rounded = stamps.length > 2 && stamps.every((stamp) => stamp % ROUNDED_NS === 0n);
  return { dispatches, ...(rounded && { note: ROUNDED }) };
}

function byCompletion(queue: Timeable): ReturnType<typeof startTiming> {
  const submissions: { name: string; at: number; done: Promise<number> }[] = [];
  let name = '';
  queue.timeWith({
    submitsEach: true,
    dispatch(kernel) {
      name = kernel;
      return undefined;
    },
    submitted() {
      const done = queue.device.queue.onSubmittedWorkDone().then(() => performance.now());
      submissions.push({ name, at: performance.now(), done });
    },
  });
  return {
    get count() {
      return submissions.length;
    },
    async end() {
      queue.timeWith(null);
      queue.flush();
      let last = Number.NEGATIVE_INFINITY;
      const dispatches: TimedDispatch[] = [];
      for (const { name, at, done } of submissions) {
        const end = await done;
        dispatches.push({ name, start: Math.min(Math.max(at, last), end), end });
        last = end;
      }
      return { dispatches, clock: 'completion', note: COMPLETION };
    },
  };
}

/** A call of a kernel of the backend: its dispatches are those from `first` to `after`, exclusive. */
interface Call {
  report(start: number, end: number): void;
  encodedAt: number;
  first: number;
  after: number;
}

/**
 * Implements `Backend.profileKernels` for a queue. A call is reported with the start of its first dispatch and the time of its dispatches
 * together; a call without dispatches, such as an upload, takes no time on the device.
 *
 * @throws BackendError if the backend is already being profiled
 */
export function profileQueue(backend: Backend, queue: Timeable, listener: KernelListener): () => Promise<ThreadTime[]> {
  const calls: Call[] = [];
  const endCalls = profileKernels(backend, (kernel, args) => {
    const call: Call = { report: listener(kernel, args), encodedAt: performance.now(), first: timing.count, after: 0 };
    calls.push(call);
    return () => {
      call.after = timing.count;
    };
  });
  const timing = startTiming(queue);
  return async () => {
    const encodeMs = endCalls();
    const { dispatches, clock, note } = await timing.end();
    for (const { report, encodedAt, first, after } of calls) {
      const own = dispatches.slice(first, after);
      const start = own.length > 0 ? own[0].start : encodedAt;
      report(start, start + busy(own));
    }
    const queueTime: QueueTime = { encodeMs, clock, dispatches, ...(note !== undefined && { note }) };
    return [
      { name: 'main thread, encoding', busyMs: encodeMs },
      { name: 'GPU', busyMs: busy(dispatches), queue: queueTime },
    ];
  };
}

const busy = (dispatches: readonly TimedDispatch[]): number => dispatches.reduce((sum, { start, end }) => sum + end - start, 0);
