/** What a program's time goes to: a row for each kernel, shape and layer, the time outside of all kernels, and memory. */
import type { Backend, BackendInfo } from '../backend/backend.js';
import { checkArgument, checkOptions, func } from '../backend/validate.js';
import { defaultBackend } from '../tensor/index.js';
import { backendRule } from '../tensor/tensor.js';
import { type Recording, record } from './recorder.js';
import { type TableOptions, tableOf } from './table.js';
import { type Trace, traceOf } from './trace.js';

export interface ProfileRow {
  /** The layer that the kernel worked for, those around it in front; '' where there is none. */
  layer: string;
  /** Its name in the backend's interface: `conv2dWeightGrad`. */
  kernel: string;
  shape: string;
  /** Which of its ways the backend took to a convolution: `direct`, `winograd2x2`; '' where there is but one. */
  plan: string;
  calls: number;
  /** Of all calls together. */
  ms: number;
  /** Of the fastest call. */
  bestMs: number;
  /** Of the wall time. */
  share: number;
  /** Floating-point operations of all calls, 2 a multiply-add by the definition, whatever the plan: of products and convolutions, 0 elsewhere. */
  flop: number;
  /** Every operand of every call read or written once. */
  bytes: number;
  /** Billions of operations a second. */
  gflops: number;
  /** Billions of bytes a second. */
  gbs: number;
}

export interface Profile {
  /** The longest first. */
  rows: ProfileRow[];
  /** From the start of the function to its end, or to that of its promise. */
  wallMs: number;
  /** In kernels. */
  kernelMs: number;
  /** Outside of them: TypeScript, and waiting for whatever the function waits for. */
  outsideMs: number;
  /** The most that tensors held at the end of a kernel. */
  peakBytes: number;
  /** What the backend had taken from the system at the end. */
  reservedBytes: number;
  info: BackendInfo;
  /** A table for people. */
  text(options?: TableOptions): string;
  /** For https://ui.perfetto.dev or chrome://tracing, as JSON: `JSON.stringify(profile.trace())`. */
  trace(): Trace;
}

/**
 * Runs a function while every kernel of a backend is timed. What is not profiled costs nothing: the stopwatches are put in front of the kernels
 * at the beginning and taken away at the end, should the function fail too.
 *
 * Times are those of the calls, by `performance.now()`, which browsers round. A backend that queues its work would show only how long
 * queueing takes.
 *
 * @param options.backend default: the one that `init()` set
 * @throws ValueError for what is no function, and for unknown options; BackendError where a profile of the same backend has not ended yet
 */
export async function profile(fn: () => unknown, options: { backend?: Backend } = {}): Promise<Profile> {
  checkArgument('profile', 'the function', fn, func);
  checkOptions('profile', options, { backend: backendRule });
  const { backend = defaultBackend() } = options;
  const recording = await record(backend, fn);
  const { calls, wallMs } = recording;
  const rows = rowsOf(recording);
  const kernelMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const result: Omit<Profile, 'text'> = {
    rows,
    wallMs,
    kernelMs,
    outsideMs: wallMs - kernelMs,
    peakBytes: calls.reduce((most, { heldBytes }) => Math.max(most, heldBytes), 0),
    reservedBytes: backend.memory().reservedBytes,
    info: backend.info(),
    trace: () => traceOf(recording),
  };
  return { ...result, text: (options) => tableOf(result, options) };
}

function rowsOf({ calls, wallMs }: Recording): ProfileRow[] {
  const rows = new Map<string, ProfileRow>();
  for (const { kernel, layer, start, end, cost } of calls) {
    const { shape, flop, bytes, plan } = cost;
    const key = [layer, kernel, shape, plan].join('\n');
    const fresh = { layer, kernel, shape, plan, calls: 0, ms: 0, bestMs: Infinity, share: 0, flop: 0, bytes: 0, gflops: 0, gbs: 0 };
    const row: ProfileRow = rows.get(key) ?? fresh;
    row.calls++;
    row.ms += end - start;
    row.bestMs = Math.min(row.bestMs, end - start);
    row.flop += flop;
    row.bytes += bytes;
    rows.set(key, row);
  }
  const perMs = (amount: number, ms: number) => (ms > 0 ? amount / ms / 1e6 : 0);
  for (const row of rows.values()) {
    row.share = row.ms / wallMs;
    row.gflops = perMs(row.flop, row.ms);
    row.gbs = perMs(row.bytes, row.ms);
  }
  return [...rows.values()].sort((a, b) => b.ms - a.ms);
}
