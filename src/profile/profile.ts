/** `profile(fn)`: times every kernel call of a function, grouped by kernel, shape and layer. */
import type { Backend } from '../backend/backend.js';
import { checkArgument, checkOptions, func } from '../backend/validate.js';
import { defaultBackend } from '../tensor/index.js';
import { backendRule } from '../tensor/tensor.js';
import { type Recording, record } from './recorder.js';
import { tableOf } from './table.js';
import { traceOf } from './trace.js';
import type { Profile, ProfileRow, ShaderRow } from './types.js';

/**
 * Runs a function and measures the time, arithmetic and memory traffic of each kernel that it calls.
 *
 * The backend reports the duration of each kernel. A backend on the CPU wraps its kernels with timers (`performance.now()`, whose
 * resolution browsers reduce) for the duration of the call and restores them afterwards, also when the function throws. Code that is not
 * being profiled runs at full speed. The profile ends when the function's promise and the work that it queued on the backend are done.
 *
 * @example console.log((await profile(() => model.forward(images))).text());
 * @param options.backend the backend to profile; default: the one that `init()` set
 * @throws ValueError if `fn` is not a function or an option is unknown; BackendError while another profile of the same backend runs
 */
export async function profile(fn: () => unknown, options: { backend?: Backend } = {}): Promise<Profile> {
  checkArgument('profile', 'the function', fn, func);
  checkOptions('profile', options, { backend: backendRule });
  const { backend = defaultBackend() } = options;
  const recording = await record(backend, fn);
  const { calls, wallMs, threads } = recording;
  const rows = rowsOf(recording);
  const kernelMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const result: Omit<Profile, 'text'> = {
    rows,
    wallMs,
    kernelMs,
    outsideMs: wallMs - kernelMs,
    threads: threads.map(({ name, busyMs }) => ({ name, busyMs, idleMs: wallMs - busyMs, share: busyMs / wallMs })),
    ...deviceOf(recording),
    peakBytes: calls.reduce((most, { heldBytes }) => Math.max(most, heldBytes), 0),
    reservedBytes: backend.memory().reservedBytes,
    info: backend.info(),
    trace: () => traceOf(recording),
  };
  return { ...result, text: (options) => tableOf(result, options) };
}

/** Returns the profile of the backend's device, if it has one. */
function deviceOf({ threads, wallMs }: Recording): Pick<Profile, 'device'> {
  const thread = threads.find(({ queue }) => queue !== undefined);
  if (!thread?.queue) return {};
  const { dispatches, encodeMs, clock, note } = thread.queue;
  const shaders = new Map<string, ShaderRow>();
  for (const { name, start, end } of dispatches) {
    const row: ShaderRow = shaders.get(name) ?? { name, dispatches: 0, ms: 0, bestMs: Infinity };
    row.dispatches++;
    row.ms += end - start;
    row.bestMs = Math.min(row.bestMs, end - start);
    shaders.set(name, row);
  }
  return {
    device: {
      dispatches: dispatches.length,
      busyMs: thread.busyMs,
      idleMs: wallMs - thread.busyMs,
      encodeMs,
      clock,
      ...(note !== undefined && { note }),
      shaders: [...shaders.values()].sort((a, b) => b.ms - a.ms),
    },
  };
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
