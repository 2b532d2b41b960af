/**
 * `npm run bench:flat -- [--steps 10000]`: trains a small network on new inputs in each step, without any `dispose`, and prints the memory
 * of the engine's tensors, of its heap and of the process. Fails unless tensors and heap are constant from step 100 on.
 */
import { parseArgs } from 'node:util';
import { crossEntropy, init, memory, SGD, tensor, zfnet } from '../src/index.js';
import { noise } from './harness.js';

const { values } = parseArgs({ options: { steps: { type: 'string', default: '10000' } } });
const steps = Number(values.steps);
const [batch, size, classes] = [8, 28, 10];
/** Number of steps after which the heap must have reached its final size. */
const WARM = 100;

await init({ threads: 1 });
const model = zfnet('small', { classes, channels: 1, width: 0.02, seed: 1 });
const sgd = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, maxFilterRms: 0.1 });
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
const held = () => {
  const { bytes, tensors, reservedBytes } = memory();
  return { bytes, tensors, reservedBytes, process: process.memoryUsage().rss };
};
let warm = held();
const start = performance.now();
for (let step = 1; step <= steps; step++) {
  const images = tensor(noise(batch * size * size, step), [batch, 1, size, size]);
  const labels = tensor(Int32Array.from({ length: batch }, (_, i) => (i * 7 + step) % classes));
  const loss = crossEntropy(model.forward(images), labels);
  loss.backward();
  sgd.step();
  sgd.zeroGrad();
  await loss.item();
  if (step === WARM) warm = held();
  if (step !== WARM && step !== steps && step % Math.ceil(steps / 10) !== 0) continue;
  const now = held();
  console.log(
    `step ${step}: ${now.tensors} tensors hold ${mib(now.bytes)}, the heap ${mib(now.reservedBytes)}, the process ${mib(now.process)}`,
  );
}
const end = held();
const flat = end.bytes === warm.bytes && end.tensors === warm.tensors && end.reservedBytes === warm.reservedBytes;
console.log(
  `memory over ${steps} steps: ${flat ? 'flat' : 'NOT flat'} (tensors ${mib(warm.bytes)} → ${mib(end.bytes)}, heap ${mib(warm.reservedBytes)} → ${mib(end.reservedBytes)}, process ${mib(warm.process)} → ${mib(end.process)}) in ${((performance.now() - start) / 1000).toFixed(0)} s`,
);
process.exit(flat ? 0 : 1);
