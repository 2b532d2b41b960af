/** Operator tests of a folder: each is a model with sets of inputs and expected outputs, in the layout of ONNX's backend tests. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toTensor } from '../src/formats/onnx/decoding/host_value.js';
import { decodeModel, decodeTensorProto } from '../src/formats/onnx/decoding/schema.js';
import { readTensor } from '../src/formats/onnx/decoding/tensor_proto.js';
import { loadOnnx, UnsupportedError } from '../src/formats/onnx/index.js';
import type { Backend } from '../src/index.js';
import { difference } from './compare.js';

export interface Case {
  name: string;
  model: string;
  sets: string[];
}

export type Status = 'passed' | 'failed' | 'unsupported';

export interface Outcome {
  status: Status;
  /** Operators of the model. */
  operators: string[];
  /** Reason of the failure. */
  reason?: string;
}

/** Folders with a model.onnx below `dir`, at any depth. */
export function findCases(dir: string): Case[] {
  const entries = readdirSync(dir, { withFileTypes: true });
  const isFolder = (name: string) => statSync(join(dir, name)).isDirectory();
  if (entries.some(({ name }) => name === 'model.onnx')) {
    const sets = entries.map(({ name }) => name).filter((name) => name.startsWith('test_data_set_') && isFolder(name));
    return [{ name: dir.split(/[\\/]/).pop()!, model: join(dir, 'model.onnx'), sets: sets.sort().map((name) => join(dir, name)) }];
  }
  return entries
    .map(({ name }) => name)
    .filter((name) => name !== 'node_modules' && isFolder(name))
    .sort()
    .flatMap((name) => findCases(join(dir, name)));
}

/** Runs every data set of a case on a backend. */
export async function runCase(test: Case, backend: Backend): Promise<Outcome> {
  const bytes = readFileSync(test.model);
  let operators: string[] = [];
  try {
    operators = [...new Set((decodeModel(bytes).graph?.node ?? []).map(({ opType }) => opType ?? '?'))];
    const net = await loadOnnx(bytes, { backend, externalData: (path) => readFileSync(join(dirname(test.model), path)) });
    try {
      if (test.sets.length === 0) return { status: 'unsupported', operators, reason: 'there is no data to compare with' };
      for (const set of test.sets) {
        const read = (role: 'input' | 'output', i: number) => readTensor(decodeTensorProto(readFileSync(join(set, `${role}_${i}.pb`))));
        const feeds = net.inputs.map(({ name }, i) => [name, toTensor(read('input', i), backend, name)] as const);
        const outputs = await net.run(Object.fromEntries(feeds));
        for (const [i, { name }] of net.outputs.entries()) {
          const wrong = difference(outputs[name], await outputs[name].data(), read('output', i));
          if (wrong) return { status: 'failed', operators, reason: `output ${name}: ${wrong}` };
        }
        for (const tensor of [...feeds.map(([, feed]) => feed), ...Object.values(outputs)]) tensor.dispose();
      }
    } finally {
      net.dispose();
    }
    return { status: 'passed', operators };
  } catch (error) {
    const { message } = error as Error;
    return { status: error instanceof UnsupportedError ? 'unsupported' : 'failed', operators, reason: message };
  }
}
