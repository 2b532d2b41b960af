/** What the suites beside the operation cases have in common. */
import type { Backend } from '../../src/backend/backend.js';
import type { GpuLike } from '../../src/backend/webgpu/types.js';

/** Is told of every check: its name, and why it failed or null. */
export type Report = (name: string, fault: string | null) => void;

/** What a suite runs on. */
export interface SuiteContext {
  /** The implementation of WebGPU under test. */
  gpu: GpuLike;
  /** Returns a backend that checks share, since a device compiles its shaders again for each backend. `renew` replaces it. */
  shared(): Promise<Backend>;
  /** Disposes of the shared backend, after an error that its later work could report again. */
  renew(): void;
  /** Creates a WebGPU backend on the device under test. The suite disposes of it. */
  create(): Promise<Backend>;
  report: Report;
}

/**
 * Runs a check and reports its fault: the text that it returns, or the error that it throws. After an error, the next checks get another
 * shared backend.
 */
export async function check({ report, renew }: SuiteContext, name: string, run: () => unknown): Promise<void> {
  try {
    const fault = await run();
    report(name, typeof fault === 'string' ? fault : null);
  } catch (error) {
    renew();
    report(name, error instanceof Error ? error.message : String(error));
  }
}

/**
 * Compares values of any structure: numbers, arrays of numbers, objects. A number may differ by `tolerance` times the largest absolute
 * value of its array. Returns the first difference, or null.
 */
export function difference(actual: unknown, expected: unknown, tolerance: number, path = 'result'): string | null {
  if (typeof expected === 'number') return numbersDiffer([actual as number], [expected], tolerance, path);
  if (ArrayBuffer.isView(expected) || (Array.isArray(expected) && expected.every((each) => typeof each === 'number')))
    return numbersDiffer(actual as ArrayLike<number>, expected as ArrayLike<number>, tolerance, path);
  if (typeof expected !== 'object' || expected === null)
    return Object.is(actual, expected) ? null : `${path} is ${String(actual)}, expected ${String(expected)}`;
  const [own, other] = [Object.keys(expected), Object.keys((actual as object) ?? {})];
  if (own.join() !== other.join()) return `${path} has ${other.join()}, expected ${own.join()}`;
  for (const key of own) {
    const found = difference(Reflect.get(actual as object, key), Reflect.get(expected, key), tolerance, `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

function numbersDiffer(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, path: string): string | null {
  if (actual?.length !== expected.length) return `${path} has ${actual?.length} elements, expected ${expected.length}`;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i]) && !(Math.abs(actual[i] - expected[i]) <= tolerance * scale))
      return `${path}: element ${i} is ${actual[i]}, expected ${expected[i]}`;
  return null;
}
