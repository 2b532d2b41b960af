/** Lists of the free blocks of the heap by size, with a bitmap of the lists that are not empty: see `heap.ts`. */

const LISTS_PER_POWER = 8;
const POWERS = 27;

export interface Block {
  /** In bytes from the start of the memory, up to 2^32. */
  pointer: number;
  units: number;
  free: boolean;
  /** Neighbours by address. */
  before: Block | null;
  after: Block | null;
  /** Neighbours in a list of free blocks. */
  previous: Block | null;
  next: Block | null;
}

/** Returns the list for a size: one list per size below 8; above, one per value of the three bits after the leading one. */
function listOf(units: number): number {
  if (units < LISTS_PER_POWER) return units;
  const power = 31 - Math.clz32(units);
  return ((power - 2) << 3) | ((units >>> (power - 3)) & 7);
}

/** The free blocks of a heap. All methods take constant time, except that a search may walk the list of its own size. */
export class FreeLists {
  readonly #lists: (Block | null)[] = new Array(POWERS * LISTS_PER_POWER).fill(null);
  /** Bitmap of the lists that are not empty. */
  readonly #filled = new Int32Array((POWERS * LISTS_PER_POWER) / 32 + 1);

  /** Returns a free block of at least this many units, or null. It stays in its list. */
  find(units: number): Block | null {
    const own = listOf(units);
    let best: Block | null = null;
    let block = this.#lists[own];
    for (let looked = 0; block !== null && looked < 16; block = block.next, looked++) {
      if (block.units === units) return block;
      if (block.units > units && (best === null || block.units < best.units)) best = block;
    }
    if (best !== null) return best;
    // Every block of a later list is large enough.
    let word = (own + 1) >>> 5;
    let bits = this.#filled[word] & (-1 << ((own + 1) & 31));
    while (bits === 0 && ++word < this.#filled.length) bits = this.#filled[word];
    if (bits !== 0) return this.#lists[(word << 5) + 31 - Math.clz32(bits & -bits)];
    for (; block !== null; block = block.next) if (block.units >= units) return block;
    return null;
  }

  /** Marks a block as free. */
  insert(block: Block): void {
    const list = listOf(block.units);
    const first = this.#lists[list];
    block.free = true;
    block.previous = null;
    block.next = first;
    if (first !== null) first.previous = block;
    this.#lists[list] = block;
    this.#filled[list >>> 5] |= 1 << (list & 31);
  }

  /** Marks a block as used. */
  remove(block: Block): void {
    const { previous, next } = block;
    block.free = false;
    if (next !== null) next.previous = previous;
    if (previous !== null) {
      previous.next = next;
      return;
    }
    const list = listOf(block.units);
    this.#lists[list] = next;
    if (next === null) this.#filled[list >>> 5] &= ~(1 << (list & 31));
  }
}
