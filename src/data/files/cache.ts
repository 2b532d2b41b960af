/** Keeps what was used last, up to a number of bytes. */
export class ByteCache<T> {
  private readonly entries = new Map<string, { value: T; bytes: number }>();
  private held = 0;

  constructor(readonly limit: number) {}

  /** Bytes held now. */
  get bytes(): number {
    return this.held;
  }

  get(key: string): T | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    // A Map keeps the order of insertion, so moving an entry to the end marks it as used last.
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  /** Keeps `value` and drops what was used longest ago to make room. A value larger than the limit is not kept. */
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
