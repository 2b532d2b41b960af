/** Synchronous reads outside of the backends: each one has a reason, and none is on a path that a GPU needs. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { sourceFiles } from '../support/imports.js';

/** The files that read synchronously, and why they may. */
const ALLOWED: Record<string, string> = {
  'src/tensor/tensor.ts': 'dataSync(), itemSync() and toString() themselves, which ask for the capability',
  'src/tensor/memory/memory.ts': 'the copy behind dataSync(), and moving a loss to the host where the backend can',
  'src/testing/gradcheck.ts': 'gradcheck computes on a reference backend of its own',
  'src/nn/state/load.ts':
    'loadStateDict from a tensor of a CPU; other tensors are copied on the device, or the error names stateDictData()',
  'src/nn/optim/base.ts': 'the synchronous stateDict() of optimisers, which asks for the capability',
  'src/formats/safetensors.ts': 'tensors of a CPU; the error for others names stateDictData()',
  'src/formats/onnx/export.ts': 'the synchronous result for tensors of a CPU; others give a promise',
  'src/formats/onnx/running/execution.ts': 'forward() of an imported graph whose shapes depend on values; run() reads asynchronously',
  'src/formats/onnx/running/inputs.ts': 'feeds that are on the host or on a CPU',
};

const READ = /\b(readSync|dataSync|itemSync)(<[^<>]*>)?\(/;
const isComment = (line: string) => /^\s*(\/\/|\/?\*)/.test(line);

it('happen in the files that are allowed to, and in no other', () => {
  const files = [...sourceFiles('src'), ...sourceFiles('cli/src')].filter((path) => !path.startsWith('src/backend/'));
  const reading = files.filter((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .some((line) => !isComment(line) && READ.test(line.replace(/`[^`]*`/g, ''))),
  );
  expect(reading.sort()).toEqual(Object.keys(ALLOWED).sort());
});
