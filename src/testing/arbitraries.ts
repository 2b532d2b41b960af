/** Generators for property tests with fast-check: shapes, geometries of convolutions and poolings, and tensors. */
import type * as FastCheck from 'fast-check';
import type { ConvOptions, PoolOptions } from '../backend/params.js';
import { boolean, checkArgument, checkOptions, finite, func, integer, objectWith, type RulesFor } from '../backend/validate.js';
import { type Shape, sizeOf, type Tensor, type TensorOptions, tensor, ValueError } from '../tensor/index.js';
import { TENSOR_RULES } from '../tensor/tensor.js';

type Fc = typeof FastCheck.default;
type Arbitrary<T> = FastCheck.Arbitrary<T>;

/** fast-check's `toStringMethod`. */
const TO_STRING = Symbol.for('fast-check/toStringMethod');

/** A valid convolution: the kernel fits and the channels match. */
export interface ConvGeometry {
  /** [N, C, H, W] */
  x: number[];
  /** [O, C / groups, KH, KW] */
  w: number[];
  /** Stride, padding, dilation and groups that fit the two shapes. */
  options: Required<ConvOptions>;
}

/** A valid pooling: every window covers at least one element of the input. */
export interface PoolGeometry {
  /** [N, C, H, W] */
  x: number[];
  /** Kernel size, stride, padding and rounding that fit the shape. */
  options: Required<Omit<PoolOptions, 'kernel' | 'ceil'>>;
}

/** The values of generated tensors. */
export interface ValueRange {
  /** Default -1. */
  min?: number;
  /** Default 1. */
  max?: number;
  /** Evenly spaced distinct values in random order, for functions with kinks at equal values, such as max pooling. Default false. */
  distinct?: boolean;
}

/** The ranges that shapes are taken from, both ends included. */
export interface ShapeRange {
  /** Default 0. */
  minRank?: number;
  /** Default 4. */
  maxRank?: number;
  /** Default 1. */
  minExtent?: number;
  /** Default 5. */
  maxExtent?: number;
}

const rank = integer(0, 64);
const extent = integer(0, 2 ** 31 - 1);
const SHAPE_RANGE: RulesFor<ShapeRange> = { minRank: rank, maxRank: rank, minExtent: extent, maxExtent: extent };
const VALUE_RANGE: RulesFor<ValueRange> = { min: finite(), max: finite(), distinct: boolean };
/** fast-check generates elements one by one, so a larger tensor would make a test that does not end in reasonable time. */
const MOST_VALUES = 2 ** 20;

/** @throws ValueError unless the first of two named numbers is at most the second */
function checkOrder(op: string, range: Readonly<Record<string, number>>): void {
  const [[low, least], [high, most]] = Object.entries(range);
  if (least > most) throw new ValueError(`${op}: ${low} is ${least} and ${high} is ${most}, expected ${low} to be at most ${high}`);
}

const fastCheck = objectWith("fast-check: import fc from 'fast-check'", { integer: func, array: func, tuple: func, record: func });

/**
 * Returns generators (arbitraries) for property tests with fast-check. fast-check is an argument, so that users of `gradcheck` need not
 * install it. Counterexamples print the numbers of tensors.
 *
 * @example const { conv, tensorOf } = arbitraries(fc); // import fc from 'fast-check'
 */
export function arbitraries(fc: typeof FastCheck.default) {
  checkArgument('arbitraries', 'fc', fc, fastCheck);
  return { ...shapes(fc), ...geometries(fc), ...tensors(fc) };
}

const wholeOf = (fc: Fc) => (min: number, max: number) => fc.integer({ min, max });

function shapes(fc: Fc) {
  const whole = wholeOf(fc);

  /** Shapes. Default: rank 0 to 4, extents 1 to 5. */
  const shape = (options: ShapeRange = {}): Arbitrary<number[]> => {
    checkOptions('shape', options, SHAPE_RANGE);
    const { minRank = 0, maxRank = 4, minExtent = 1, maxExtent = 5 } = options;
    checkOrder('shape', { minRank, maxRank });
    checkOrder('shape', { minExtent, maxExtent });
    return fc.array(whole(minExtent, maxExtent), { minLength: minRank, maxLength: maxRank });
  };

  /** Pairs of shapes that can be broadcast. */
  const broadcastShapes = (options: ShapeRange = {}): Arbitrary<[number[], number[]]> =>
    shape(options).chain((full) => {
      const side = fc
        .tuple(fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }), whole(0, full.length))
        .map(([ones, skip]) => full.map((extent, i) => (ones[i] ? 1 : extent)).slice(skip));
      return fc.tuple(side, side);
    });

  return { shape, broadcastShapes };
}

