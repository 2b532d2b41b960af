/** Errors of queued work, which a GPU reports later: they are kept here until a read or `synchronize` rejects with them. */
import { BackendError, DeviceLostError } from '../errors.js';

/** The errors of one backend. */
export class Faults {
  /** The first error since the last read that the backend survives, such as a failed check or a failed allocation. */
  #first: Error | null = null;
  /** The first error that leaves the contents of storages undefined: every later read rejects with it. */
  #fatal: BackendError | null = null;
  #lost: DeviceLostError | null = null;
  #disposed = false;
  readonly #pending = new Set<Promise<void>>();

  /** Adds the outcome of an error scope that the next read has to wait for. */
  await(scope: Promise<void>): void {
    // A scope of a lost or destroyed device rejects; the loss itself is reported by `lose`.
    const settled: Promise<void> = scope
      .catch(() => undefined)
      .then(() => {
        this.#pending.delete(settled);
      });
    this.#pending.add(settled);
  }

  /** Resolves when the outcome of all error scopes so far is known. */
  async settled(): Promise<void> {
    if (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Keeps an error for the next read, unless there already is one. */
  report(error: Error): void {
    this.#first ??= error;
  }

  /** Makes every later read reject with this error: results may be wrong, since the device left out a part of the work. */
  poison(error: BackendError): void {
    this.#fatal ??= error;
  }

  lose(message: string): void {
    if (this.#disposed) return;
    this.#lost ??= new DeviceLostError(
      `webgpu: the device was lost${message === '' ? '' : ` (${message})`}; create another backend and resume from a checkpoint`,
    );
  }

  dispose(): void {
    this.#disposed = true;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether recorded work cannot be run any more. */
  get stopped(): boolean {
    return this.#disposed || this.#lost !== null || this.#fatal !== null;
  }

  /** @throws DeviceLostError if the device was lost; BackendError if the backend was disposed of */
  check(): void {
    if (this.#disposed) throw new BackendError('webgpu: the backend was disposed of; create another one');
    if (this.#lost) throw this.#lost;
  }

  /** Throws the first error since the last call, if there is one. */
  take(): void {
    this.check();
    const first = this.#first;
    this.#first = null;
    if (first) throw first;
    if (this.#fatal) throw this.#fatal;
  }
}
