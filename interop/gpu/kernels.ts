/** The suite of kernels that are called directly: see kernel_cases.ts. */
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { checkKernel, kernelCases } from './kernel_cases.js';
import { check, type SuiteContext } from './suite.js';

/** Runs every kernel case; a fault of the device in one case does not fail the others. */
export async function kernels(context: SuiteContext): Promise<void> {
  const reference = createReferenceBackend();
  let backend = await context.create();
  for (const c of kernelCases)
    await check(context, `kernel ${c.name}`, async () => {
      try {
        return await checkKernel(c, backend, reference);
      } catch (error) {
        backend.dispose();
        backend = await context.create();
        throw error;
      }
    });
  backend.dispose();
  reference.dispose();
}
