/**
 * `npm run bench:occlude -- [--threads N] [--input-size 224] [--square 32] [--stride 8]`: times the occlusion sweep of one image by
 * full-size ZFNet (variant `a`, 1000 classes) in one run: first with every occluded image computed whole, then computing only the
 * activations that the square affects. Checks that both give the same values.
 */
import { parseArgs } from 'node:util';
import { init, noGrad, type Occlusion, occlude, tensor, zfnet } from '../src/index.js';
import { noise } from './harness.js';

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    'input-size': { type: 'string', default: '224' },
    square: { type: 'string', default: '32' },
    stride: { type: 'string', default: '8' },
  },
});
/** Batch sizes tried for whole images; the best one counts. */
const WHOLE_BATCHES = [16, 64];
const inputSize = Number(values['input-size']);
await init({ threads: Number(values.threads) });
// He initialisation, so that activations neither vanish nor explode through the layers.
const model = zfnet('a', { inputSize, init: 'he', seed: 1 }).eval();
const shape = [1, 3, inputSize, inputSize];
const image = tensor(noise(3 * inputSize * inputSize, 1), shape);
const options = { square: Number(values.square), stride: Number(values.stride), layer: 'conv5' };

interface Timed {
  /** Elapsed time. */
  seconds: number;
  /** Processor time of all threads: the value to compare on a shared machine. */
  cpuSeconds: number;
  result: Occlusion;
}

async function timed(settings: { incremental: boolean; batchSize?: number }): Promise<Timed> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const result = await occlude(model, image, { ...options, ...settings });
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6, result };
}

/** Largest difference, relative to the largest value. */
function apart(a: readonly number[], b: readonly number[]): number {
  const scale = Math.max(...a.map(Math.abs));
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]))) / scale;
}

noGrad(() => model.forward(image).dispose());
const whole: (Timed & { batchSize: number })[] = [];
for (const batchSize of WHOLE_BATCHES) whole.push({ ...(await timed({ incremental: false, batchSize })), batchSize });
const naive = whole.reduce((best, each) => (each.seconds < best.seconds ? each : best));
const cone = await timed({ incremental: true });
for (const key of ['probability', 'activation'] as const) {
  const difference = apart(naive.result[key], cone.result[key]);
  console.log(`${key}: the two sweeps differ by ${difference.toExponential(1)} of the largest`);
  if (!(difference <= 1e-5)) throw new Error(`${key}: the two sweeps differ`);
}
if (naive.result.labels.some((label, i) => label !== cone.result.labels[i])) throw new Error('the two sweeps predict different classes');
const { places } = cone.result;
console.log(
  `${places.length} places of a ${values.square}×${values.square} square, image ${inputSize}×${inputSize}, ${values.threads} threads`,
);
const line = ({ seconds, cpuSeconds }: Timed) => `${seconds.toFixed(2)} s (${cpuSeconds.toFixed(2)} s of processor time)`;
for (const each of whole) console.log(`whole images, ${each.batchSize} at once: ${line(each)}`);
console.log(`affected activations only: ${line(cone)}`);
console.log(
  `${(naive.seconds / cone.seconds).toFixed(2)} times as fast by elapsed time, ${(naive.cpuSeconds / cone.cpuSeconds).toFixed(2)} times by processor time`,
);
process.exit();
