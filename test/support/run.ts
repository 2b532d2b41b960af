/** Runs a case forwards and back on a backend. */
import type { Backend, TypedArray } from '../../src/tensor/index.js';
import { scope, withBackend } from '../../src/tensor/index.js';
import type { Case } from '../../src/testing/cases/case.js';
import { backwardOf, inputsOf, startCase, valuesOf } from '../../src/testing/run_case.js';

export { valuesOf };

export interface Outcome {
  shape: readonly number[];
  output: TypedArray;
  /** Whether the operation was recorded. */
  recorded: boolean;
  /** One an input; null where none arrived. */
  gradients: (TypedArray | null)[];
}

/**
 * @param absolute runs on absolute values, which turns sums of products into sums of absolute products
 */
export function runCase(c: Case, backend: Backend, dtype: 'float32' | 'float64', absolute = false): Outcome {
  return withBackend(backend, () =>
    scope(() => {
      const inputs = inputsOf(c, { dtype, absolute });
      const y = c.run(inputs);
      const { shape, requiresGrad: recorded } = y;
      const output = y.dataSync();
      if (recorded) backwardOf(y, { dtype, absolute });
      const gradients = inputs.map(({ grad }) => grad?.dataSync() ?? null);
      for (const input of inputs) input.dispose();
      return { shape, output, recorded, gradients };
    }),
  );
}

/** Runs a case like `runCase` on a backend without synchronous reads: queues all of its work, frees its tensors, and reads last. */
export async function runCaseLater(c: Case, backend: Backend, dtype: 'float32' | 'float64'): Promise<Outcome> {
  const { shape, recorded, output, gradients } = startCase(c, backend, { dtype });
  return { shape, recorded, output: await output, gradients: await gradients };
}
