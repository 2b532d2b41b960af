/**
 * Loads the files that pytorch.py wrote (state dicts into networks built here, and ONNX files) and compares the outputs with PyTorch's.
 *
 *   python3 conformance/pytorch.py DIR && npm run conformance:pytorch -- --dir DIR
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadOnnx } from '../src/formats/onnx/index.js';
import { readSafetensors } from '../src/formats/safetensors.js';
import { deconvnet, init, type Module, memory, noGrad, type Tensor, tensor, torchvision } from '../src/index.js';
import { relativeError } from './compare.js';

const LIMIT = 1e-4;
const { values } = parseArgs({ options: { dir: { type: 'string' } } });
if (!values.dir) {
  console.error('usage: npm run conformance:pytorch -- --dir DIR');
  process.exit(2);
}
const dir = values.dir;
await init({ backend: 'wasm' });

const { alexnet, vgg11, resnet18, resnet50 } = torchvision;
const builders: Record<string, () => Module> = { alexnet, vgg11, resnet18, resnet50 };
let passed = 0;
let failed = 0;

async function check(what: string, x: Tensor, expected: ArrayLike<number>, model: Module): Promise<void> {
  const start = performance.now();
  const y = noGrad(() => model.forward(x));
  const error = relativeError(await y.data(), expected);
  const ok = error <= LIMIT;
  if (ok) passed++;
  else failed++;
  const seconds = ((performance.now() - start) / 1000).toFixed(2);
  console.log(
    `${ok ? 'passed' : 'failed'}  ${what.padEnd(32)} relative error ${error.toExponential(1)}  ${seconds} s  ${(memory().bytes / 2 ** 20).toFixed(0)} MiB live`,
  );
  y.dispose();
}

for (const file of readdirSync(dir).filter((file) => file.endsWith('.expected.safetensors'))) {
  const name = file.split('.')[0];
  const { input, output } = readSafetensors(readFileSync(join(dir, file))).tensors;
  const x = tensor(input.data, input.shape);
  const state = join(dir, `${name}.state.safetensors`);
  if (existsSync(state)) {
    const model = builders[name]();
    model.loadStateDict(readSafetensors(readFileSync(state)).tensors);
    await check(`${name} (state dictionary)`, x, output.data, model.eval());
    model.dispose();
  }
  const graph = join(dir, `${name}.onnx`);
  if (existsSync(graph)) {
    const model = await loadOnnx(readFileSync(graph));
    await check(`${name} (ONNX)`, x, output.data, model);
    // Projects a layer in the middle back to the pixels.
    const names = model.layerNames().filter((layer) => ['Relu', 'Clip'].includes(model.layer(layer).kind));
    const layer = names[Math.floor(names.length / 2)];
    const picture = await deconvnet(model).project(x, { layer, map: 1 });
    let bright = 0;
    for (const value of await picture.data()) bright = Math.max(bright, Math.abs(value));
    console.log(`        deconvnet of ${layer}: [${picture.shape}], strongest pixel ${bright.toExponential(1)}`);
    picture.dispose();
    model.dispose();
  }
  x.dispose();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
