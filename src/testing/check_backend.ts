/** Checks a backend: runs the cases of all operations on it and compares the results with those of the reference backend. */
import type { Backend } from '../backend/backend.js';
import { createReferenceBackend } from '../backend/reference/index.js';
import { arrayOf, boolean, checkArgument, checkOptions, func, positive, type RulesFor, text, unknownName } from '../backend/validate.js';
import { ValueError } from '../tensor/index.js';
import { backendRule } from '../tensor/tensor.js';
import type { Case } from './cases/case.js';
import { cases } from './cases/index.js';
import { type RunningCase, startCase } from './run_case.js';
import { type Comparison, compareValues, toleranceOf } from './tolerances.js';

/** Options of `checkBackend`. */
export interface CheckBackendOptions {
  /** Names of the operations to check, as in `operationCases`. Default: all. */
  operations?: readonly string[];
  /** Whether the gradients are compared as well. Default true. */
  gradients?: boolean;
  /** Factor on every tolerance, for a backend that rounds more often, such as `mode: 'fast'` (10). Default 1. */
  slack?: number;
  /** Is called with every row as soon as it is known. */
  onResult?: (row: BackendCheckRow) => void;
}

/** One pass of one case. */
export interface BackendCheckRow {
  /** Name of the operation: `conv2d`. */
  operation: string;
  /** Name of the case among those of the operation. */
  case: string;
  /** The row compares the output (`forward`) or the gradients of all inputs (`gradient`). */
  pass: 'forward' | 'gradient';
  /**
   * The largest |a − b| / (|b| + scale / 2) over all elements, for the value a of the backend and b of the reference. `scale` is the sum of
   * the absolute products of the element where it is a sum of products, as in a convolution, otherwise 1. Infinite if NaN or an infinity is
   * in another place than on the reference, if the shapes differ or if the pass threw.
   */
  largestError: number;
  /** The largest error allowed. */
  tolerance: number;
  /** Whether `largestError` is within `tolerance`, and the pass did not throw. */
  passed: boolean;
  /** Why the row failed: the worst element, or the message of the error that was thrown. */
  error?: string;
}

/** Result of `checkBackend`. */
export interface BackendCheck {
  /** In the order of `operationCases`. */
  rows: BackendCheckRow[];
  /** Number of rows that passed. */
  passed: number;
  /** Number of rows that failed. */
  failed: number;
  /** Returns a text table for a terminal: one line per operation, one line per failed row, and the counts. */
  text(): string;
}

const CHECK_RULES: RulesFor<CheckBackendOptions> = { operations: arrayOf(text), gradients: boolean, slack: positive, onResult: func };

/**
 * Runs every operation on a backend, forward and backward, and compares the results with those of the reference backend in float64, within
 * the tolerance of the operation (`OPERATION_TOLERANCES`). The backend runs in float32 and needs neither float64 nor synchronous reads. NaN
 * and infinities must be at the same places. A kernel that throws fails its rows and does not end the check.
 *
 * @example
 * const check = await checkBackend(await createBackend(), { operations: ['relu', 'softmax'] });
 * console.log(check.text());
 * if (check.failed > 0) process.exitCode = 1;
 *
 * @throws ValueError for an unknown operation or option
 */
