/**
 * The heap: a segregated free-list allocator for blocks of a WebAssembly.Memory, aligned to 64 bytes.
 *
 * The bookkeeping is in JavaScript objects, not in the memory itself. All blocks form a list in address order. Free blocks are also in one
 * of about 200 lists by size, eight per power of two, with a bitmap of the lists that are not empty. `allocate` searches the first blocks of
 * the list of its own size for the best fit, then uses the next list that is not empty; `give` merges adjacent free blocks. Both take
 * constant time. A loop that allocates the same sizes again gets the same addresses.
 */
import { OutOfMemoryError } from '../../errors.js';

/** All sizes and offsets below count units of this many bytes. */
const UNIT = 64;
const PAGE = 65536;
/** Minimum number of bytes by which the memory grows. */
const GROW_BYTES = 8 * 2 ** 20;
/**
 * The last bytes of the memory are never allocated: kernels may read up to two vectors beyond their operands, and an end address must be
 * below 2^32.
 */
const GUARD_BYTES = 256;

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

export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly limitBytes: number;
  /** Statistics of tensors: requested bytes, number of buffers, and maximum of `bytes`. */
  bytes = 0;
  buffers = 0;
  peakBytes = 0;

  readonly #lists: (Block | null)[] = new Array(POWERS * LISTS_PER_POWER).fill(null);
  /** Bitmap of the lists that are not empty. */
  readonly #filled = new Int32Array((POWERS * LISTS_PER_POWER) / 32 + 1);
  readonly #onGrow: () => void;
  #last: Block;

  /** Manages everything from `base` on. `onGrow` is called when the memory's buffer has changed. */
  constructor(memory: WebAssembly.Memory, base: number, limitBytes: number, onGrow: () => void) {
    this.memory = memory;
    this.limitBytes = limitBytes;
    this.#onGrow = onGrow;
    const pointer = Math.ceil(base / UNIT) * UNIT;
    const units = Math.floor((memory.buffer.byteLength - GUARD_BYTES - pointer) / UNIT);
    this.#last = { pointer, units, free: false, before: null, after: null, previous: null, next: null };
    this.#insert(this.#last);
  }

  get reservedBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** Allocates a block of at least `bytes`. Throws `OutOfMemoryError` without changing the heap. */
  allocate(bytes: number): Block {
    if (bytes > this.limitBytes) throw new OutOfMemoryError(bytes, this.bytes, this.limitBytes);
    const units = Math.max(1, Math.ceil(bytes / UNIT));
    const block = this.#find(units) ?? this.#grow(units, bytes);
    this.#remove(block);
    if (block.units > units) this.#split(block, units);
    return block;
  }

  /** Frees a block. */
  give(block: Block): void {
    const { before, after } = block;
    if (after?.free) {
      this.#remove(after);
      this.#join(block, after);
    }
    if (before?.free) {
      this.#remove(before);
      this.#join(before, block);
      this.#insert(before);
    } else {
      this.#insert(block);
    }
  }

  /** Adds to the statistics of tensors; negative values for freed ones. */
  count(bytes: number, buffers: number): void {
    this.bytes += bytes;
    this.buffers += buffers;
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes;
  }

  #find(units: number): Block | null {
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

  /** Grows the memory until its last block is large enough, and returns that block. */
  #grow(units: number, requested: number): Block {
    const last = this.#last;
    const missing = (units - (last.free ? last.units : 0)) * UNIT;
    const have = this.memory.buffer.byteLength;
    const room = this.limitBytes - have;
    if (missing > room) throw new OutOfMemoryError(requested, this.bytes, this.limitBytes);
    const pages = Math.ceil(missing / PAGE);
    const generous = Math.min(Math.max(pages, Math.ceil(Math.max(GROW_BYTES, have / 8) / PAGE)), Math.floor(room / PAGE));
    if (!this.#growBy(generous) && !this.#growBy(pages)) throw new OutOfMemoryError(requested, this.bytes, have);
    const added = (this.memory.buffer.byteLength - have) / UNIT;
    this.#onGrow();
    if (last.free) {
      this.#remove(last);
      last.units += added;
      this.#insert(last);
      return last;
    }
    const block: Block = {
      pointer: last.pointer + last.units * UNIT,
      units: added,
      free: false,
      before: last,
      after: null,
      previous: null,
      next: null,
    };
    last.after = block;
    this.#last = block;
    this.#insert(block);
    return block;
  }

  #growBy(pages: number): boolean {
    try {
      this.memory.grow(pages);
      return true;
    } catch {
      return false;
    }
  }

  #split(block: Block, units: number): void {
    const rest: Block = {
      pointer: block.pointer + units * UNIT,
      units: block.units - units,
      free: false,
      before: block,
      after: block.after,
      previous: null,
      next: null,
    };
    if (rest.after !== null) rest.after.before = rest;
    else this.#last = rest;
    block.after = rest;
    block.units = units;
    this.#insert(rest);
  }

  /** Merges `block` with the adjacent block `after`. Neither is in a list. */
  #join(block: Block, after: Block): void {
    block.units += after.units;
    block.after = after.after;
    if (block.after !== null) block.after.before = block;
    else this.#last = block;
  }

  #insert(block: Block): void {
    const list = listOf(block.units);
    const first = this.#lists[list];
    block.free = true;
    block.previous = null;
    block.next = first;
    if (first !== null) first.previous = block;
    this.#lists[list] = block;
    this.#filled[list >>> 5] |= 1 << (list & 31);
  }

  #remove(block: Block): void {
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
