/**
 * Transfers between the host and the device, and the checks whose outcome comes with the next transfer. Reads that are started without
 * yielding in between share one submission.
 */
import type { DType, Storage, TypedArray } from '../backend.js';
import { ELEMENT_BYTES } from '../backend.js';
import { BackendError, ShapeError } from '../errors.js';
import type { GpuStorage } from './buffers.js';
import type { CheckSlot } from './kernel.js';
import type { DeviceQueue } from './queue.js';
import { type GpuBufferLike, type GpuDeviceLike, MAP_READ, USAGE } from './types.js';

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array } as const;

const SLOTS_PER_PAGE = 256;
const WORDS_PER_SLOT = 4;
const PAGE_BYTES = SLOTS_PER_PAGE * WORDS_PER_SLOT * 4;
/** Bytes of mappable buffers that are kept for later reads. */
const MOST_STAGING_BYTES = 64 * 2 ** 20;
/** Milliseconds to wait for the reason after the device refused to map a buffer. */
const LOSS_MS = 200;

type ErrorOf = (words: Uint32Array) => Error | null;

interface CheckPage {
  readonly page: GpuStorage;
  readonly errors: ErrorOf[];
}

/** Mappable buffers for reads. */
class StagingPool {
  /** By size, a power of two. */
  readonly #free = new Map<number, GpuBufferLike[]>();
  #bytes = 0;

  constructor(readonly device: GpuDeviceLike) {}

  take(bytes: number): GpuBufferLike {
    const size = 2 ** Math.max(8, Math.ceil(Math.log2(bytes)));
    const kept = this.#free.get(size)?.pop();
    if (kept) {
      this.#bytes -= size;
      return kept;
    }
    return this.device.createBuffer({ label: `read of ${size} bytes`, size, usage: USAGE.mapRead | USAGE.copyTarget });
  }

  keep(staging: GpuBufferLike): void {
    if (this.#bytes + staging.size > MOST_STAGING_BYTES) {
      staging.destroy();
      return;
    }
    this.#bytes += staging.size;
    const kept = this.#free.get(staging.size);
    if (kept) kept.push(staging);
    else this.#free.set(staging.size, [staging]);
  }
}

/** Reads and checks of one queue. */
export class Transfers {
  readonly staging: StagingPool;
  #checks: CheckPage[] = [];

  constructor(readonly queue: DeviceQueue) {
    this.staging = new StagingPool(queue.device);
    queue.check = (errorOf) => this.#check(errorOf);
  }

  write(storage: Storage, data: TypedArray): void {
    const { faults, device } = this.queue;
    faults.check();
    const { block, dtype, size } = this.queue.own(storage);
    if (data.length !== size) throw new ShapeError(`write: got ${data.length} elements, expected ${size}`);
    if (size === 0 || faults.stopped) return;
    if (block!.failure) {
      faults.report(block!.failure);
      return;
    }
    // Without this, the data would arrive before commands that are recorded and not submitted.
    if (block!.batch === this.queue.recorder.number) this.queue.recorder.flush();
    const bytes = bytesOf(dtype, data);
    device.pushErrorScope('validation');
    device.queue.writeBuffer(block!.buffer, 0, bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    this.#watch();
  }

  async read(storage: Storage): Promise<TypedArray> {
    const { queue } = this;
    queue.faults.check();
    const { block, dtype, size } = queue.own(storage);
    if (block!.failure) throw block!.failure;
    if (size === 0 || queue.faults.stopped) {
      await this.synchronize();
      return new ARRAYS[dtype](size);
    }
    const bytes = Math.ceil((size * ELEMENT_BYTES[dtype]) / 4) * 4;
    const staging = this.staging.take(bytes);
    queue.recorder.encoder(block!).copyBufferToBuffer(block!.buffer, 0, staging, 0, bytes);
    const examine = this.#takeChecks();
    const data = await this.#map(staging, bytes);
    await examine();
    queue.faults.take();
    return new ARRAYS[dtype](data.buffer as ArrayBuffer, 0, size);
  }

  async synchronize(): Promise<void> {
    const { queue } = this;
    queue.faults.check();
    const examine = this.#takeChecks();
    queue.recorder.flush();
    try {
      await queue.device.queue.onSubmittedWorkDone();
    } catch (error) {
      await this.#refused(error);
    }
    await queue.faults.settled();
    await examine();
    queue.faults.take();
  }

  #check(errorOf: ErrorOf): CheckSlot {
    let last = this.#checks.at(-1);
    if (last === undefined || last.errors.length === SLOTS_PER_PAGE) {
      last = { page: this.queue.scratch(PAGE_BYTES), errors: [] };
      this.queue.recorder.encoder(last.page.block!).clearBuffer(last.page.block!.buffer);
      this.#checks.push(last);
    }
    last.errors.push(errorOf);
    return { page: last.page, slot: last.errors.length - 1 };
  }