export async function checkBackend(backend: Backend, options: CheckBackendOptions = {}): Promise<BackendCheck> {
  checkArgument('checkBackend', 'backend', backend, backendRule);
  checkOptions('checkBackend', options, CHECK_RULES);
  const { operations, gradients = true, slack = 1, onResult } = options;
  const known = [...new Set(cases.map(({ op }) => op))];
  for (const name of operations ?? [])
    if (!known.includes(name)) throw new ValueError(unknownName('checkBackend', 'operation', name, known));
  // Leaves a `noGrad` or `scope` around the call, both of which end when their function returns.
  await Promise.resolve();
  const reference = createReferenceBackend();
  const rows: BackendCheckRow[] = [];
  try {
    for (const c of cases) {
      if (operations && !operations.includes(c.op)) continue;
      for (const row of await checkCase(c, backend, reference, { gradients, slack })) {
        rows.push(row);
        onResult?.(row);
      }
    }
  } finally {
    reference.dispose();
  }
  const failed = rows.filter(({ passed }) => !passed).length;
  return { rows, passed: rows.length - failed, failed, text: () => textOf(rows) };
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Returns the results of a case, each as its value or as the error of its pass. */
async function settled(start: () => RunningCase) {
  try {
    const { shape, recorded, output, gradients } = start();
    const [forward, backward] = await Promise.allSettled([output, gradients]);
    return { shape, recorded, forward, backward };
  } catch (reason) {
    const rejected = { status: 'rejected', reason } as const;
    return { shape: null, recorded: false, forward: rejected, backward: rejected };
  }
}

/** Returns the rows of a case: the forward pass, and the gradients if the operation has some and the forward pass gave a result. */
async function checkCase(c: Case, backend: Backend, reference: Backend, { gradients, slack }: { gradients: boolean; slack: number }) {
  const tolerance = slack * toleranceOf(c.op);
  const run = (absolute: boolean) => startCase(c, reference, { dtype: 'float64', absolute, gradients });
  const expected = run(false);
  const scale = c.sums ? run(true) : null;
  const actual = await settled(() => startCase(c, backend, { dtype: 'float32', gradients }));
  const row = (pass: BackendCheckRow['pass'], { error, fault }: Comparison): BackendCheckRow => ({
    operation: c.op,
    case: c.name,
    pass,
    largestError: error,
    tolerance,
    passed: fault === null,
    ...(fault !== null && { error: fault }),
  });
  const thrown = (reason: unknown): Comparison => ({ error: Number.POSITIVE_INFINITY, fault: messageOf(reason) });
  const shapesDiffer = actual.shape !== null && actual.shape.join() !== expected.shape.join();

  const forward = async (): Promise<Comparison> => {
    if (actual.forward.status === 'rejected') return thrown(actual.forward.reason);
    if (shapesDiffer) return thrown(`shape [${actual.shape}], expected [${expected.shape}]`);
    return compareValues(actual.forward.value, await expected.output, tolerance, await scale?.output);
  };
  const rows = [row('forward', await forward())];
  const [wanted, scales] = [await expected.gradients, await scale?.gradients];
  if (gradients && expected.recorded && actual.shape !== null && !shapesDiffer)
    rows.push(
      row(
        'gradient',
        actual.backward.status === 'rejected'
          ? thrown(actual.backward.reason)
          : compareGradients(actual.backward.value, wanted, tolerance, scales),
      ),
    );
  return rows;
}

type Gradients = readonly (ArrayLike<number> | null)[];

/** Compares the gradients of all inputs; returns the largest error and the first fault. */
function compareGradients(actual: Gradients, expected: Gradients, tolerance: number, scales?: Gradients): Comparison {
  const result: Comparison = { error: 0, fault: null };
  expected.forEach((gradient, i) => {
    const own = actual[i];
    if (gradient === null && own === null) return;
    const missing = { error: Number.POSITIVE_INFINITY, fault: own === null ? 'missing' : 'expected none' };
    const { error, fault } = gradient && own ? compareValues(own, gradient, tolerance, scales?.[i]) : missing;
    result.error = Math.max(result.error, error);
    if (fault !== null) result.fault ??= `gradient of input ${i}: ${fault}`;
  });
  return result;
}

/** Returns the text table of a check. */
function textOf(rows: readonly BackendCheckRow[]): string {
  const table = [['operation', 'passed', 'failed', 'forward error', 'gradient error', 'tolerance']];
  for (const operation of new Set(rows.map((row) => row.operation))) {
    const own = rows.filter((row) => row.operation === operation);
    const failed = own.filter(({ passed }) => !passed).length;
    const largest = (pass: BackendCheckRow['pass']) => {
      const errors = own.filter((row) => row.pass === pass).map(({ largestError }) => largestError);
      return errors.length > 0 ? Math.max(...errors).toExponential(1) : '';
    };
    table.push([
      operation,
      `${own.length - failed}`,
      `${failed}`,
      largest('forward'),
      largest('gradient'),
      own[0].tolerance.toExponential(1),
    ]);
  }
  const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
  const lines = table.map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '));
  const faults = rows.filter(({ passed }) => !passed).map((row) => `${row.operation}: ${row.case}, ${row.pass}: ${row.error}`);
  return [...lines, ...faults, `${rows.length - faults.length} passed, ${faults.length} failed`].join('\n');
}
