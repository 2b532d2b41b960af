/**
 * Tools for testing operations and layers, published as `zfnet/testing`: `gradcheck` compares gradients with finite differences, and
 * `arbitraries` generates shapes, geometries and tensors for property tests with fast-check.
 */

import type * as FastCheck from 'fast-check';
import type { ConvOptions, PoolOptions } from './backend/params.js';
import { createReferenceBackend } from './backend/reference/index.js';
import {
  arrayOf,
  boolean,
  checkArgument,
  checkOptions,
  finite,
  func,
  instanceOf,
  integer,
  objectWith,
  positive,
  type RulesFor,
  rule,
} from './backend/validate.js';
import { Module } from './nn/index.js';
import { membersOf } from './nn/state/members.js';
import {
  backward,
  DTypeError,
  Generator,
  getRandomState,
  noGrad,
  type Shape,
  scope,
  setRandomState,
  sizeOf,
  Tensor,
  type TensorOptions,
  tensor,
  uniform,
  ValueError,
  withBackend,
  ZfnetError,
} from './tensor/index.js';
import { TENSOR_RULES } from './tensor/tensor.js';

// Gradient checks ---------------------------------------------------------------------------------

export interface GradcheckOptions {
  /** Step of the finite differences, multiplied by max(1, |value|). Default 1e-5. */
  epsilon?: number;
  /** Largest error allowed: see `GradcheckPlace.error`. Default 1e-6. */
  tolerance?: number;
  /** Number of elements checked in each tensor, evenly spaced; two random directions cover the others. Default 64. */
  places?: number;
}

/** One derivative, by the gradient and by finite differences. */
export interface GradcheckPlace {
  /** Name of the element or direction: `input 0 at [0, 2, 1]`, `conv1.weight along a random direction`. */
  place: string;
  /** The derivative according to the gradient. */
  analytic: number;
  /** The derivative according to finite differences. */
  numeric: number;
  /** |analytic − numeric| / max(1, |analytic|, |numeric|). */
  error: number;
}

export interface GradcheckResult {
  /** Name of the operation that computed the function's output. */
  op: string;
  /** Number of derivatives compared. */
  checked: number;
  /** The derivative with the largest error; null if nothing requires a gradient. */
  worst: GradcheckPlace | null;
}

/** Thrown by `gradcheck` when a gradient differs from finite differences. */
export class GradcheckError extends ZfnetError implements GradcheckPlace {
  override name = 'GradcheckError';
  readonly place: string;
  readonly analytic: number;
  readonly numeric: number;
  readonly error: number;

  constructor(
    readonly op: string,
    worst: GradcheckPlace,
    tolerance: number,
  ) {
    super(
      `${op}: the gradient of ${worst.place} is ${worst.analytic}, finite differences give ${worst.numeric} ` +
        `(relative error ${worst.error.toExponential(1)}, allowed ${tolerance}); check the backward step, and keep inputs away from kinks`,
    );
    this.place = worst.place;
    this.analytic = worst.analytic;
    this.numeric = worst.numeric;
    this.error = worst.error;
  }
}

/** Random directions per tensor. */
const DIRECTIONS = 2;
/** Seed of the random weights and directions. */
const SEED = 2013;

/**
 * Checks the gradients of a function or module against finite differences, in float64. PyTorch `torch.autograd.gradcheck`.
 *
 * It compares the gradient of ⟨r, f(x)⟩, for a random r, with central differences, on a reference backend of its own. All
 * floating-point inputs are checked, and the parameters of a module. Inputs may be on any backend with synchronous reads. Inputs and
 * module are not modified. Dropout uses the same mask in every evaluation.
 *
 * @example gradcheck((x) => x.square().sum(), randn([2, 3]));
 * @param subject a function of tensors, or a module; constants that it creates must have the element type of its inputs
 * @throws GradcheckError naming the derivative with the largest error; ValueError if the function is not deterministic
 */
