/**
 * Runs single operators with random inputs in onnxruntime and in our own import, and compares the outputs.
 *
 *   npm ci --ignore-scripts --prefix conformance/peers && node --import tsx conformance/operators.ts
 */
import { createRequire } from 'node:module';
import { loadOnnx } from '../src/formats/onnx/index.js';
import { init, tensor } from '../src/index.js';
import { type OperatorCase, operatorCases } from './operator_cases.js';

interface OrtTensor {
  type: string;
  data: ArrayLike<number | bigint>;
  dims: readonly number[];
}

interface Runtime {
  InferenceSession: {
    create(bytes: Uint8Array, options?: object): Promise<{ run(feeds: Record<string, unknown>): Promise<Record<string, OrtTensor>> }>;
  };
  Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown;
}

/** Largest difference, relative to the largest expected value or 1. */
const LIMIT = 2e-5;

const runtime: Runtime = createRequire(new URL('./peers/package.json', import.meta.url))('onnxruntime-node');

/** Describes the difference of the outputs; null where there is none. */
async function compare({ bytes, inputs }: OperatorCase): Promise<string | null> {
  const session = await runtime.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const feeds = Object.entries(inputs).map(([name, { shape, data }]) => [name, new runtime.Tensor('float32', data, shape)] as const);
  const theirs = await session.run(Object.fromEntries(feeds));
  const net = await loadOnnx(bytes);
  const ours = await net.run(Object.fromEntries(Object.entries(inputs).map(([name, { shape, data }]) => [name, tensor(data, shape)])));
  for (const [name, expected] of Object.entries(theirs)) {
    const got = ours[name];
    if (got.shape.join() !== expected.dims.join()) return `shape [${got.shape}], expected [${expected.dims}]`;
    const values = await got.data();
    const wanted = Array.from(expected.data, Number);
    const scale = Math.max(1, ...wanted.map(Math.abs).filter(Number.isFinite));
    for (const [i, value] of wanted.entries()) {
      if (Object.is(values[i], value) || values[i] === value) continue;
      if (!(Math.abs(values[i] - value) <= LIMIT * scale)) return `${values[i]} at index ${i}, expected ${value}`;
    }
  }
  net.dispose();
  return null;
}

await init({ backend: 'wasm' });
let failed = 0;
const cases = operatorCases();
for (const each of cases) {
  let problem: string | null;
  try {
    problem = await compare(each);
  } catch (error) {
    problem = (error as Error).message;
  }
  if (problem === null) continue;
  failed++;
  console.log(`failed  ${each.name}: ${problem}`);
}
console.log(`${cases.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
