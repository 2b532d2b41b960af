/**
 * The suite of the tasks of users: the workflows of test/support/workflows.ts on the device, compared with the reference backend;
 * two runs on the device give the same bits.
 */
import { isDeepStrictEqual } from 'node:util';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { workflows as all, runWorkflow } from '../../test/support/workflows.js';
import { check, difference, type SuiteContext } from './suite.js';

/** Results may differ by this share of the largest value: training multiplies the rounding errors of a dozen steps. */
const TOLERANCE = 1e-3;

export async function workflows(context: SuiteContext): Promise<void> {
  const reference = createReferenceBackend();
  for (const workflow of all)
    await check(context, `workflow ${workflow.name}`, async () => {
      const backend = await context.shared();
      const [expected, actual] = [await runWorkflow(workflow, reference), await runWorkflow(workflow, backend)];
      const fault = difference(actual, expected, TOLERANCE);
      if (fault !== null) return fault;
      return isDeepStrictEqual(await runWorkflow(workflow, backend), actual) ? null : 'two runs on the device gave different bits';
    });
  reference.dispose();
}
