/** The result of `profile(fn)`: its rows, totals and the options of its table. */
import type { BackendInfo, QueueTime } from '../backend/backend.js';
import type { Trace } from './trace.js';

/** All calls of one kernel with one shape, on behalf of one layer. */
export interface ProfileRow {
  /** Path of the layer that called the kernel, such as `block1.conv2`; '' outside of all layers. */
  layer: string;
  /** Name of the kernel in the `Backend` interface, such as `conv2dWeightGrad`. */
  kernel: string;
  /** Shapes of the operands, as text. */
  shape: string;
  /** Name of the convolution algorithm, such as `direct` or `winograd2x2`; '' for kernels with a single algorithm. */
  plan: string;
  /** Number of calls. */
  calls: number;
  /** Duration of all calls together, in milliseconds. */
  ms: number;
  /** Duration of the fastest call, in milliseconds. */
  bestMs: number;
  /** Share of the wall time, from 0 to 1. */
  share: number;
  /**
   * Floating-point operations of all calls by the definition of the operation, whatever the algorithm; a multiply-add counts as 2.
   * Counted for matrix products and convolutions, 0 for other kernels.
   */
  flop: number;
  /** Bytes of all operands of all calls, each operand counted once per call. */
  bytes: number;
  /** Billions of floating-point operations per second. */
  gflops: number;
  /** Billions of bytes per second. */
  gbs: number;
}

/** Time of one thread during the profiled function. */
export interface ThreadRow {
  /** `main thread` for the thread that calls the kernels, `worker 1` and so on for the threads of the thread pool. */
  name: string;
  /** Time spent computing in kernels, in milliseconds. */
  busyMs: number;
  /** The rest of the wall time, in milliseconds: waiting for other threads or for work. */
  idleMs: number;
  /** Busy share of the wall time, from 0 to 1. */
  share: number;
}

/** All dispatches of one shader of a device. */
export interface ShaderRow {
  /** Name of the shader, as its pipeline is labelled. */
  name: string;
  /** Number of times that the shader was dispatched. */
  dispatches: number;
  /** Time of all dispatches together on the device, in milliseconds. */
  ms: number;
  /** Time of the fastest dispatch, in milliseconds. */
  bestMs: number;
}

/** Times of a device during the profiled function. */
export interface DeviceProfile {
  /** Number of dispatches. A kernel of the backend may need several. */
  dispatches: number;
  /** Time that the device computed, in milliseconds. */
  busyMs: number;
  /** The rest of the wall time, in milliseconds. */
  idleMs: number;
  /** Time that the calling thread spent recording commands and copying uploads, in milliseconds. The device may compute meanwhile. */
  encodeMs: number;
  /** `timestamps`: each dispatch was timed by the device. `completion`: by the completion of its submission, as the processor saw it. */
  clock: QueueTime['clock'];
  /** What limits the exactness of the times, if anything. */
  note?: string;
  /** One row per shader, the longest first. */
  shaders: ShaderRow[];
}

/** Timings and memory of one profiled function. */
export interface Profile {
  /** One row per kernel, shape and layer, the longest first. */
  rows: ProfileRow[];
  /** Wall time of the function in milliseconds, until its promise resolves if it returns one. */
  wallMs: number;
  /** Time inside kernels, in milliseconds. */
  kernelMs: number;
  /** Time outside kernels, in milliseconds: TypeScript code, and anything the function awaits. */
  outsideMs: number;
  /** Busy and idle time of each thread of the backend, or of each queue of a device. */
  threads: ThreadRow[];
  /** Dispatches and idle time of the device, on backends that have one. */
  device?: DeviceProfile;
  /** Maximum of the bytes allocated for tensors, sampled at each kernel call. */
  peakBytes: number;
  /** Bytes that the backend had reserved from the system at the end. */
  reservedBytes: number;
  /** The backend that was profiled. */
  info: BackendInfo;
  /** Returns the profile as a text table for a terminal. */
  text(options?: TableOptions): string;
  /** Returns a trace for https://ui.perfetto.dev or chrome://tracing: `JSON.stringify(profile.trace())`. */
  trace(): Trace;
}

/** Options of the table of a profile. */
export interface TableOptions {
  /**
   * Peak arithmetic speed of the machine, in GFLOP/s for all threads together: see `createCeiling` and `ceilingFor`. Adds a column with
   * each row's share of it.
   */
  ceiling?: number;
  /**
   * Speed of a copy on the machine or device, in GB/s, bytes read and written: see `Backend.measureCeiling`. Rows without counted
   * operations then have their share of it in the column of shares.
   */
  bandwidth?: number;
  /** Maximum number of rows; the remaining ones are summed in a last row. Default 40. */
  limit?: number;
}
