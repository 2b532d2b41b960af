/** Gradient checks: compares the gradients of operations and layers with finite differences, or those of two backends. */
import type { Backend, TypedArray } from '../backend/backend.js';
import { createReferenceBackend } from '../backend/reference/index.js';
import { arrayOf, checkArgument, checkOptions, instanceOf, integer, positive, rule } from '../backend/validate.js';
import { Module } from '../nn/index.js';
import { membersOf } from '../nn/state/members.js';
import {
  backward,
  DTypeError,
  Generator,
  getRandomState,
  noGrad,
  type Shape,
  ShapeError,
  scope,
  setRandomState,
  Tensor,
  tensor,
  uniform,
  ValueError,
  withBackend,
  ZfnetError,
} from '../tensor/index.js';
import { backendRule } from '../tensor/tensor.js';

/** Options of `gradcheck`. */
export interface GradcheckOptions {
  /** Step of the finite differences, multiplied by max(1, |value|). Default 1e-5. */
  epsilon?: number;
  /** Largest error allowed: see `GradcheckPlace.error`. Default 1e-6. */
  tolerance?: number;
  /** Number of elements checked in each tensor, evenly spaced; two random directions cover the others. Default 64. */
  places?: number;
}

/** Options of `gradcheck` with a backend. */
export interface BackendGradcheckOptions {
  /** The backend that is compared with the reference backend. It need not support float64 or synchronous reads. */
  backend: Backend;
  /** Largest error allowed: see `GradcheckPlace.error`. Default 1e-4. */
  tolerance?: number;
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

/** Result of `gradcheck`. */
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
    /** Name of the checked function or module, with which the message begins. */
    readonly op: string,
    worst: GradcheckPlace,
    tolerance: number,
    against = 'finite differences give',
  ) {
    super(
      `${op}: the gradient of ${worst.place} is ${worst.analytic}, ${against} ${worst.numeric} ` +
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

type Subject = Module | ((...inputs: Tensor[]) => Tensor);

const subjectRule = rule('a function of tensors, or a module', (value) => typeof value === 'function' || value instanceof Module);
const GRADCHECK_RULES = { epsilon: positive, tolerance: positive, places: integer(1), backend: backendRule };

/**
 * Checks the gradients of a function or module against finite differences, in float64. PyTorch `torch.autograd.gradcheck`.
 *
 * It compares the gradient of ⟨r, f(x)⟩, for a random r, with central differences, on a reference backend of its own. All
 * floating-point inputs are checked, and the parameters of a module. Inputs may be on any backend with synchronous reads. Inputs and
 * module are not modified. Dropout uses the same mask in every evaluation. The result may be awaited.
 *
 * With the option `backend`, the function runs on that backend in float32, and its output and gradients are compared with those of the
 * reference backend in float64. This checks a backend, or an operation whose kernels exist in float32 only.
 *
 * @example
 * gradcheck((x) => x.square().sum(), randn([2, 3]));
 * await gradcheck(new Linear(3, 2), randn([2, 3]), { backend: await createBackend({ backend: 'reference' }) });
 * @param subject a function of tensors, or a module; constants that it creates must have the element type of its inputs
 * @throws GradcheckError naming the derivative with the largest error; ValueError if the function is not deterministic
 */
export function gradcheck(subject: Subject, inputs: Tensor | readonly Tensor[], options: BackendGradcheckOptions): Promise<GradcheckResult>;
export function gradcheck(subject: Subject, inputs: Tensor | readonly Tensor[], options?: GradcheckOptions): GradcheckResult;
export function gradcheck(
  subject: Subject,
  inputs: Tensor | readonly Tensor[],
  options: GradcheckOptions & Partial<BackendGradcheckOptions> = {},
): GradcheckResult | Promise<GradcheckResult> {
  checkArgument('gradcheck', 'subject', subject, subjectRule);
  const given = inputs instanceof Tensor ? [inputs] : inputs;
  checkArgument('gradcheck', 'inputs', given, arrayOf(instanceOf(Tensor)));
  checkOptions('gradcheck', options, GRADCHECK_RULES);
  if (options.backend) return compareBackend(subject, given, options.backend, options.tolerance ?? 1e-4);
  const { epsilon = 1e-5, tolerance = 1e-6, places = 64 } = options;
  const backend = createReferenceBackend();
  try {
    return withBackend(backend, () => {
      const sources = sourcesOf(subject, given).map((source) => ({ ...source, data: source.tensor.dataSync() }));
      return onCopies(subject, sources, 'float64', (run, leaves) => compare(run, leaves, { epsilon, tolerance, places }));
    });
  } finally {
    backend.dispose();
  }
}

/** A tensor that is copied for a check: an input, or a parameter or buffer of a module. */
interface Source {
  name: string;
  tensor: Tensor;
  /** Where a module holds the tensor; undefined for an input. */
  slot?: Slot;
}

const isFloating = ({ dtype }: Tensor) => dtype === 'float32' || dtype === 'float64';

function sourcesOf(subject: Subject, inputs: readonly Tensor[]): Source[] {
  return [
    ...inputs.map((input, i) => ({ name: `input ${i}`, tensor: input })),
    ...(subject instanceof Module ? tensorSlots(subject).map((slot) => ({ name: slot.name, tensor: slot.original, slot })) : []),
  ];
}

/** Runs `fn` with the subject applied to copies of its tensors on the default backend. The module and the random state are restored. */
function onCopies<T>(
  subject: Subject,
  sources: readonly (Source & { data: TypedArray })[],
  dtype: 'float32' | 'float64',
  fn: (run: () => Tensor, leaves: Leaf[]) => T,
): T {
  const randomState = getRandomState();
  try {
    const copies = sources.map(({ name, tensor: original, slot, data }) => {
      const float = isFloating(original);
      const requiresGrad = float && (slot === undefined || original.requiresGrad);
      const leaf = tensor(data, original.shape, { dtype: float ? dtype : original.dtype, requiresGrad });
      slot?.put(leaf);
      return { name, leaf, isInput: slot === undefined };
    });
    const args = copies.filter(({ isInput }) => isInput).map(({ leaf }) => leaf);
    const run = () => (subject instanceof Module ? subject.forward(args[0]) : subject(...args));
    return fn(
      run,
      copies.filter(({ leaf }) => leaf.requiresGrad),
    );
  } finally {
    for (const { slot, tensor: original } of sources) slot?.put(original);
    setRandomState(randomState);
  }
}

/** Compares output and gradients in float32 on a backend with those in float64 on the reference backend. */
async function compareBackend(subject: Subject, inputs: readonly Tensor[], backend: Backend, tolerance: number): Promise<GradcheckResult> {
  const sources = await Promise.all(sourcesOf(subject, inputs).map(async (source) => ({ ...source, data: await source.tensor.data() })));
  const reference = createReferenceBackend();
  const both = (run: () => Tensor, leaves: readonly Leaf[]) => outcome(run, leaves, reference);
  try {
    const expected = withBackend(reference, () => onCopies(subject, sources, 'float64', both));
    const actual = withBackend(backend, () => onCopies(subject, sources, 'float32', both));
    const result: GradcheckResult = { op: expected.op, checked: 0, worst: null };
    for (const [i, { name, values }] of expected.parts.entries()) {
      const [numeric, analytic] = [await values.data(), await actual.parts[i].values.data()];
      if (values.shape.join() !== actual.parts[i].values.shape.join())
        throw new ShapeError(
          `gradcheck: ${name} has shape [${actual.parts[i].values.shape}] on ${backend.name}, expected [${values.shape}]`,
        );
      numeric.forEach((value, j) => {
        note(result, { place: `${name} at [${indexOf(j, values.shape).join(', ')}]`, analytic: analytic[j], numeric: value });
      });
      actual.parts[i].values.dispose();
    }
    if (result.worst && !(result.worst.error <= tolerance))
      throw new GradcheckError(result.op, result.worst, tolerance, `the reference backend gives`);
    return result;
  } finally {
    reference.dispose();
  }
}

/** The output of a function and the gradients of ⟨r, output⟩ for a fixed random r, with the same r in every element type. */
function outcome(run: () => Tensor, leaves: readonly Leaf[], reference: Backend) {
  return scope(() => {
    const y = run();
    checkArgument('gradcheck', 'what the function gave', y, instanceOf(Tensor));
    const op = y.node?.op ?? 'input';
    const generator = new Generator(SEED);
    const weights = uniform(y.shape, { low: -1, high: 1, generator, backend: reference }).dataSync();
    const output = y.mul(1).detach();
    const gradient = tensor(weights, y.shape, { dtype: y.dtype });
    const gradients = y.requiresGrad ? backward(y, { gradient, wrt: leaves.map(({ leaf }) => leaf) }) : [];
    const parts = [
      { name: 'the output', values: output },
      ...gradients.map((values, i) => ({ name: `the gradient of ${leaves[i].name}`, values })),
    ];
    return { op, parts };
  });
}

/** A property of a module that contains a parameter or buffer. */
interface Slot {
  name: string;
  original: Tensor;
  put(value: Tensor): void;
}

/** Returns the tensors of a module and its submodules, with functions that replace them. */
function tensorSlots(module: Module, prefix = '', visited = new Set<Module>()): Slot[] {
  if (visited.has(module)) return [];
  visited.add(module);
  const { parameters, buffers } = membersOf<Module>(module, (value): value is Module => value instanceof Module);
  const own = [...parameters, ...buffers].map(({ name, value, replace }): Slot => ({ name: prefix + name, original: value, put: replace }));
  return [...own, ...module.children().flatMap(([name, child]) => tensorSlots(child, `${prefix}${name}.`, visited))];
}

/** A tensor whose gradient is checked, and its name in messages. */
interface Leaf {
  name: string;
  leaf: Tensor;
}

/** A function of its leaves, which gives the same result at every call for the same leaves. */
interface Objective {
  /** Name of the operation that computed the function's output. */
  op: string;
  /** ⟨r, f(x)⟩ for a fixed random r. */
  value(): number;
  /** Gradients of the value with respect to the leaves. */
  gradients: readonly Float64Array[];
  generator: Generator;
}

/** Adds to the message of an error about element types that everything is computed in float64. */
function explainingTypes<T>(fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    if (!(error instanceof DTypeError)) throw error;
    throw new DTypeError(
      `gradcheck: ${error.message}; gradcheck runs the function in float64, so create constants with the dtype of the inputs, as in zeros(shape, { dtype: x.dtype })`,
      { cause: error },
    );
  }
}

/** Records the function once, computes its gradients, and checks that it is deterministic. */
function objectiveOf(evaluate: () => Tensor, leaves: readonly Leaf[]): Objective {
  const randomState = getRandomState();
  const generator = new Generator(SEED);
  const again = () => {
    setRandomState(randomState);
    return evaluate();
  };
  const [op, projection, gradients] = scope(() => {
    const y = explainingTypes(again);
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
  const value = () => noGrad(() => numbers(again())).reduce((sum, element, i) => sum + element * projection[i], 0);
  if (!Object.is(value(), value()))
    throw new ValueError(
      'gradcheck: got different results for the same inputs, expected a deterministic function; seed its random numbers',
    );
  return { op, value, gradients, generator };
}

/** Compares the gradients of a function with central differences. */
function compare(evaluate: () => Tensor, leaves: readonly Leaf[], options: { epsilon: number; tolerance: number; places: number }) {
  const { op, value, gradients, generator } = objectiveOf(evaluate, leaves);
  const result: GradcheckResult = { op, checked: 0, worst: null };
  leaves.forEach(({ name, leaf }, which) => {
    for (const place of derivatives(name, leaf, gradients[which], value, generator, options)) note(result, place);
  });
  const { worst } = result;
  if (worst && !(worst.error <= options.tolerance)) throw new GradcheckError(op, worst, options.tolerance);
  return result;
}

/** Counts a derivative, and keeps it if its error is the largest so far. */
function note(result: GradcheckResult, { place, analytic, numeric }: Omit<GradcheckPlace, 'error'>): void {
  const error = Math.abs(analytic - numeric) / Math.max(1, Math.abs(analytic), Math.abs(numeric));
  result.checked++;
  if (result.worst === null || !(error <= result.worst.error)) result.worst = { place, analytic, numeric, error };
}

/** Yields derivatives of a value with respect to single elements of a leaf, and along random directions if it has more of them. */
function* derivatives(
  name: string,
  leaf: Tensor,
  gradient: Float64Array,
  value: () => number,
  generator: Generator,
  { epsilon, places }: { epsilon: number; places: number },
): Iterable<Omit<GradcheckPlace, 'error'>> {
  const at = numbers(leaf);
  /** Central difference of the value along a direction. */
  const slope = (step: number, direction: (i: number) => number) => {
    const [up, down] = [step, -step].map((t) => {
      leaf.set(at.map((element, i) => element + t * direction(i)));
      return value();
    });
    leaf.set(at);
    return (up - down) / (2 * step);
  };
  for (const i of spread(leaf.size, places)) {
    const numeric = slope(epsilon * Math.max(1, Math.abs(at[i])), (j) => (j === i ? 1 : 0));
    yield { place: `${name} at [${indexOf(i, leaf.shape).join(', ')}]`, analytic: gradient[i], numeric };
  }
  if (leaf.size <= places) return;
  for (let k = 0; k < DIRECTIONS; k++) {
    const direction = numbers(uniform(leaf.shape, { low: -1, high: 1, dtype: 'float64', generator }));
    const analytic = direction.reduce((sum, element, i) => sum + element * gradient[i], 0);
    yield { place: `${name} along a random direction`, analytic, numeric: slope(epsilon, (i) => direction[i]) };
  }
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
