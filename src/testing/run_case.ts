/** Runs a case of an operation forward and backward on a backend. */
import type { Backend, TypedArray } from '../backend/backend.js';
import { context } from '../tensor/context.js';
import { backward, scope, sizeOf, type Tensor, tensor, withBackend } from '../tensor/index.js';
import type { Case, Input } from './cases/case.js';
import { noise } from './cases/formula.js';

/** How a case is run. */
export interface RunOptions {
  dtype: 'float32' | 'float64';
  /** Runs on absolute values, which turns sums of products into sums of absolute products. Default false. */
  absolute?: boolean;
  /** Whether the gradients are computed. Default true. */
  gradients?: boolean;
}

/** A case whose work is queued on its backend, and whose results can be awaited. */
export interface RunningCase {
  shape: readonly number[];
  /** Whether the operation was recorded, so that it has gradients. */
  recorded: boolean;
  output: Promise<TypedArray>;
  /** One per input; null for inputs without a gradient. */
  gradients: Promise<(TypedArray | null)[]>;
}

/** Seed of the gradient that is fed into the output. */
const GRADIENT_SEED = 99;

const hasGradient = (c: Case, input: Input) => input.dtype === 'float' && c.gradient !== 'none';
const signed = (values: number[], absolute: boolean) => (absolute ? values.map(Math.abs) : values);

/** Returns the values of an input. */
export const valuesOf = (input: Input, place: number): number[] => input.values(sizeOf(input.shape), place + 1);

/** Creates the inputs of a case on the default backend. */
export const inputsOf = (c: Case, { dtype, absolute = false }: RunOptions): Tensor[] =>
  c.inputs.map((input, place) =>
    tensor(signed(valuesOf(input, place), absolute), input.shape, {
      dtype: input.dtype === 'float' ? dtype : input.dtype,
      requiresGrad: hasGradient(c, input),
    }),
  );

/** Computes the gradients of the inputs of a case. The gradient of the output is the same noise on every backend. */
export function backwardOf(y: Tensor, { dtype, absolute = false }: RunOptions): void {
  backward(y, { gradient: tensor(signed(noise(y.size, GRADIENT_SEED), absolute), y.shape, { dtype }) });
}

/** Runs a function without the check for NaN and infinities, which cases contain on purpose. */
function withoutNanCheck<T>(fn: () => T): T {
  const before = context.nanCheck;
  context.nanCheck = false;
  try {
    return fn();
  } finally {
    context.nanCheck = before;
  }
}

/**
 * Starts a case: queues all of its work, asks for the results and releases its tensors, so that a backend without synchronous reads can
 * run it. An error of the forward pass is thrown or rejects `output`; one of the backward pass rejects `gradients`.
 */
export function startCase(c: Case, backend: Backend, options: RunOptions): RunningCase {
  const run = () => {
    const inputs = inputsOf(c, options);
    try {
      const y = c.run(inputs);
      const recorded = y.requiresGrad;
      const gradients = async () => {
        if (!recorded || options.gradients === false) return inputs.map(() => null);
        backwardOf(y, options);
        return await Promise.all(inputs.map(({ grad }) => grad?.data() ?? null));
      };
      return { shape: y.shape, recorded, output: y.data(), gradients: gradients() };
    } finally {
      for (const input of inputs) input.dispose();
    }
  };
  return withBackend(backend, () => withoutNanCheck(() => scope(run)));
}
