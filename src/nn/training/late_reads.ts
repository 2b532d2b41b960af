/** Values that are read back from the backend while later work is already queued. */

interface Pending {
  read: Promise<() => unknown>;
}

/**
 * A queue of reads in order. A read that has been pushed is awaited only when more than `lag` newer ones wait behind it, so that a GPU
 * always has queued work while a value travels back. With a lag of 0 each value is awaited at once.
 */
export class LateReads {
  private readonly waiting: Pending[] = [];

  constructor(private readonly lag: number) {}

  /** Adds a read; `done` is called with its value, in the order of the calls. */
  async push<T>(value: Promise<T>, done: (value: T) => unknown): Promise<void> {
    const read = value.then((found) => () => done(found));
    // The error is thrown when the value is awaited; until then it must not be reported as an unhandled rejection.
    read.catch(() => undefined);
    this.waiting.push({ read });
    while (this.waiting.length > this.lag) await this.next();
  }

  /** Awaits all reads. */
  async flush(): Promise<void> {
    while (this.waiting.length > 0) await this.next();
  }

  /** Waits for all reads to end and ignores their values and errors; for the way out of a failure. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.waiting.splice(0).map(({ read }) => read));
  }

  private async next(): Promise<void> {
    const pending = this.waiting.shift();
    if (pending) await (await pending.read)();
  }
}
