/**
 * Runs ONNX operator tests and prints a matrix of operator × backend.
 *
 *   npm run conformance -- --dir DIR [--backend reference|wasm] [--json]
 *
 * DIR holds folders with `model.onnx` and `test_data_set_*`, as in onnx/backend/test/data of ONNX's repository. The exit status is 1 if a
 * test fails that is not on the list in `known.ts`.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createBackend } from '../src/index.js';
import { findCases, type Outcome, runCase, type Status } from './cases.js';
import { KNOWN } from './known.js';

const BACKENDS = ['reference', 'wasm'] as const;
type BackendName = (typeof BACKENDS)[number];

interface Result extends Outcome {
  test: string;
  backend: BackendName;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, backend: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const backends = values.backend === undefined ? BACKENDS : BACKENDS.filter((name) => name === values.backend);
  if (!values.dir || backends.length === 0) {
    console.error('usage: npm run conformance -- --dir DIR [--backend reference|wasm] [--json]');
    return 2;
  }
  const cases = existsSync(values.dir) ? findCases(values.dir) : [];
  if (cases.length === 0) {
    console.error(`there is no model.onnx below ${values.dir}`);
    return 2;
  }
  const results: Result[] = [];
  for (const name of backends) {
    const backend = await createBackend({ backend: name });
    for (const test of cases) {
      const outcome = await runCase(test, backend);
      const known = outcome.status === 'failed' ? KNOWN[test.name] : undefined;
      results.push({ test: test.name, backend: name, ...outcome, ...(known ? { status: 'unsupported' as const, reason: known } : {}) });
    }
    backend.dispose();
  }
  const counts: Record<Status, number> = { passed: 0, failed: 0, unsupported: 0 };
  for (const { status } of results) counts[status]++;
  if (values.json) console.log(JSON.stringify({ tests: cases.length, backends, ...counts, matrix: matrixOf(results), results }));
  else {
    printMatrix(matrixOf(results), backends);
    for (const { status, test, backend, reason } of results)
      if (status !== 'passed') console.log(`${status.padEnd(11)} ${backend.padEnd(9)} ${test}: ${reason}`);
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.unsupported} unsupported`);
  }
  return counts.failed > 0 ? 1 : 0;
}

type Matrix = Record<string, Partial<Record<BackendName, Record<Status, number>>>>;

/** Counts by operator and backend; a test of several operators counts for each. */
function matrixOf(results: readonly Result[]): Matrix {
  const matrix: Matrix = {};
  for (const { operators, backend, status } of results) {
    for (const operator of operators) {
      matrix[operator] ??= {};
      matrix[operator][backend] ??= { passed: 0, failed: 0, unsupported: 0 };
      matrix[operator][backend][status]++;
    }
  }
  return Object.fromEntries(Object.entries(matrix).sort(([a], [b]) => a.localeCompare(b)));
}

function printMatrix(matrix: Matrix, backends: readonly BackendName[]): void {
  const width = Math.max(...Object.keys(matrix).map((name) => name.length));
  console.log(`${'passed/failed/unsupported'.padEnd(width)}  ${backends.map((name) => name.padStart(12)).join('')}`);
  for (const [operator, row] of Object.entries(matrix)) {
    const cells = backends.map((name) => {
      const { passed = 0, failed = 0, unsupported = 0 } = row[name] ?? {};
      return `${passed}/${failed}/${unsupported}`.padStart(12);
    });
    console.log(`${operator.padEnd(width)}  ${cells.join('')}`);
  }
}

process.exitCode = await main();