  /** Records the copies of the outcome of all checks so far. The returned function waits for them and keeps the first error. */
  #takeChecks(): () => Promise<void> {
    if (this.#checks.length === 0) return async () => undefined;
    const copies = this.#checks.splice(0).map(({ page, errors }) => {
      const staging = this.staging.take(PAGE_BYTES);
      this.queue.recorder.encoder(page.block!).copyBufferToBuffer(page.block!.buffer, 0, staging, 0, PAGE_BYTES);
      this.queue.release(page);
      return { staging, errors };
    });
    return async () => {
      for (const { staging, errors } of copies) {
        const words = new Uint32Array((await this.#map(staging, PAGE_BYTES)).buffer as ArrayBuffer);
        errors.forEach((errorOf, slot) => {
          const error = errorOf(words.subarray(slot * WORDS_PER_SLOT, (slot + 1) * WORDS_PER_SLOT));
          if (error) this.queue.faults.report(error);
        });
      }
    };
  }

  /** Submits what is recorded, waits for a copy and returns it. All reads of one turn are recorded before the first of them submits. */
  async #map(staging: GpuBufferLike, bytes: number): Promise<Uint8Array> {
    await null;
    this.queue.recorder.flush();
    try {
      await staging.mapAsync(MAP_READ, 0, bytes);
    } catch (error) {
      await this.#refused(error);
    }
    const data = new Uint8Array(staging.getMappedRange(0, bytes)).slice();
    staging.unmap();
    this.staging.keep(staging);
    await this.queue.faults.settled();
    return data;
  }

  /** Throws the reason why the device refused: it was lost, disposed of, or an error came before. */
  async #refused(error: unknown): Promise<never> {
    const { faults, device } = this.queue;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, LOSS_MS);
    });
    await Promise.race([device.lost, patience]);
    clearTimeout(timer);
    await faults.settled();
    faults.take();
    throw new BackendError(`webgpu: the device could not be read: ${error instanceof Error ? error.message : error}`);
  }

  #watch(): void {
    const { device, faults } = this.queue;
    faults.await(
      device.popErrorScope().then((error) => {
        if (error) faults.poison(new BackendError(`webgpu: the device refused a transfer: ${error.message}`));
      }),
    );
  }
}

/** Returns data as bytes in an element type, padded to a multiple of 4 bytes. */
function bytesOf(dtype: DType, data: TypedArray): Uint8Array {
  const Wanted = ARRAYS[dtype];
  const padded = Math.ceil((data.length * ELEMENT_BYTES[dtype]) / 4) * 4;
  if (data instanceof Wanted && data.byteLength === padded && data.buffer instanceof ArrayBuffer)
    return new Uint8Array(data.buffer, data.byteOffset, padded);
  const bytes = new Uint8Array(padded);
  new Wanted(bytes.buffer, 0, data.length).set(data);
  return bytes;
}
