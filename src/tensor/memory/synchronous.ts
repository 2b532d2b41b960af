/** Refusal of asynchronous functions where a function runs in a changed state that ends when it returns. */
import { ValueError } from '../../backend/errors.js';
import { checkArgument, func } from '../../backend/validate.js';

/** What to do instead, by the function that got an asynchronous function. */
const ADVICE: Readonly<Record<string, string>> = {
  withBackend: 'create tensors and models with the option { backend }; operations and helpers follow the backend of their tensors',
};
const GENERAL_ADVICE = 'return tensors from it and await their data() outside';

const refusal = (by: string): ValueError =>
  new ValueError(`${by}: got an async function, expected a synchronous one; ${ADVICE[by] ?? GENERAL_ADVICE}`);

/** @throws ValueError unless `fn` is a function, and for an `async` function, before any of it has run */
export function checkSynchronous(by: string, fn: unknown): void {
  checkArgument(by, 'the function', fn, func);
  if (Object.prototype.toString.call(fn) === '[object AsyncFunction]') throw refusal(by);
}

/** @throws ValueError if the result is a promise: part of the function has yet to run, when the changed state has ended */
export function refusePromise(by: string, result: unknown): void {
  if (typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return;
  // The caller never sees the promise, so that its rejection would count as unhandled.
  Promise.resolve(result).catch(() => undefined);
  throw refusal(by);
}
