/** The interface between the queue and the kernel families: what a kernel is, and what the queue does for it. */
import type { DeviceInfo, Storage } from '../backend.js';
import type { GpuStorage } from './buffers.js';

/** A storage buffer of a kernel, a global variable of the shader. */
export interface BufferBinding {
  /** Name of the variable: `x`. */
  readonly name: string;
  /** Its WGSL type: `array<f32>`. Buffers are padded to 16 bytes, so that `array<vec4f>` covers the last elements too. */
  readonly type: string;
  readonly access: 'read' | 'read_write';
}

/** A number that a kernel gets with each launch: name of the field and WGSL type. */
export type ParamField = readonly [name: string, type: 'u32' | 'i32' | 'f32'];

/**
 * A compute shader. The generator adds the declarations of `buffers` (as global variables of that name at `@group(0) @binding(i)`), and
 * `struct Params` with `var<uniform> p: Params` at the next binding if there are params, in front of `code`.
 */
export interface Kernel {
  /** Name for profiles, labels and messages, such as `relu`. */
  readonly name: string;
  /** Tells variants of one name apart; name and key identify the pipeline. Shapes are params, never part of the key. */
  readonly key: string;
  readonly buffers: readonly BufferBinding[];
  /** At most 60 fields. */
  readonly params: readonly ParamField[];
  /** WGSL with one entry point `main`, whose workgroup size it states itself. Called once, when the pipeline is first needed. */
  readonly code: () => string;
}

/** Limits of the device that kernels choose their tiles by. */
export interface KernelLimits {
  readonly maxWorkgroupsPerDimension: number;
  /** Maximum size of one storage in bytes. */
  readonly maxBufferBytes: number;
  /** Maximum number of threads per workgroup. */
  readonly maxInvocations: number;
  /** Maximum workgroup memory in bytes. */
  readonly maxWorkgroupBytes: number;
}

/** The slot of a deferred check: words `4 · slot` to `4 · slot + 3` of `page` (`array<atomic<u32>>`), which are 0 before the kernel runs. */
export interface CheckSlot {
  readonly page: GpuStorage;
  readonly slot: number;
}

/** What kernel families use of the queue. */
export interface GpuQueue {
  /** Records one dispatch. `storages` in the order of `kernel.buffers`, `values` in the order of `kernel.params`. x, y, z ≤ 65535. */
  launch(
    kernel: Kernel,
    storages: readonly GpuStorage[],
    values: readonly number[],
    groups: readonly [x: number, y?: number, z?: number],
  ): void;
  /** Returns a storage for partial results; give it back with `release`. The work that uses it may still be queued then. */
  scratch(bytes: number): GpuStorage;
  release(storage: GpuStorage): void;
  /** Returns the storage. @throws BackendError if it belongs to another backend; DisposedError if it was released */
  own(storage: Storage): GpuStorage;
  readonly limits: KernelLimits;
  /** Whether the device is a software implementation such as SwiftShader or llvmpipe: workgroups with barriers have at most 64 threads. */
  readonly software: boolean;
  /** Maker and family of the device. */
  readonly info: DeviceInfo;
  readonly mode: 'strict' | 'fast';
  /**
   * Returns a slot for a check whose outcome the next `read` or `synchronize` examines: it rejects with the error that `errorOf` returns
   * for the four words of the slot.
   */
  check(errorOf: (words: Uint32Array) => Error | null): CheckSlot;
}

/** Threads per workgroup of kernels without barriers, unless they state another number. */
export const FLAT_SIZE = 256;
const MOST_GROUPS = 65535;

/**
 * Returns the workgroups for a number of threads, in workgroups of `size`: a row, or a rectangle that is as full as possible beyond 65,535
 * workgroups. The shader finds its index with `flatIndex` of wgsl.ts and returns if it is too large.
 */
export function flatGroups(threads: number, size: number = FLAT_SIZE): [number, number] {
  const groups = Math.ceil(threads / size);
  if (groups <= MOST_GROUPS) return [groups, 1];
  const rows = Math.ceil(groups / MOST_GROUPS);
  return [Math.ceil(groups / rows), rows];
}
