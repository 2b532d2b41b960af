/** The native build of onnxruntime. */
import runtime from 'onnxruntime-node';
import { readingOf } from './onnxruntime.mjs';
import { task } from './reading.mjs';

await readingOf('onnxruntime-node', runtime, {
  executionProviders: ['cpu'],
  intraOpNumThreads: task.threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
});
