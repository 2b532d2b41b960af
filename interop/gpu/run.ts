/**
 * Tests the WebGPU backend on a device, real or software: `npm run test:gpu`. With `-- --only relu,conv2d`, only the cases of these
 * operations or suites (`queue`, `bits`, `random`, `crops`, `determinism`, `steps`, `kernels`, `products`, `workflows`, `commands`, `parity`); with
 * `-- --long`, also the suites that take minutes (`runtimes`, `leaks`, and `parity` over more steps).
 */
import { parseArgs } from 'node:util';
import type { Backend } from '../../src/backend/backend.js';
import { createBackend } from '../../src/index.js';
import { checkBackend, operationCases } from '../../src/testing.js';
import { bits, random } from './bits.js';
import { commands } from './commands.js';
import { crops } from './crops.js';
import { determinism } from './determinism.js';
import { findGpu } from './find.js';
import { kernels } from './kernels.js';
import { leaks } from './leaks.js';
import { parity } from './parity.js';
import { products } from './products.js';
import { queue } from './queue.js';
import { runtimes } from './runtimes.js';
import { steps } from './steps.js';
import type { SuiteContext } from './suite.js';
import { slackOf } from './tolerances.js';
import { workflows } from './workflows.js';

const { values } = parseArgs({ options: { only: { type: 'string' }, verbose: { type: 'boolean' }, long: { type: 'boolean' } } });
const found = await findGpu();
if ('reason' in found) {
  console.log(`left out: no WebGPU device: ${found.reason}`);
  process.exit(0);
}
const { gpu } = found;
const long = values.long ?? false;
const SUITES: Record<string, (context: SuiteContext) => Promise<void>> = {
  queue,
  bits,
  random,
  crops,
  determinism,
  steps,
  kernels,
  products,
  workflows,
  commands: (context) => commands(context, long),
  parity: (context) => parity(context, long),
  ...((long || values.only?.includes('runtimes')) && { runtimes }),
  ...(long && { leaks }),
};
const names = values.only?.split(',') ?? [...new Set(operationCases.map(({ op }) => op)), ...Object.keys(SUITES)];
let [passed, failed] = [0, 0];
const started = performance.now();

let kept: Promise<Backend> | null = null;
const create = () => createBackend({ backend: 'webgpu', gpu });
function shared(): Promise<Backend> {
  kept ??= create();
  return kept;
}
/** The first error of a shader poisons its backend. */
function renew(): void {
  void kept?.then((backend) => backend.dispose());
  kept = null;
}

await announce();

/** Says what computes, so that no result of a software device is taken for one of a GPU. */
async function announce(): Promise<void> {
  const { device } = (await shared()).info();
  const name = `${device?.description} (${device?.vendor} ${device?.architecture})`;
  console.log(device?.software ? `software device, not a GPU: ${name}; its speed says nothing about GPUs` : `GPU: ${name}`);
}

/** Runs a suite and prints its faults and counts. */
async function runSuite(name: string): Promise<void> {
  const start = performance.now();
  const before = { passed, failed };
  const report = (check: string, fault: string | null) => {
    if (fault === null) passed++;
    else failed++;
    if (fault !== null || values.verbose) console.log(`  ${check}: ${fault ?? 'passed'}`);
  };
  await SUITES[name]({ gpu, shared, renew, create, report });
  const ms = (performance.now() - start).toFixed(0);
  console.log(`${name}: ${passed - before.passed} passed, ${failed - before.failed} failed, ${ms} ms`);
}

for (const name of names) {
  if (Object.hasOwn(SUITES, name)) {
    await runSuite(name);
    continue;
  }
  const start = performance.now();
  const check = await checkBackend(await shared(), { operations: [name], slack: slackOf(name) });
  passed += check.passed;
  failed += check.failed;
  const faults = check.rows.filter((row) => !row.passed);
  console.log(`${name}: ${check.passed} passed, ${check.failed} failed, ${(performance.now() - start).toFixed(0)} ms`);
  for (const row of values.verbose ? check.rows : faults.slice(0, 4))
    console.log(`  ${row.case}, ${row.pass}: ${row.error ?? row.largestError.toExponential(1)}`);
  if (check.failed > 0) renew();
}
renew();
console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`);
console.log(`${passed} passed, ${failed} failed`);
// A device may keep the process running.
process.exit(failed > 0 || passed === 0 ? 1 : 0);
