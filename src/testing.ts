/**
 * For proving layers right, published as `zfnet/testing`: `gradcheck` compares gradients with differences of the function
 * itself, in float64 on the reference backend; `arbitraries` draws shapes, geometry and tensors for fast-check.
 */

import type * as FastCheck from 'fast-check';
import type { ConvOptions, PoolOptions } from './backend/params.js';
import { createReferenceBackend } from './backend/reference/index.js';
import { arrayOf, checkArgument, checkOptions, instanceOf, integer, positive, rule } from './backend/validate.js';
import { Module } from './nn/index.js';
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

// Gradient checks ---------------------------------------------------------------------------------

export interface GradcheckOptions {
  /** Step of the differences, relative to values beyond 1. Default 1e-5. */
  epsilon?: number;
  /** The most that analytic and numeric derivative may differ, relative to values beyond 1. Default 1e-6. */
  tolerance?: number;
  /** Single elements looked at in each tensor, spread over it; random directions cover the rest. Default 64. */
  places?: number;
}

/** One derivative, computed in both ways. */
export interface GradcheckPlace {
  /** `input 0 at [0, 2, 1]`, `conv1.weight along a random direction`. */
  place: string;
  analytic: number;
  numeric: number;
  /** |analytic − numeric| / max(1, |analytic|, |numeric|). */
  error: number;
}

export interface GradcheckResult {
  /** The operation that made the function's output. */
  op: string;
  /** Number of derivatives compared. */
  checked: number;
  /** Where the two differ most; null where there was nothing to compare. */
  worst: GradcheckPlace | null;
}

/** A gradient that differs from the differences of its function. */
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
      `${op}: the gradient of ${worst.place} is ${worst.analytic}, differences say ${worst.numeric} ` +
        `(relative error ${worst.error.toExponential(1)}, allowed ${tolerance}); where the function has a kink, keep inputs away from it`,
    );
    this.place = worst.place;
    this.analytic = worst.analytic;
    this.numeric = worst.numeric;
    this.error = worst.error;
  }
}

const DIRECTIONS = 2;
const SEED = 2013;

/**
 * Compares the gradients of a function, or of a module's forward, with central differences of ⟨r, f(x)⟩ for random r, in
 * float64 on a reference backend of its own. All floating-point inputs are checked, and a module's parameters with them.
 * Inputs may live on any backend that reads at once; they and the module stay as they are. Dropout draws the same mask each time.
 *
 * @param subject a function of tensors; constants that it makes must have its inputs' type
 * @throws GradcheckError naming the worst place
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

/** A copy on the default backend: floating-point numbers in float64, as a leaf of the graph where they are to be checked. */
function inFloat64(source: Tensor, checked: boolean): Tensor {
  const float = source.dtype === 'float32' || source.dtype === 'float64';
  return tensor(source.dataSync(), source.shape, { dtype: float ? 'float64' : source.dtype, requiresGrad: checked && float });
}

interface Slot {
  name: string;
  original: Tensor;
  get(): Tensor;
  put(value: Tensor): void;
}

