/**
 * Exports networks to ONNX, runs them in onnxruntime, and compares the outputs with our own and with our own import of the same file.
 *
 *   npm ci --ignore-scripts --prefix conformance/peers && npm run conformance:export [-- --json]
 */
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { loadOnnx, toOnnx } from '../src/formats/onnx/index.js';
import { init, manualSeed, noGrad, randn, type Tensor } from '../src/index.js';
import { relativeError } from './compare.js';
import { networks } from './networks.js';

interface Runtime {
  InferenceSession: {
    create(
      bytes: Uint8Array,
    ): Promise<{ run(feeds: Record<string, unknown>): Promise<Record<string, { data: Float32Array; dims: number[] }>> }>;
  };
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
}

const LIMIT = 1e-5;
const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const runtime: Runtime = createRequire(new URL('./peers/package.json', import.meta.url))('onnxruntime-node');
await init({ backend: 'wasm' });
manualSeed(5);
const rows: { network: string; opset: number; onnxruntime: number; reimported: number }[] = [];
for (const { name, model, input } of networks()) {
  const x = randn(input);
  const own = await noGrad(() => model.forward(x)).data();
  for (const opset of [13, 17, 22]) {
    const bytes = await toOnnx(model, { inputShape: input, opset });
    const session = await runtime.InferenceSession.create(bytes);
    const theirs = await session.run({ input: new runtime.Tensor('float32', Float32Array.from(await x.data()), input) });
    const again: Record<string, Tensor> = await (await loadOnnx(bytes)).run({ input: x });
    rows.push({
      network: name,
      opset,
      onnxruntime: relativeError(theirs.output.data, own),
      reimported: relativeError(await again.output.data(), own),
    });
  }
}
const failed = rows.filter((row) => !(row.onnxruntime <= LIMIT && row.reimported <= LIMIT));
if (values.json) console.log(JSON.stringify({ limit: LIMIT, rows }));
else {
  for (const { network, opset, onnxruntime, reimported } of rows)
    console.log(
      `${network.padEnd(20)} opset ${opset}  onnxruntime ${onnxruntime.toExponential(1)}  reimported ${reimported.toExponential(1)}`,
    );
  console.log(`${rows.length - failed.length} passed, ${failed.length} failed`);
}
process.exit(failed.length > 0 ? 1 : 0);
