/** Times kernels by the clock of the backend: on a GPU by timestamps around every dispatch. */
import type { Backend } from '../../src/backend/backend.js';

export interface Times {
  bestMs: number;
  medianMs: number;
  runs: number;
}

/** Runs of one measurement: a kernel of a millisecond is run this often before the processor waits for it. */
const AT_ONCE = 5;
const MOST_RUNS = 50;

/**
 * Times a call of kernels, without the time between them, until `forMs` milliseconds have passed, and at least five times.
 *
 * @param run calls kernels of the backend; their times are added up
 */
export async function timeKernels(backend: Backend, run: () => void, forMs: number): Promise<Times> {
  const found: number[] = [];
  for (const started = performance.now(); found.length < AT_ONCE || (found.length < MOST_RUNS && performance.now() - started < forMs); ) {
    const sums: number[] = [];
    const end = backend.profileKernels(() => {
      const index = sums.length - 1;
      return (start, stop) => {
        sums[index] += stop - start;
      };
    });
    for (let i = 0; i < AT_ONCE; i++) {
      sums.push(0);
      run();
    }
    await end();
    found.push(...sums);
  }
  found.sort((a, b) => a - b);
  return { bestMs: found[0], medianMs: found[Math.floor(found.length / 2)], runs: found.length };
}
