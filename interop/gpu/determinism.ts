/** The same bits whenever the same work runs on one device. */

import { startCase } from '../../src/testing/run_case.js';
import { operationCases } from '../../src/testing.js';
import { check, type SuiteContext } from './suite.js';

/** Runs one case per operation twice, in other buffers. */
export async function determinism(context: SuiteContext): Promise<void> {
  const seen = new Set<string>();
  for (const c of operationCases) {
    if (seen.has(c.op)) continue;
    seen.add(c.op);
    await check(context, `${c.op} twice`, async () => {
      const backend = await context.shared();
      const [first, second] = await Promise.all(
        [1, 2].map(async () => {
          const { output, gradients } = startCase(c, backend, { dtype: 'float32' });
          const arrays = [await output, ...(await gradients)];
          return JSON.stringify(arrays.map((array) => array && [...new Uint8Array(array.buffer)]));
        }),
      );
      return first === second ? null : 'two runs differ';
    });
  }
}