/** Where a module and its parts keep their parameters and buffers. */
function tensorSlots(module: Module, prefix = ''): Slot[] {
  const owner = module as unknown as Record<string, Tensor>;
  const own = Object.entries(module)
    .filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor)
    .map(([key, original]) => ({
      name: prefix + key,
      original,
      get: () => owner[key],
      put: (value: Tensor) => {
        owner[key] = value;
      },
    }));
  return [...own, ...module.children().flatMap(([name, child]) => tensorSlots(child, `${prefix}${name}.`))];
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
    if (y.dtype !== 'float64')
      throw new DTypeError(`gradcheck: the function gave a ${y.dtype} tensor for float64 inputs; give constants the type of its inputs`);
    const seed = uniform(y.shape, { low: -1, high: 1, dtype: 'float64', generator });
    const op = y.node?.op ?? 'input';
    const signals = backward(y, { seed, wrt: leaves.map(({ leaf }) => leaf) });
    return [op, numbers(seed), signals.map(numbers)] as const;
  });
  const objective = () => noGrad(() => numbers(again())).reduce((sum, value, i) => sum + value * projection[i], 0);
  if (!Object.is(objective(), objective()))
    throw new ValueError('gradcheck: the function gives different results for the same inputs, so it has no derivative to check');

  const result: GradcheckResult = { op, checked: 0, worst: null };
  const note = (place: string, analytic: number, numeric: number) => {
    const error = Math.abs(analytic - numeric) / Math.max(1, Math.abs(analytic), Math.abs(numeric));
    result.checked++;
    if (result.worst === null || !(error <= result.worst.error)) result.worst = { place, analytic, numeric, error };
  };
  leaves.forEach(({ name, leaf }, which) => {
    const at = numbers(leaf);
    const gradient = gradients[which];
    /** d objective / dt at x + t · direction. */
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

/** A copy of a float64 tensor's numbers. */
const numbers = (source: Tensor) => source.dataSync() as Float64Array;

/** At most `count` places of `size`, evenly spread, the first and the last among them. */
function spread(size: number, count: number): number[] {
  if (size <= count) return Array.from({ length: size }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => Math.floor((i * (size - 1)) / Math.max(1, count - 1)));
}

function indexOf(place: number, shape: Shape): number[] {
  const index: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(place % shape[axis]);
    place = Math.floor(place / shape[axis]);
  }
  return index;
}

// Arbitraries -------------------------------------------------------------------------------------

/** A convolution that is valid: the kernel fits, the channels match. */
export interface ConvGeometry {
  /** [N, C, H, W] */
  x: number[];
  /** [O, C / groups, KH, KW] */
  w: number[];
  options: Required<ConvOptions>;
}

/** A pooling that is valid: every window sees some of the input. */
export interface PoolGeometry {
  /** [N, C, H, W] */
  x: number[];
  options: Required<PoolOptions>;
}

export interface ValueRange {
  /** Default -1. */
  min?: number;
  /** Default 1. */
  max?: number;
  /** No two numbers alike, in random order and evenly spread: for functions with kinks where numbers meet, as max pooling. */
  distinct?: boolean;
}

/**
 * Arbitraries for fast-check, which is handed over, so that whoever only checks gradients need not install it:
 * `const { conv, tensorOf } = arbitraries(fc)`.
 */
export function arbitraries(fc: typeof FastCheck.default) {
  type Arbitrary<T> = FastCheck.Arbitrary<T>;
  const whole = (min: number, max: number) => fc.integer({ min, max });

  /** Extents of a tensor. Default: rank 0 to 4, extents 1 to 5. */
  const shape = ({ minRank = 0, maxRank = 4, minExtent = 1, maxExtent = 5 } = {}): Arbitrary<number[]> =>
    fc.array(whole(minExtent, maxExtent), { minLength: minRank, maxLength: maxRank });

  /** Two shapes that broadcast against each other. */
  const broadcastShapes = (options: Parameters<typeof shape>[0] = {}): Arbitrary<[number[], number[]]> =>
    shape(options).chain((full) => {
      const side = fc
        .tuple(fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }), whole(0, full.length))
        .map(([ones, skip]) => full.map((extent, i) => (ones[i] ? 1 : extent)).slice(skip));
      return fc.tuple(side, side);
    });

  /** Kernel, stride, padding [before, after] and dilation of one axis, with an extent that they fit. */
  const axis = (largestPad: (reach: number) => number) =>
    fc.tuple(whole(1, 4), whole(1, 3), whole(1, 2)).chain(([kernel, stride, dilation]) => {
      const reach = dilation * (kernel - 1) + 1;
      const pad = whole(0, largestPad(reach));
      return fc.tuple(pad, pad).chain(([before, after]) => {
        // As long as the dilation, so that no window's taps pass it by.
        const least = Math.max(dilation, reach - before - after);
        return whole(least, least + 6).map((extent) => ({ kernel, stride, dilation, before, after, extent }));
      });
    });
  type Axis = { kernel: number; stride: number; dilation: number; before: number; after: number; extent: number };
  const both = (v: Axis, h: Axis) => ({
    stride: [v.stride, h.stride] as const,
    padding: [v.before, h.before, v.after, h.after] as const,
    dilation: [v.dilation, h.dilation] as const,
  });

  /** Convolutions with any stride, padding on four sides, dilation and groups. */
  const conv = (): Arbitrary<ConvGeometry> =>
    fc
      .record({ v: axis(() => 3), h: axis(() => 3), n: whole(1, 2), groups: whole(1, 3), inputs: whole(1, 3), outputs: whole(1, 3) })
      .map(({ v, h, n, groups, inputs, outputs }) => ({
        x: [n, groups * inputs, v.extent, h.extent],
        w: [groups * outputs, inputs, v.kernel, h.kernel],
        options: { ...both(v, h), groups },
      }));

  /** Poolings with any stride, padding smaller than the window, and both roundings. */
  const pool = (): Arbitrary<PoolGeometry> => {
    const side = axis((reach) => Math.min(reach - 1, 3));
    return fc
      .record({ v: side, h: side, n: whole(1, 2), c: whole(1, 3), ceil: fc.boolean(), countIncludePad: fc.boolean() })
      .map(({ v, h, n, c, ceil, countIncludePad }) => ({
        x: [n, c, v.extent, h.extent],
        options: { ...both(v, h), kernel: [v.kernel, h.kernel] as const, ceil, countIncludePad },
      }));
  };

  /** The numbers of a tensor, as float32 holds them. */
  const values = (size: number, { min = -1, max = 1, distinct = false }: ValueRange = {}): Arbitrary<Float32Array> => {
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

  /** Tensors of a shape, on the default backend unless told otherwise. */
  const tensorOf = (extents: Shape, options: ValueRange & TensorOptions = {}): Arbitrary<Tensor> =>
    values(sizeOf(extents), options).map((data) => tensor(data, extents, options));

  return { shape, broadcastShapes, conv, pool, values, tensorOf };
}
