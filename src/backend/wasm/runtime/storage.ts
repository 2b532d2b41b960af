/** Storages of the wasm backend, and the views of the memory that hold their elements. */
import type { DType, Storage } from '../../backend.js';
import type { Block } from './heap.js';

/** A storage: a block of the heap of one engine. */
export class WasmStorage implements Storage {
  /** Null once released. */
  block: Block | null;
  /** Whether the cache contains values derived from this storage. */
  hasDerived = false;
  constructor(
    /** The memory that holds the block. */
    readonly owner: object,
    readonly dtype: DType,
    readonly size: number,
    block: Block,
  ) {
    this.block = block;
  }
}
