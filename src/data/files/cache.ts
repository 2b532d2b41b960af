/** A least-recently-used cache with a limit in bytes. */
export class ByteCache<T> {
  private readonly entries = new Map<string, { value: T; bytes: number }>();
  private held = 0;

  constructor(readonly limit: number) {}

  /** Total size of the cached values in bytes. */
  get bytes(): number {
    return this.held;
  }

  get(key: string): T | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    // A Map iterates in insertion order, so inserting the entry again marks it as the most recently used.
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  /** Caches `value` and evicts the least recently used entries to make room. A value larger than the limit is not cached. */
  set(key: string, value: T, bytes: number): void {
    this.remove(key);
    if (bytes > this.limit) return;
    for (const oldest of this.entries.keys()) {
      if (this.held + bytes <= this.limit) break;
      this.remove(oldest);
    }
    this.entries.set(key, { value, bytes });
    this.held += bytes;
  }

  private remove(key: string): void {
    const entry = this.entries.get(key);
    if (!entry) return;
    this.entries.delete(key);
    this.held -= entry.bytes;
  }
}
