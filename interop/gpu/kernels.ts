/** The suite of kernels that are called directly: see kernel_cases.ts. */
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { checkKernel, kernelCases } from './kernel_cases.js';
import { check, type SuiteContext } from './suite.js';

/** Runs every kernel case. */
export async function kernels(context: SuiteContext): Promise<void> {
  const reference = createReferenceBackend();
  for (const c of kernelCases) await check(context, `kernel ${c.name}`, async () => checkKernel(c, await context.shared(), reference));
  reference.dispose();
}
