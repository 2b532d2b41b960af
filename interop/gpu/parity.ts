/**
 * The suite that trains the same network on the device and on the WASM backend: `small` at 1/16 of its width, batches of 8, the same seed.
 * The losses agree for 20 steps; over 200 steps, where rounding errors grow, their mean curves do.
 */
import { createBackend } from '../../src/index.js';
import { SGD } from '../../src/nn/index.js';
import { type Backend, crossEntropy, dropout, manualSeed, ones, tensor, withBackend } from '../../src/tensor/index.js';
import { labels, noise } from '../../src/testing/cases/formula.js';
import { zfnet } from '../../src/zfnet/index.js';
import { check, type SuiteContext } from './suite.js';

const BATCH = 8;
const CLASSES = 10;
const INPUT = 28;
const SHORT = 20;
const LONG = 200;
/** Steps per point of the mean curve. */
const POINT = 20;

/** Trains and returns the loss of each step. The loss of a step is read while the next one runs. */
async function lossesOf(backend: Backend, steps: number): Promise<number[]> {
  manualSeed(11);
  const model = withBackend(backend, () => zfnet('small', { width: 1 / 16, classes: CLASSES, inputSize: INPUT, seed: 2 })).train();
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4, maxFilterRms: 0.1 });
  const losses: Promise<number>[] = [];
  for (let step = 0; step < steps; step++) {
    const images = tensor(Float32Array.from(noise(BATCH * 3 * INPUT * INPUT, step + 1)), [BATCH, 3, INPUT, INPUT], { backend });
    const truth = tensor(Int32Array.from(labels(BATCH, step + 1, CLASSES)), [BATCH], { backend });
    const loss = crossEntropy(model.forward(images), truth);
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    losses.push(loss.item());
    for (const each of [images, truth, loss]) each.dispose();
    if (step > 0) await losses[step - 1];
  }
  const values = await Promise.all(losses);
  optimizer.dispose();
  model.dispose();
  return values;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Compares the losses of both backends step by step, or the means of `POINT` steps. */
function compareLosses(actual: readonly number[], expected: readonly number[], long: boolean): string | null {
  const [width, tolerance] = long ? [POINT, 0.02] : [1, 1e-3];
  for (let step = 0; step < expected.length; step += width) {
    const [a, b] = [mean(actual.slice(step, step + width)), mean(expected.slice(step, step + width))];
    if (!(Math.abs(a - b) <= tolerance * Math.abs(b))) return `the loss of step ${step + 1} is ${a}, expected ${b}`;
  }
  return null;
}

async function compareMasks(backend: Backend, wasm: Backend): Promise<string | null> {
  const masks: Float32Array[] = [];
  for (const each of [backend, wasm]) {
    manualSeed(5);
    const y = withBackend(each, () => dropout(ones([10_001]), 0.5));
    masks.push((await y.data()) as Float32Array);
    y.dispose();
  }
  const place = masks[1].findIndex((value, i) => value !== masks[0][i]);
  return place < 0 ? null : `element ${place} is ${masks[0][place]}, expected ${masks[1][place]}`;
}

/** @param long 200 steps in place of 20 */
export async function parity(context: SuiteContext, long = false): Promise<void> {
  const wasm = await createBackend({ backend: 'wasm', threads: 1 });
  const steps = long ? LONG : SHORT;
  await check(context, 'dropout masks are those of the WASM backend', async () => compareMasks(await context.shared(), wasm));
  await check(context, `${steps} training steps give the losses of the WASM backend`, async () =>
    compareLosses(await lossesOf(await context.shared(), steps), await lossesOf(wasm, steps), long),
  );
  wasm.dispose();
}
