// What every runtime computes: all operation cases forward and backward, fifty training steps and a projection. In strict mode the bits of
// all results must be the same in every runtime with WebAssembly SIMD and for any number of threads.
import * as zfnet from '../../../dist/index.js';
import { operationCases } from '../../../dist/testing.js';
import { Digest, encode } from './digest.mjs';

const STEPS = 50;
const BATCHES = 4;
const GRADIENT_SEED = 99;

/** `size` numbers in [-1, 1) from a linear congruential generator. */
function noise(size, seed) {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

/**
 * Initialises the engine with `options` and computes everything.
 *
 * @returns `{ parts, variant, threads, ... }`. `parts` are `[name, digest]`, in a fixed order. With `values`, `values` holds the arrays of
 * each result (see `encode`), for runtimes whose kernels round differently.
 */
export async function run({ values: wanted = false, ...options }) {
  const warnings = [];
  const { warn } = console;
  console.warn = (text) => warnings.push(String(text));
  await zfnet.init(options).finally(() => {
    console.warn = warn;
  });
  const parts = [];
  const values = [];
  const add = (name, arrays) => {
    parts.push([name, new Digest().add(arrays).text()]);
    if (wanted) values.push(arrays.map(encode));
  };
  for (const each of operationCases) add(`${each.op}, ${each.name}`, await runCase(each));
  const { losses, weights, model, images } = await train();
  add(`${STEPS} training steps, losses`, [losses]);
  add(`${STEPS} training steps, weights`, weights);
  add('projection', [await project(model, images)]);
  return { parts, warnings, ...(wanted ? { values } : {}), ...zfnet.backendInfo() };
}

/** Runs a case forward and, where it has a gradient, backward, and returns the output and the gradients. */
async function runCase({ inputs, run, gradient }) {
  const tensors = inputs.map(({ shape, dtype, values }, place) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const type = dtype === 'float' ? 'float32' : dtype;
    return zfnet.tensor(values(size, place + 1), shape, { dtype: type, requiresGrad: dtype === 'float' && gradient !== 'none' });
  });
  const y = run(tensors);
  const results = [await y.data()];
  if (y.requiresGrad) {
    y.backward({ gradient: zfnet.tensor(noise(y.size, GRADIENT_SEED), y.shape) });
    for (const { grad } of tensors) if (grad) results.push(await grad.data());
  }
  for (const tensor of [...tensors, y]) tensor.dispose();
  return results;
}

/** Trains a small ZFNet on four batches of noise in turn. */
async function train() {
  zfnet.manualSeed(7);
  const [batch, size, classes] = [2, 47, 5];
  const model = zfnet.zfnet('a', { classes, inputSize: size, width: 0.0625, init: 'he', seed: 1 });
  const sgd = new zfnet.SGD(model.parameters(), { lr: 0.002, momentum: 0.9, weightDecay: 1e-4, maxFilterRms: 0.1 });
  const losses = new Float32Array(STEPS);
  for (let step = 0; step < STEPS; step++) {
    const images = zfnet.tensor(noise(batch * 3 * size * size, 1 + (step % BATCHES)), [batch, 3, size, size]);
    const labels = zfnet.tensor(Int32Array.from({ length: batch }, (_, i) => (i + (step % BATCHES)) % classes));
    const loss = zfnet.crossEntropy(model.forward(images), labels);
    loss.backward();
    sgd.step();
    sgd.zeroGrad();
    losses[step] = await loss.item();
  }
  if (!(losses[STEPS - 1] < losses[0])) throw new Error(`the loss went from ${losses[0]} to ${losses[STEPS - 1]}`);
  const weights = [];
  for (const parameter of model.parameters()) weights.push(await parameter.data());
  return { losses, weights, model, images: zfnet.tensor(noise(3 * size * size, 1), [1, 3, size, size]) };
}

/** Projects the strongest activation of a feature map of the last convolution to the pixels. */
async function project(model, image) {
  model.eval();
  const picture = await zfnet.deconvnet(model).project(image, { layer: 'conv5', map: 3 });
  const numbers = await picture.data();
  if (!numbers.some((value) => value !== 0)) throw new Error('the projection is zero everywhere');
  return numbers;
}
