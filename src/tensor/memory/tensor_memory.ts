/** Base class of `Tensor`: a shape over a reference-counted buffer, and what frees the reference. */
import type { Backend, DType, Storage } from '../../backend/backend.js';
import { DisposedError, ValueError } from '../../backend/errors.js';
import type { Releasable } from '../context.js';
import { Buffer, type Claim, claimFor, freedMessage } from './memory.js';

/** A shape over a reference to a buffer. It knows nothing of operations and gradients, which `Tensor` adds. */
export abstract class TensorMemory implements Releasable {
  /** @internal Whether `keep()` was called. */
  kept = false;
  private freedBy: string | null = null;
  private readonly claim: Claim;

  constructor(
    /** Extent of each axis, the outermost first. Images are [N, C, H, W]. */
    readonly shape: readonly number[],
    /** @internal */
    readonly buffer: Buffer,
  ) {
    if (!(buffer instanceof Buffer))
      throw new ValueError(
        'Tensor: the constructor is internal; use tensor(data, shape), zeros(shape) or another function that creates tensors',
      );
    this.claim = claimFor(this, buffer);
  }

  /** Element type. */
  get dtype(): DType {
    return this.buffer.dtype;
  }

  /** The backend that owns the memory. */
  get backend(): Backend {
    return this.buffer.backend;
  }

  /** Number of elements. */
  get size(): number {
    return this.buffer.size;
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Whether the tensor has been disposed of or freed. */
  get disposed(): boolean {
    return this.freedBy !== null;
  }

  /** @internal The storage that kernels read and write. */
  get storage(): Storage {
    this.checkAlive();
    return this.buffer.device();
  }

  /** @internal The storage for a kernel that modifies it in place; discards the copy on the host. */
  get writable(): Storage {
    this.checkAlive();
    return this.buffer.ownedByBackend();
  }

  /** Exempts this tensor from being freed by `backward()` and by the end of a scope; free it with `dispose()`. Returns the tensor. */
  keep(): this {
    this.kept = true;
    return this;
  }

  /** @internal Releases the reference to the buffer; `by` is named in the message of a later `DisposedError`. */
  release(by: string): void {
    if (this.freedBy) return;
    this.freedBy = by;
    this.claim.release(by);
    this.buffer.evictHostIfFreed();
  }

  /** @internal @throws DisposedError if the tensor was freed */
  checkAlive(): void {
    if (this.freedBy) throw new DisposedError(`tensor of shape [${this.shape}]: ${freedMessage(this.freedBy)}`);
  }
}
