/**
 * `npm run bench:step -- [--batch 16] [--threads N]`: measures a training step of full-size ZFNet (variant `a`, 224×224, 1000 classes):
 * time, images per second, hours per ImageNet epoch, and peak memory beside the estimate.
 */
import { parseArgs } from 'node:util';
import { crossEntropy, init, memory, SGD, tensor, trainingBytes, zfnet } from '../src/index.js';
import { noise } from './harness.js';

const { values } = parseArgs({
  options: { batch: { type: 'string', default: '16' }, threads: { type: 'string', default: '1' }, steps: { type: 'string', default: '4' } },
});
const batch = Number(values.batch);
const size = 224;
const classes = 1000;
await init({ threads: Number(values.threads) });
const model = zfnet('a', { classes, seed: 1 });
const sgd = new SGD(model.parameters(), { lr: 1e-4, momentum: 0.9, maxFilterRms: 0.1 });
const images = tensor(noise(batch * 3 * size * size, 1), [batch, 3, size, size]);
const labels = tensor(Int32Array.from({ length: batch }, (_, i) => (i * 37) % classes));
const times: number[] = [];
for (let step = 0; step < Number(values.steps); step++) {
  const start = performance.now();
  const loss = crossEntropy(model.forward(images), labels);
  loss.backward();
  sgd.step();
  sgd.zeroGrad();
  const value = await loss.item();
  times.push(performance.now() - start);
  if (!Number.isFinite(value)) throw new Error(`the loss is ${value}`);
  console.log(`step ${step + 1}: loss ${value.toFixed(4)}, ${times[step].toFixed(0)} ms`);
}
const rate = (1000 * batch) / Math.min(...times);
const IMAGENET = 1_281_167;
const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
const { peakBytes, reservedBytes } = memory();
const foreseen = trainingBytes(() => zfnet('a', { classes }), [batch, 3, size, size]);
console.log(
  `batch ${batch}, ${values.threads} threads: ${rate.toFixed(1)} images/s, ${(IMAGENET / rate / 3600).toFixed(1)} hours for ImageNet's ${IMAGENET} images; tensors held ${gib(peakBytes)} at most (foreseen: ${gib(foreseen)}), the heap grew to ${gib(reservedBytes)} of 4 GiB`,
);
process.exit();
