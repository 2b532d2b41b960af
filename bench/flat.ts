/**
 * `npm run bench:flat -- [--steps 10000]`: trains a small network on new inputs in each step, without any `dispose`, and prints the memory
 * of the engine's tensors, of its heap and of the process. Fails unless tensors and heap are constant from step 100 on.
 *
 * `npm run bench:flat -- --passes 100000`: runs forward passes instead, without any `dispose`, in four loops: in evaluation mode and inside
 * `noGrad`, awaited and synchronous. Fails unless the heap stops growing after a tenth of the passes.
 */
import { parseArgs } from 'node:util';
import { type Backend, crossEntropy, init, memory, noGrad, SGD, type Tensor, tensor, zfnet } from '../src/index.js';
import { noise } from './harness.js';

const { values } = parseArgs({ options: { steps: { type: 'string', default: '10000' }, passes: { type: 'string' } } });
const [size, classes] = [28, 10];

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
const held = () => {
  const { bytes, tensors, reservedBytes } = memory();
  return { bytes, tensors, reservedBytes, process: process.memoryUsage().rss };
};
type Held = ReturnType<typeof held>;
const textOf = ({ tensors, bytes, reservedBytes, process: rss }: Held) =>
  `${tensors} tensors hold ${mib(bytes)}, the heap ${mib(reservedBytes)}, the process ${mib(rss)}`;
const network = () => zfnet('small', { classes, channels: 1, width: 0.02, seed: 1 });
const images = (batch: number, seed: number) => tensor(noise(batch * size * size, seed), [batch, 1, size, size]);

/** Trains, and returns whether memory was constant. */
async function train(steps: number): Promise<boolean> {
  const [batch, warmSteps] = [8, 100];
  const model = network();
  const sgd = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, maxFilterRms: 0.1 });
  let warm = held();
  const start = performance.now();
  for (let step = 1; step <= steps; step++) {
    const labels = tensor(Int32Array.from({ length: batch }, (_, i) => (i * 7 + step) % classes));
    const loss = crossEntropy(model.forward(images(batch, step)), labels);
    loss.backward();
    sgd.step();
    sgd.zeroGrad();
    await loss.item();
    if (step === warmSteps) warm = held();
    if (step === warmSteps || step === steps || step % Math.ceil(steps / 10) === 0) console.log(`step ${step}: ${textOf(held())}`);
  }
  const end = held();
  const flat = end.bytes === warm.bytes && end.tensors === warm.tensors && end.reservedBytes === warm.reservedBytes;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`memory over ${steps} steps in ${seconds} s: ${flat ? 'flat' : 'NOT flat'}`);
  console.log(`from ${textOf(warm)}\nto   ${textOf(end)}`);
  return flat;
}

/** One forward pass whose result nothing frees; returns a value of the result, or a promise of one. */
type Pass = (model: ReturnType<typeof network>, seed: number) => number | Promise<number>;

const LOOPS: Readonly<Record<string, { training: boolean; pass: Pass }>> = {
  'eval(), awaited': { training: false, pass: async (model, seed) => (await model.forward(images(1, seed)).data())[0] },
  'eval(), synchronous': { training: false, pass: (model, seed) => model.forward(images(1, seed)).dataSync()[0] },
  'noGrad(), awaited': { training: true, pass: async (model, seed) => (await noGrad(() => model.forward(images(1, seed))).data())[0] },
  'noGrad(), synchronous': {
    training: true,
    pass: (model, seed) => noGrad((): Tensor => model.forward(images(1, seed))).dataSync()[0],
  },
};

/** Runs one loop of passes and returns whether the heap stopped growing. A synchronous loop never lets the event loop run. */
async function infer(name: string, passes: number, backend: Backend): Promise<boolean> {
  const { training, pass } = LOOPS[name];
  const model = network().train(training);
  const warmPasses = Math.ceil(passes / 10);
  let warm = held();
  const start = performance.now();
  for (let i = 1; i <= passes; i++) {
    const result = pass(model, i % 1000);
    const value = typeof result === 'number' ? result : await result;
    if (!Number.isFinite(value)) throw new Error(`${name}: pass ${i} gives ${value}`);
    if (i === warmPasses) warm = held();
    if (i % warmPasses === 0) console.log(`${name}, pass ${i}: ${textOf(held())}`);
  }
  const end = held();
  const flat = end.reservedBytes === warm.reservedBytes;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${name}: ${passes} passes on ${backend.name} in ${seconds} s, memory ${flat ? 'flat' : 'NOT flat'}`);
  model.dispose();
  return flat;
}

const backend = await init({ threads: 1 });
let flat = true;
if (values.passes === undefined) flat = await train(Number(values.steps));
else for (const name of Object.keys(LOOPS)) flat = (await infer(name, Number(values.passes), backend)) && flat;
process.exit(flat ? 0 : 1);
