/** Assertions of the suites that test the queue and exact results. */
import type { Backend } from '../../src/backend/backend.js';

/** @throws Error unless the values are equal */
export function equal(actual: unknown, expected: unknown, what = 'value'): void {
  if (!Object.is(actual, expected)) throw new Error(`${what} is ${actual}, expected ${expected}`);
}

/** @throws Error unless the condition holds */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Awaits a rejection and returns its error. @throws Error if the promise resolves, or rejects with another class or message */
export async function rejects(promise: Promise<unknown>, expected: new (...args: never[]) => Error, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error === null) throw new Error(`resolved, expected ${expected.name}`);
  if (!(error instanceof expected)) throw new Error(`rejected with ${error}, expected ${expected.name}`);
  if (!message.test(error.message)) throw new Error(`rejected with "${error.message}", expected ${message}`);
}

/** Returns a storage with these values. */
export function put(backend: Backend, values: ArrayLike<number>, dtype: 'float32' | 'int32' | 'uint8' = 'float32') {
  const storage = backend.allocate(dtype, values.length);
  backend.write(storage, Float64Array.from(values));
  return storage;
}
