/** Measures the limits of the machine or device that computes, which `bench` and `profile` compare kernels with. */
import { backendInfo, type Ceiling, ceilingFor, createCeiling, defaultBackend } from 'zfnet';

/** Measured limits of the default backend. */
export interface Limits {
  /** GFLOP/s of all threads together, or of the device. */
  gflops: number;
  /** GB/s of a copy, read and written; only of devices. */
  gbs?: number;
  /** The arithmetic peak of one thread; only of the wasm backend. */
  perThread?: Ceiling;
}

/**
 * Prepares the measurement and returns a function that measures. Undefined for the reference backend, which has no limit worth comparing
 * with. Call `context.engine()` first.
 */
export async function prepareLimits(): Promise<(() => Promise<Limits>) | undefined> {
  const backend = defaultBackend();
  const info = backendInfo();
  if (backend.measureCeiling) return async () => backend.measureCeiling!();
  if (info.backend !== 'wasm') return undefined;
  const ceiling = await createCeiling();
  return async () => {
    const perThread = ceiling();
    // In fast mode the micro-kernel is chosen when the first large product runs.
    return { gflops: ceilingFor(backendInfo(), perThread), perThread };
  };
}
