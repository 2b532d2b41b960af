/** The WebAssembly build of onnxruntime; its threads work in Node without changes. */
import * as runtime from 'onnxruntime-web';
import { readingOf } from './onnxruntime.mjs';
import { task } from './reading.mjs';

runtime.env.wasm.numThreads = task.threads;
await readingOf('onnxruntime-web', runtime, { executionProviders: ['wasm'] });
