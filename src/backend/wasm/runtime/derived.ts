/** Cache of values derived from weights, such as transformed filters. */
import { OutOfMemoryError } from '../../errors.js';
import type { Block, Heap } from './heap.js';
import type { WasmStorage } from './storage.js';

/** Maximum memory of the cache; enough for four networks of ZFNet's size. */
const DERIVED_BYTES = 256 * 2 ** 20;

/** The cache: at most one entry per storage. */
export class DerivedCache {
  /** The entries, least recently used first. */
  readonly #entries = new Map<WasmStorage, { name: string; bytes: number; block: Block }>();
  #bytes = 0;

  /**
   * Returns the address of values derived from a storage: cached from an earlier call with the same `name`, or computed now by `compute`.
   * Returns null if there is no memory for them.
   */
  get(heap: Heap, owner: WasmStorage, name: string, bytes: number, compute: (pointer: number) => void): number | null {
    const known = this.#entries.get(owner);
    if (known?.name === name) {
      this.#entries.delete(owner);
      this.#entries.set(owner, known); // most recently used
      return known.block.pointer;
    }
    this.evict(heap, owner);
    if (bytes > DERIVED_BYTES) return null;
    for (const other of this.#entries.keys()) {
      if (this.#bytes + bytes <= DERIVED_BYTES) break;
      this.evict(heap, other);
    }
    let block: Block;
    try {
      block = heap.allocate(bytes);
    } catch (error) {
      if (error instanceof OutOfMemoryError) return null;
      throw error;
    }
    try {
      compute(block.pointer);
    } catch (error) {
      heap.release(block);
      throw error;
    }
    owner.hasDerived = true;
    this.#entries.set(owner, { name, bytes, block });
    this.#bytes += bytes;
    return block.pointer;
  }

  /** Evicts the values derived from a storage, if there are any. */
  evict(heap: Heap, owner: WasmStorage): void {
    const known = this.#entries.get(owner);
    if (known === undefined) return;
    this.#entries.delete(owner);
    this.#bytes -= known.bytes;
    owner.hasDerived = false;
    heap.release(known.block);
  }

  /** Evicts everything; returns false if the cache was empty. */
  evictAll(heap: Heap): boolean {
    if (this.#entries.size === 0) return false;
    for (const owner of this.#entries.keys()) this.evict(heap, owner);
    return true;
  }
}
