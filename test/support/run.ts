/** Runs a case forwards and back on a backend. */
import type { Backend, TypedArray } from '../../src/tensor/index.js';
import { backward, scope, sizeOf, tensor, withBackend } from '../../src/tensor/index.js';
import type { Case, Input } from './case.js';
import { noise } from './formula.js';

export interface Outcome {
  shape: readonly number[];
  output: TypedArray;
  /** Whether the operation was recorded. */
  recorded: boolean;
  /** One an input; null where none arrived. */
  gradients: (TypedArray | null)[];
}

/** Seed of the signal that is sent back from the output. */
const SIGNAL_SEED = 99;

const takesGradient = (c: Case, input: Input) => input.dtype === 'float' && c.gradient !== 'none';

/** The numbers of an input. */
export const valuesOf = (input: Input, place: number): number[] => input.values(sizeOf(input.shape), place + 1);

/**
 * @param absolute runs on absolute values, which turns sums of products into sums of absolute products
 */
export function runCase(c: Case, backend: Backend, dtype: 'float32' | 'float64', absolute = false): Outcome {
  const sign = (values: number[]) => (absolute ? values.map(Math.abs) : values);
  return withBackend(backend, () =>
    scope(() => {
      const inputs = c.inputs.map((input, place) =>
        tensor(sign(valuesOf(input, place)), input.shape, {
          dtype: input.dtype === 'float' ? dtype : input.dtype,
          requiresGrad: takesGradient(c, input),
        }),
      );
      const y = c.run(inputs);
      const { shape, requiresGrad: recorded } = y;
      const output = y.dataSync();
      if (recorded) backward(y, { gradient: tensor(sign(noise(y.size, SIGNAL_SEED)), shape, { dtype }) });
      const gradients = inputs.map(({ grad }) => grad?.dataSync() ?? null);
      for (const input of inputs) input.dispose();
      return { shape, output, recorded, gradients };
    }),
  );
}

/** Runs a case like `runCase` on a backend without synchronous reads: queues all of its work, frees its tensors, and reads last. */
export async function runCaseLater(c: Case, backend: Backend, dtype: 'float32' | 'float64'): Promise<Outcome> {
  const { shape, recorded, output, gradients } = withBackend(backend, () =>
    scope(() => {
      const inputs = c.inputs.map((input, place) =>
        tensor(valuesOf(input, place), input.shape, {
          dtype: input.dtype === 'float' ? dtype : input.dtype,
          requiresGrad: takesGradient(c, input),
        }),
      );
      const y = c.run(inputs);
      const { shape, requiresGrad: recorded } = y;
      const output = y.data();
      if (recorded) backward(y, { gradient: tensor(noise(y.size, SIGNAL_SEED), shape, { dtype }) });
      const gradients = inputs.map(({ grad }) => grad?.data() ?? null);
      for (const input of inputs) input.dispose();
      return { shape, recorded, output, gradients };
    }),
  );
  return { shape, recorded, output: await output, gradients: await Promise.all(gradients) };
}