/** Window and extent of one axis. */
type Axis = { kernel: number; stride: number; dilation: number; before: number; after: number; extent: number };

function geometries(fc: Fc) {
  const whole = wholeOf(fc);

  /** Kernel size, stride, padding before and after, and dilation of one axis, with an extent that the window fits into. */
  const axis = (largestPad: (window: number) => number) =>
    fc.tuple(whole(1, 4), whole(1, 3), whole(1, 2)).chain(([kernel, stride, dilation]) => {
      const window = dilation * (kernel - 1) + 1;
      const pad = whole(0, largestPad(window));
      return fc.tuple(pad, pad).chain(([before, after]) => {
        // At least the dilation, so that every window has a tap inside the input.
        const least = Math.max(dilation, window - before - after);
        return whole(least, least + 6).map((extent) => ({ kernel, stride, dilation, before, after, extent }));
      });
    });
  const both = (v: Axis, h: Axis) => ({
    stride: [v.stride, h.stride] as const,
    padding: [v.before, h.before, v.after, h.after] as const,
    dilation: [v.dilation, h.dilation] as const,
  });

  /** Convolutions with random stride, padding on each side, dilation and groups. */
  const conv = (): Arbitrary<ConvGeometry> =>
    fc
      .record({ v: axis(() => 3), h: axis(() => 3), n: whole(1, 2), groups: whole(1, 3), inputs: whole(1, 3), outputs: whole(1, 3) })
      .map(({ v, h, n, groups, inputs, outputs }) => ({
        x: [n, groups * inputs, v.extent, h.extent],
        w: [groups * outputs, inputs, v.kernel, h.kernel],
        options: { ...both(v, h), groups },
      }));

  /** Poolings with random stride, dilation, padding smaller than the window, and both values of `ceilMode`. */
  const pool = (): Arbitrary<PoolGeometry> => {
    const side = axis((window) => Math.min(window - 1, 3));
    return fc
      .record({ v: side, h: side, n: whole(1, 2), c: whole(1, 3), ceilMode: fc.boolean(), countIncludePad: fc.boolean() })
      .map(({ v, h, n, c, ceilMode, countIncludePad }) => ({
        x: [n, c, v.extent, h.extent],
        options: { ...both(v, h), kernelSize: [v.kernel, h.kernel] as const, ceilMode, countIncludePad },
      }));
  };

  return { conv, pool };
}

function tensors(fc: Fc) {
  const whole = wholeOf(fc);

  /** Values of a tensor, exact in float32. */
  const values = (size: number, options: ValueRange = {}): Arbitrary<Float32Array> => {
    checkArgument('values', 'size', size, integer(0, MOST_VALUES));
    checkOptions('values', options, VALUE_RANGE);
    const { min = -1, max = 1, distinct = false } = options;
    checkOrder('values', { min, max });
    const steps = distinct ? Math.max(1, size - 1) : 4096;
    const at = (step: number) => min + ((max - min) * step) / steps;
    const picked = distinct
      ? fc.shuffledSubarray(
          Array.from({ length: size }, (_, i) => i),
          { minLength: size, maxLength: size },
        )
      : fc.array(whole(0, steps), { minLength: size, maxLength: size });
    return picked.map((list) => Float32Array.from(list, at));
  };

  /** Tensors of a given shape, on the default backend or the one in `options`. */
  const tensorOf = (extents: Shape, options: ValueRange & TensorOptions = {}): Arbitrary<Tensor> => {
    checkOptions('tensorOf', options, { ...VALUE_RANGE, ...TENSOR_RULES });
    const { min, max, distinct, ...forTensor } = options;
    return values(sizeOf(extents), { min, max, distinct }).map((data) => {
      const made = tensor(data, extents, forTensor);
      // fast-check prints a counterexample by this method: with its numbers, not only its shape.
      const shown = () => `tensor([${data.join(', ')}], [${extents.join(', ')}])`;
      return Object.defineProperty(made, TO_STRING, { value: shown });
    });
  };

  return { values, tensorOf };
}
