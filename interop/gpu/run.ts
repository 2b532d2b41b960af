/**
 * Tests the WebGPU backend on a device, real or software: `npm run test:gpu`. With `-- --only relu,conv2d`, only the cases of these
 * operations or suites (`kernels`, `workflows`, `parity`); with `-- --long`, also the suites that take minutes (`leaks`, and `parity` over
 * more steps).
 */
import { parseArgs } from 'node:util';
import { createBackend } from '../../src/index.js';
import { checkBackend, operationCases } from '../../src/testing.js';
import { findGpu } from './find.js';
import { kernels } from './kernels.js';
import { leaks } from './leaks.js';
import { parity } from './parity.js';
import type { SuiteContext } from './suite.js';
import { slackOf } from './tolerances.js';
import { workflows } from './workflows.js';

const { values } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean' }, long: { type: 'boolean' } } });
const found = await findGpu();
if ('reason' in found) {
  console.log(`no device: ${found.reason}`);
  process.exit(3);
}
const { gpu } = found;
const long = values.long ?? false;
const SUITES: Record<string, (context: SuiteContext) => Promise<void>> = {
  kernels,
  workflows,
  parity: (context) => parity(context, long),
  ...(long && { leaks }),
};
const names = values.only?.split(',') ?? [...new Set(operationCases.map(({ op }) => op)), ...Object.keys(SUITES)];
let [passed, failed] = [0, 0];
const started = performance.now();

/** Runs a suite and prints its faults and counts. */
async function runSuite(name: string): Promise<void> {
  const start = performance.now();
  const before = { passed, failed };
  const report = (check: string, fault: string | null) => {
    if (fault === null) passed++;
    else failed++;
    if (fault !== null || values.verbose) console.log(`  ${check}: ${fault ?? 'passed'}`);
  };
  await SUITES[name]({ create: () => createBackend({ backend: 'webgpu', gpu }), report });
  const ms = (performance.now() - start).toFixed(0);
  console.log(`${name}: ${passed - before.passed} passed, ${failed - before.failed} failed, ${ms} ms`);
}

for (const name of names) {
  if (Object.hasOwn(SUITES, name)) {
    await runSuite(name);
    continue;
  }
  // A backend of its own: the first error of a shader poisons its backend.
  const backend = await createBackend({ backend: 'webgpu', gpu });
  const start = performance.now();
  const check = await checkBackend(backend, { operations: [name], slack: slackOf(name) });
  passed += check.passed;
  failed += check.failed;
  const faults = check.rows.filter((row) => !row.passed);
  console.log(`${name}: ${check.passed} passed, ${check.failed} failed, ${(performance.now() - start).toFixed(0)} ms`);
  for (const row of values.verbose ? check.rows : faults.slice(0, 4))
    console.log(`  ${row.case}, ${row.pass}: ${row.error ?? row.largestError.toExponential(1)}`);
  backend.dispose();
}
console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