export function gradcheck(
  subject: Module | ((...inputs: Tensor[]) => Tensor),
  inputs: Tensor | readonly Tensor[],
  options: GradcheckOptions = {},
): GradcheckResult {
  checkArgument(
    'gradcheck',
    'subject',
    subject,
    rule('a function of tensors, or a module', (value) => typeof value === 'function' || value instanceof Module),
  );
  checkArgument('gradcheck', 'inputs', inputs instanceof Tensor ? [inputs] : inputs, arrayOf(instanceOf(Tensor)));
  checkOptions('gradcheck', options, { epsilon: positive, tolerance: positive, places: integer(1) });
  const { epsilon = 1e-5, tolerance = 1e-6, places = 64 } = options;
  const backend = createReferenceBackend();
  const run = subject instanceof Module ? (...tensors: Tensor[]) => subject.forward(tensors[0]) : subject;
  const randomState = getRandomState();
  const slots = subject instanceof Module ? tensorSlots(subject) : [];
  try {
    return withBackend(backend, () => {
      const args = (inputs instanceof Tensor ? [inputs] : inputs).map((input) => inFloat64(input, true));
      for (const slot of slots) slot.put(inFloat64(slot.original, slot.original.requiresGrad));
      const leaves = [
        ...args.map((leaf, i) => ({ name: `input ${i}`, leaf })),
        ...slots.map(({ name, get }) => ({ name, leaf: get() })),
      ].filter(({ leaf }) => leaf.requiresGrad);
      return compare(() => run(...args), leaves, { epsilon, tolerance, places });
    });
  } finally {
    for (const slot of slots) slot.put(slot.original);
    setRandomState(randomState);
    backend.dispose();
  }
}

/** Copies a tensor to the default backend; floating-point tensors become float64 and, if `checked`, leaves that require a gradient. */
function inFloat64(source: Tensor, checked: boolean): Tensor {
  const float = source.dtype === 'float32' || source.dtype === 'float64';
  return tensor(source.dataSync(), source.shape, { dtype: float ? 'float64' : source.dtype, requiresGrad: checked && float });
}

/** A property of a module that contains a parameter or buffer. */
interface Slot {
  name: string;
  original: Tensor;
  get(): Tensor;
  put(value: Tensor): void;
}

/** Returns the tensors of a module and its submodules, with functions that replace them. */
function tensorSlots(module: Module, prefix = '', visited = new Set<Module>()): Slot[] {
  if (visited.has(module)) return [];
  visited.add(module);
  const { parameters, buffers } = membersOf<Module>(module, (value): value is Module => value instanceof Module);
  const own = [...parameters, ...buffers].map(({ name, value, replace }): Slot => {
    let current = value;
    return {
      name: prefix + name,
      original: value,
      get: () => current,
      put: (next) => {
        current = next;
        replace(next);
      },
    };
  });
  return [...own, ...module.children().flatMap(([name, child]) => tensorSlots(child, `${prefix}${name}.`, visited))];
}

