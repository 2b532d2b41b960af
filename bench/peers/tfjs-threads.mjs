/**
 * Threads for TensorFlow.js in Node. Its WebAssembly backend disables threads in Node, starts them from blob: URLs, which Node's workers
 * cannot load, and uses at most half of the processors. This file starts the workers from files instead; the kernels are unchanged.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Globals that the module expects. */
const prelude = (file) =>
  `var require$$0 = require("fs"), require$$1 = require("path"), require$$3 = require("perf_hooks"), require$$4 = require("os");
var commonjsGlobal = globalThis, _scriptDir = ${JSON.stringify(file)};
`;

/** Call it before the backend starts. */
export function enableThreads(tf, wasm, threads) {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-threads-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [main, worker] = [join(folder, 'main.js'), join(folder, 'worker.js')];
  globalThis.Blob = class extends Blob {
    constructor(parts, options) {
      super(parts, options);
      const text = parts.join('');
      if (text.startsWith('var WasmBackendModuleThreadedSimd')) writeFileSync(main, prelude(main) + text);
      else writeFileSync(worker, `URL.createObjectURL = () => ${JSON.stringify(main)}; URL.revokeObjectURL = () => {};\n${text}`);
    }
  };
  URL.createObjectURL = () => worker;
  const os = createRequire(import.meta.url)('node:os');
  const [processor] = os.cpus();
  os.cpus = () => Array(2 * threads).fill(processor);
  tf.env().set('WASM_HAS_SIMD_SUPPORT', true);
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
  wasm.setThreadsCount(threads);
}
