/**
 * Tests the WebGPU backend on a device, real or software: `npm run test:gpu`. With `-- --only relu,conv2d`, only the cases of these
 * operations.
 */
import { parseArgs } from 'node:util';
import { createBackend } from '../../src/index.js';
import { checkBackend, operationCases } from '../../src/testing.js';
import { findGpu } from './find.js';

const { values } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean' } } });
const found = await findGpu();
if ('reason' in found) {
  console.log(`no device: ${found.reason}`);
  process.exit(3);
}
const { gpu } = found;
const names = values.only?.split(',') ?? [...new Set(operationCases.map(({ op }) => op))];
let [passed, failed] = [0, 0];
const started = performance.now();
for (const name of names) {
  // A backend of its own: the first error of a shader poisons its backend.
  const backend = await createBackend({ backend: 'webgpu', gpu });
  const start = performance.now();
  const check = await checkBackend(backend, { operations: [name] });
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
