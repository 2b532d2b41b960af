/** The backends that are proved equal, and the float64 reference that they are proved equal to. */
import { setFlagsFromString } from 'node:v8';
import { afterAll } from 'vitest';
import type { Backend } from '../../src/backend/backend.js';
import { createReferenceBackend } from '../../src/backend/reference/index.js';
import { createWasmBackend } from '../../src/backend/wasm/index.js';

// Node 20 keeps relaxed SIMD behind a flag; without it `fast` would be proved on the strict build.
if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');

export interface TestBackend {
  name: string;
  backend: Backend;
  /** A factor on tolerances: `fast` may round more than once. */
  slack: number;
}

export const reference: Backend = createReferenceBackend();

export const strict: TestBackend = { name: 'wasm strict', backend: await createWasmBackend({ threads: 1 }), slack: 1 };
export const strictThreads: TestBackend = {
  name: 'wasm strict, 2 threads',
  backend: await createWasmBackend({ threads: 2 }),
  slack: 1,
};

export const fast: TestBackend = { name: 'wasm fast', backend: await createWasmBackend({ threads: 1, mode: 'fast' }), slack: 10 };

export const backends: readonly TestBackend[] = [
  { name: 'reference float32', backend: createReferenceBackend(), slack: 1 },
  strict,
  strictThreads,
  fast,
];

afterAll(() => {
  for (const { backend } of backends) backend.dispose();
});
