/**
 * Junk values for public functions. A function that is given junk must return a result or throw a `ZfnetError`: no other error, no
 * endless loop, no death of the process. Every entry point's test uses the same values and the same check.
 */
import fc from 'fast-check';
import { ZfnetError } from '../../src/backend/errors.js';
import { show } from '../../src/backend/validate.js';

/** A buffer that was transferred away, so that arrays over it have length 0 and cannot be written. */
function detachedBuffer(): Float32Array {
  const array = new Float32Array(4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

class Stranger {
  shape = [2, 2];
  dtype = 'float32';
}

/** Fresh values of every kind that a caller in plain JavaScript may pass by mistake. */
const KINDS: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => true,
  () => false,
  () => 0,
  () => -0,
  () => -1,
  () => 1,
  () => 2,
  () => 0.5,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => Number.NEGATIVE_INFINITY,
  () => 2 ** 31 - 1,
  () => 2 ** 31,
  () => 2 ** 32,
  () => 2 ** 53,
  () => 1e300,
  () => -(2 ** 31),
  () => 10n,
  () => '',
  () => '2',
  () => 'abc',
  () => '__proto__',
  () => 'constructor',
  () => 'toString',
  () => Symbol('junk'),
  () => ({}),
  () => Object.create(null),
  () => ({ length: 2 }),
  () => ({ length: -1 }),
  () => ({ length: 1e9 }),
  () => ({ unknown: 1 }),
  () => ({ stride: null, axes: null, seed: null }),
  () => [],
  () => [1],
  () => [0],
  () => [-1],
  () => [1, 2, 3],
  () => [0.5, Number.NaN],
  () => [null],
  () => [undefined],
  () => ['2', 'abc'],
  () => [[]],
  () => [[1], [2, 3]],
  () => [[1, 2], 3],
  () => [2 ** 31, 2 ** 31],
  () => [10n],
  () => [Symbol('junk')],
  // biome-ignore lint/suspicious/noSparseArray: a hole is one of the mistakes.
  () => [1, , 3],
  () => new Array(3),
  () => new Float32Array(4),
  () => new Float32Array([Number.NaN]),
  () => new Float64Array([0.5, 1.5]),
  () => new Int32Array([1, 2]),
  () => new Int32Array([-1]),
  () => new Uint8Array(3),
  () => new Int16Array(2),
  () => new BigInt64Array(2),
  () => new Float32Array(new SharedArrayBuffer(8)),
  () => detachedBuffer(),
  () => new ArrayBuffer(8),
  () => new DataView(new ArrayBuffer(8)),
  () => new Map([['a', 1]]),
  () => new Set([1]),
  () => new Date(0),
  () => new Date(Number.NaN),
  () => /junk/,
  () => new Error('junk'),
  () => new Stranger(),
  () => () => undefined,
  () => () => 1,
  () => async () => 1,
  () => Promise.resolve(1),
  () => new Proxy({}, {}),
];

/** One kind of junk by its number, with more kinds from outside, such as disposed tensors. */
export const junk = (more: readonly (() => unknown)[] = []): fc.Arbitrary<() => unknown> => fc.constantFrom(...KINDS, ...more);

/** A function under test. */
export interface JunkTarget {
  name: string;
  /** May be asynchronous. */
  call: (...args: unknown[]) => unknown;
  /** Makes arguments that the function takes; the check replaces some of them, or parts of them, by junk. */
  valid?: () => unknown[];
}

export interface JunkOptions {
  seed?: number;
  /** Calls per target. */
  runs?: number;
  /** Further kinds of junk, such as tensors that were disposed of. */
  more?: readonly (() => unknown)[];
  /** Frees the result of a call. */
  cleanUp?: (result: unknown) => void;
  /** The most milliseconds for one call. Default 5000. */
  mostMs?: number;
}

/** A list of arguments: junk alone, or valid arguments of which one, or one property or element of one, is junk. */
function spoil(args: unknown[], place: number, inside: number, value: unknown): unknown[] {
  const result = [...args];
  const target = result[place];
  const isRecord = typeof target === 'object' && target !== null && [Object.prototype, null].includes(Object.getPrototypeOf(target));
  if (inside > 0 && isRecord) {
    const keys = Object.keys(target);
    const key = inside % 8 === 7 || keys.length === 0 ? 'unknownOption' : keys[inside % keys.length];
    result[place] = { ...target, [key]: value };
  } else if (inside > 0 && Array.isArray(target) && target.length > 0) {
    const copy = [...target];
    copy[inside % target.length] = value;
    result[place] = copy;
  } else result[place] = value;
  return result;
}

function argumentsOf(target: JunkTarget, run: { values: (() => unknown)[]; place: number; inside: number; pure: boolean }): unknown[] {
  const values = run.values.map((make) => make());
  const valid = target.valid && !run.pure ? target.valid() : null;
  return valid && valid.length > 0 ? spoil(valid, run.place % valid.length, run.inside, values[0]) : values;
}

const describeError = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : `threw ${show(error)}`);

/**
 * Calls every target with junk and returns one line per fault found: an error that is not a `ZfnetError`, or a call that runs longer
 * than `mostMs`. An empty list means success. Each line contains the seed.
 */
export async function faultsUnderJunk(targets: readonly JunkTarget[], options: JunkOptions = {}): Promise<string[]> {
  const { seed = 20140906, runs = 60, more = [], cleanUp, mostMs = 5000 } = options;
  const values = junk(more);
  const plans = fc.sample(
    fc.record({
      values: fc.array(values, { minLength: 1, maxLength: 4 }),
      place: fc.nat(5),
      inside: fc.nat(40),
      pure: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    }),
    { seed, numRuns: runs },
  );
  const faults = new Map<string, string>();
  for (const target of targets) {
    for (const [number, plan] of plans.entries()) {
      const args = argumentsOf(target, plan);
      const started = performance.now();
      let fault = '';
      try {
        const result = await target.call(...args);
        cleanUp?.(result);
      } catch (error) {
        if (!(error instanceof ZfnetError)) fault = describeError(error);
      }
      const ms = performance.now() - started;
      if (ms > mostMs) fault = `took ${Math.round(ms)} ms`;
      const key = `${target.name}: ${fault}`;
      if (fault && !faults.has(key)) faults.set(key, `${key} for (${args.map(show).join(', ')}), seed ${seed}, run ${number}`);
    }
  }
  return [...faults.values()];
}
