/**
 * The program that every runtime runs: operation cases, a short training run and a projection on WebGPU, beside the same run on the WASM
 * backend. It is bundled, so that runtimes need no files besides it.
 */
import { deconvnet } from '../../src/deconv/index.js';
import { createBackend } from '../../src/index.js';
import { SGD } from '../../src/nn/index.js';
import { type Backend, crossEntropy, manualSeed, tensor, withBackend } from '../../src/tensor/index.js';
import { labels, noise } from '../../src/testing/cases/formula.js';
import { checkBackend, operationCases } from '../../src/testing.js';
import { zfnet } from '../../src/zfnet/index.js';
import { slackOf } from './tolerances.js';

/** What the program does. */
export interface ProgramOptions {
  /** Names of the operations whose cases run. */
  operations: readonly string[];
  /** The implementation of WebGPU. Default: that of the runtime. */
  gpu?: object;
}

/** What the program found. */
export interface ProgramResult {
  device: string;
  passed: number;
  faults: string[];
  /** Losses of the steps and elements of the projection, on each backend. */
  webgpu: number[];
  wasm: number[];
}

const STEPS = 4;
const BATCH = 4;
const CLASSES = 5;
const INPUT = 28;

/** Names of all operations. */
export const operationNames = (): string[] => [...new Set(operationCases.map(({ op }) => op))];

/** Trains a small network and projects a feature map. */
async function train(backend: Backend): Promise<number[]> {
  manualSeed(7);
  const model = withBackend(backend, () => zfnet('small', { width: 1 / 32, classes: CLASSES, inputSize: INPUT, seed: 3 })).train();
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const found: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    const images = tensor(Float32Array.from(noise(BATCH * 3 * INPUT * INPUT, step)), [BATCH, 3, INPUT, INPUT], { backend });
    const truth = tensor(Int32Array.from(labels(BATCH, step, CLASSES)), [BATCH], { backend });
    const loss = crossEntropy(model.forward(images), truth);
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    found.push(await loss.item());
    for (const each of [images, truth, loss]) each.dispose();
  }
  model.eval();
  const image = tensor(Float32Array.from(noise(3 * INPUT * INPUT, 9)), [1, 3, INPUT, INPUT], { backend });
  const picture = await deconvnet(model).project(image, { layer: 'conv3', map: 0 });
  const pixels = await picture.data();
  for (let i = 0; i < pixels.length; i += 59) found.push(pixels[i]);
  return found;
}

/** Runs the program. */
export async function program({ operations, gpu }: ProgramOptions): Promise<ProgramResult> {
  const backend = await createBackend({ backend: 'webgpu', ...(gpu && { gpu: gpu as never }) });
  const wasm = await createBackend({ backend: 'wasm', threads: 1 });
  const { device } = backend.info();
  const faults: string[] = [];
  let passed = 0;
  for (const name of operations) {
    const check = await checkBackend(backend, { operations: [name], slack: slackOf(name) });
    passed += check.passed;
    for (const row of check.rows) if (!row.passed) faults.push(`${name}, ${row.case}, ${row.pass}: ${row.error}`);
  }
  const results = [await train(backend), await train(wasm)];
  backend.dispose();
  wasm.dispose();
  return { device: `${device?.description} (${device?.vendor})`, passed, faults, webgpu: results[0], wasm: results[1] };
}