function compare(evaluate: () => Tensor, leaves: readonly { name: string; leaf: Tensor }[], options: Required<GradcheckOptions>) {
  const { epsilon, tolerance, places } = options;
  const randomState = getRandomState();
  const generator = new Generator(SEED);
  const again = () => {
    setRandomState(randomState);
    return evaluate();
  };

  const [op, projection, gradients] = scope(() => {
    const y = again();
    checkArgument('gradcheck', 'what the function gave', y, instanceOf(Tensor));
    if (y.dtype !== 'float64')
      throw new DTypeError(
        `gradcheck: the function returned a ${y.dtype} tensor for float64 inputs, expected float64; create its constants with the dtype of its inputs`,
      );
    const weights = uniform(y.shape, { low: -1, high: 1, dtype: 'float64', generator });
    const op = y.node?.op ?? 'input';
    const gradients = backward(y, { gradient: weights, wrt: leaves.map(({ leaf }) => leaf) });
    return [op, numbers(weights), gradients.map(numbers)] as const;
  });
  const objective = () => noGrad(() => numbers(again())).reduce((sum, value, i) => sum + value * projection[i], 0);
  if (!Object.is(objective(), objective()))
    throw new ValueError(
      'gradcheck: got different results for the same inputs, expected a deterministic function; seed its random numbers',
    );

  const result: GradcheckResult = { op, checked: 0, worst: null };
  const note = (place: string, analytic: number, numeric: number) => {
    const error = Math.abs(analytic - numeric) / Math.max(1, Math.abs(analytic), Math.abs(numeric));
    result.checked++;
    if (result.worst === null || !(error <= result.worst.error)) result.worst = { place, analytic, numeric, error };
  };
  leaves.forEach(({ name, leaf }, which) => {
    const at = numbers(leaf);
    const gradient = gradients[which];
    /** Central difference of the objective along a direction. */
    const slope = (step: number, direction: (i: number) => number) => {
      const [up, down] = [step, -step].map((t) => {
        leaf.set(at.map((value, i) => value + t * direction(i)));
        return objective();
      });
      leaf.set(at);
      return (up - down) / (2 * step);
    };
    for (const i of spread(leaf.size, places)) {
      const step = epsilon * Math.max(1, Math.abs(at[i]));
      note(
        `${name} at [${indexOf(i, leaf.shape).join(', ')}]`,
        gradient[i],
        slope(step, (j) => (j === i ? 1 : 0)),
      );
    }
    if (leaf.size <= places) return;
    for (let k = 0; k < DIRECTIONS; k++) {
      const direction = numbers(uniform(leaf.shape, { low: -1, high: 1, dtype: 'float64', generator }));
      const analytic = direction.reduce((sum, value, i) => sum + value * gradient[i], 0);
      note(
        `${name} along a random direction`,
        analytic,
        slope(epsilon, (i) => direction[i]),
      );
    }
  });
  const { worst } = result;
  if (worst && !(worst.error <= tolerance)) throw new GradcheckError(op, worst, tolerance);
  return result;
}

/** Returns a copy of the elements of a float64 tensor. */
const numbers = (source: Tensor) => source.dataSync() as Float64Array;

/** Returns at most `count` evenly spaced indices below `size`, including the first and the last. */
function spread(size: number, count: number): number[] {
  if (size <= count) return Array.from({ length: size }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => Math.floor((i * (size - 1)) / Math.max(1, count - 1)));
}

/** Converts a flat index to one index per axis. */
function indexOf(place: number, shape: Shape): number[] {
  const index: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(place % shape[axis]);
    place = Math.floor(place / shape[axis]);
  }
  return index;
}

// Arbitraries -------------------------------------------------------------------------------------

/** A valid convolution: the kernel fits and the channels match. */
export interface ConvGeometry {
  /** [N, C, H, W] */
  x: number[];
  /** [O, C / groups, KH, KW] */
  w: number[];
  options: Required<ConvOptions>;
}

/** A valid pooling: every window covers at least one element of the input. */
export interface PoolGeometry {
  /** [N, C, H, W] */
  x: number[];
  options: Required<Omit<PoolOptions, 'kernel' | 'ceil'>>;
}

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
 * install it.
 *
 * @example const { conv, tensorOf } = arbitraries(fc);
 */
export function arbitraries(fc: typeof FastCheck.default) {
  checkArgument('arbitraries', 'fc', fc, fastCheck);
  type Arbitrary<T> = FastCheck.Arbitrary<T>;
  const whole = (min: number, max: number) => fc.integer({ min, max });

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
  type Axis = { kernel: number; stride: number; dilation: number; before: number; after: number; extent: number };
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
    return values(sizeOf(extents), { min, max, distinct }).map((data) => tensor(data, extents, forTensor));
  };

  return { shape, broadcastShapes, conv, pool, values, tensorOf };
}
