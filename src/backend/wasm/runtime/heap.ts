/**
 * The heap: a segregated free-list allocator for blocks of a WebAssembly.Memory, aligned to 64 bytes.
 *
 * The bookkeeping is in JavaScript objects, not in the memory itself. All blocks form a list in address order. Free blocks are also in one
 * of about 200 lists by size, eight per power of two, with a bitmap of the lists that are not empty. `allocate` searches the first blocks of
 * the list of its own size for the best fit, then uses the next list that is not empty; `release` merges adjacent free blocks. Both take
 * constant time. A loop that allocates the same sizes again gets the same addresses.
 */
import { OutOfMemoryError } from '../../errors.js';
import { type Block, FreeLists } from './free_lists.js';

export type { Block } from './free_lists.js';

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

export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly limitBytes: number;
  /** Statistics of tensors: requested bytes, number of buffers, and maximum of `bytes`. */
  bytes = 0;
  buffers = 0;
  peakBytes = 0;

  readonly #free = new FreeLists();
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
    this.#free.insert(this.#last);
  }

  get reservedBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** Allocates a block of at least `bytes`. Throws `OutOfMemoryError` without changing the heap. */
  allocate(bytes: number): Block {
    if (bytes > this.limitBytes) throw new OutOfMemoryError(bytes, this.bytes, this.limitBytes);
    const units = Math.max(1, Math.ceil(bytes / UNIT));
    const block = this.#free.find(units) ?? this.#grow(units, bytes);
    this.#free.remove(block);
    if (block.units > units) this.#split(block, units);
    return block;
  }

  /** Frees a block. */
  release(block: Block): void {
    const { before, after } = block;
    if (after?.free) {
      this.#free.remove(after);
      this.#join(block, after);
    }
    if (before?.free) {
      this.#free.remove(before);
      this.#join(before, block);
      this.#free.insert(before);
    } else {
      this.#free.insert(block);
    }
  }

  /** Adds to the statistics of tensors; negative values for freed ones. */
  count(bytes: number, buffers: number): void {
    this.bytes += bytes;
    this.buffers += buffers;
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes;
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
      this.#free.remove(last);
      last.units += added;
      this.#free.insert(last);
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
    this.#free.insert(block);
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
    this.#free.insert(rest);
  }

  /** Merges `block` with the adjacent block `after`. Neither is in a list. */
  #join(block: Block, after: Block): void {
    block.units += after.units;
    block.after = after.after;
    if (block.after !== null) block.after.before = block;
    else this.#last = block;
  }
}
