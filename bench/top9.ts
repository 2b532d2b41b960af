/**
 * `npm run bench:top9 -- [--images 10000] [--quick] [--threads N]`
 *
 * Measures what looking into a network costs compared with running it: finding the strongest activations of every map of all five layers
 * against plain inference over the same images, with the memory needed; and projecting 256 maps of conv5 together against one by one.
 * Results are compared before anything is timed.
 */
import { parseArgs } from 'node:util';
import type { Example } from '../src/data/index.js';
import { deconvnet, init, memory, noGrad, projectMaps, resetPeakMemory, tensor, topActivations, type ZfNet, zfnet } from '../src/index.js';
import { noise } from './harness.js';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '10000' },
    maps: { type: 'string', default: '256' },
    quick: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
  },
});
const LAYERS = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5'];
const BATCH = 64;

await init({ threads: Number(values.threads) });
await overInference(values.quick ? 512 : Number(values.images));
await oneWalk(values.quick ? 16 : Number(values.maps));
process.exit();

/** Deterministic images of noise, generated on demand. */
function noiseImages(length: number, side: number) {
  const block = Uint8Array.from(noise(side * side * 3 + 4096, 1), (value) => Math.floor(128 + 127 * value));
  const get = async (index: number): Promise<Example> => {
    const start = (index * 1031) % 4096;
    return {
      image: { width: side, height: side, channels: 3, data: block.subarray(start, start + side * side * 3) },
      label: 0,
      index,
      name: String(index),
    };
  };
  return { length, labels: new Int32Array(length), get };
}

function toInput(examples: readonly Example[], side: number) {
  const plane = side * side;
  const input = new Float32Array(examples.length * 3 * plane);
  examples.forEach(({ image }, n) => {
    for (let p = 0; p < plane; p++) for (let c = 0; c < 3; c++) input[(n * 3 + c) * plane + p] = (image.data[p * 3 + c] - 128) / 64;
  });
  return tensor(input, [examples.length, 3, side, side]);
}

async function overInference(images: number): Promise<void> {
  const side = 64;
  const model = zfnet('a', { inputSize: side, classes: 100, init: 'he', seed: 1 }).eval();
  const split = noiseImages(images, side);
  const preprocess = (examples: readonly Example[]) => toInput(examples, side);
  await checkStrongest(model, side);
  const looking = async () => {
    await topActivations(model, split, { layers: LAYERS, batchSize: BATCH, preprocess });
  };
  const inference = async () => {
    for (let start = 0; start < images; start += BATCH) {
      const examples = await Promise.all(Array.from({ length: Math.min(BATCH, images - start) }, (_, i) => split.get(start + i)));
      const logits = noGrad(() => model.forward(preprocess(examples)));
      await logits.data();
      logits.dispose();
    }
  };
  // Alternating, so that other work on the machine affects both alike.
  const times = { inference: [] as number[], looking: [] as number[] };
  resetPeakMemory();
  let resident = 0;
  for (let turn = 0; turn < (values.quick ? 2 : 1); turn++) {
    times.inference.push(await secondsOf(inference));
    times.looking.push(await secondsOf(looking));
    resident = Math.max(resident, process.memoryUsage.rss());
  }
  const [plain, top] = [Math.min(...times.inference), Math.min(...times.looking)];
  console.log(`top 9 of ${LAYERS.length} layers, ${images} images of ${side}×${side}, batches of ${BATCH}, ${values.threads} threads`);
  console.log(
    `  inference ${plain.toFixed(1)} s (${(images / plain).toFixed(0)} images/s); strongest activations ${top.toFixed(1)} s: ${(top / plain).toFixed(2)} times`,
  );
  console.log(
    `  memory: tensors ${mib(memory().peakBytes)}, the process ${mib(resident)}, of which weights ${mib(4 * model.parameters().reduce((sum, { size }) => sum + size, 0))}`,
  );
  model.dispose();
}

/** Checks, on a few images, that the activations found are the maxima of the whole feature maps. */
async function checkStrongest(model: ZfNet, side: number): Promise<void> {
  const split = noiseImages(5, side);
  const preprocess = (examples: readonly Example[]) => toInput(examples, side);
  const { conv5 } = await topActivations(model, split, { layers: ['conv5'], count: 1, batchSize: 2, preprocess });
  const examples = await Promise.all([0, 1, 2, 3, 4].map(split.get));
  const output = noGrad(() => model.activations(preprocess(examples), ['relu5']).relu5);
  const activations = Float32Array.from(await output.data());
  const plane = output.size / (5 * output.shape[1]);
  const loudest = activations.reduce((max, value) => Math.max(max, value), 0);
  for (const { map, strongest } of conv5) {
    const best = [0, 1, 2, 3, 4].map((n) =>
      Math.max(...activations.subarray((n * output.shape[1] + map) * plane, (n * output.shape[1] + map + 1) * plane)),
    );
    const [{ index, value }] = strongest;
    // With another batch size the order of summation may differ.
    const isClose = (other: number) => Math.abs(other - value) <= 1e-5 * loudest;
    if (!isClose(Math.max(...best)) || !isClose(best[index]))
      throw new Error(`map ${map}: found ${value} in image ${index}, expected one of ${best}`);
  }
  output.dispose();
}

async function oneWalk(count: number): Promise<void> {
  const side = 224;
  const model = zfnet('a', { classes: 100, init: 'he', seed: 1 });
  const image = tensor(noise(3 * side * side, 2), [1, 3, side, side]);
  const places = Array.from({ length: count }, (_, map) => ({ map }));
  const net = deconvnet(model);
  let together = Number.POSITIVE_INFINITY;
  let pictures: Float32Array[] = [];
  resetPeakMemory();
  for (let turn = 0; turn < 2; turn++) {
    const seconds = await secondsOf(async () => {
      pictures = (await projectMaps(model, image, 'conv5', places)).map(({ projection }) => projection);
    });
    together = Math.min(together, seconds);
  }
  const peak = memory().peakBytes;
  let worst = 0;
  const alone = await secondsOf(async () => {
    for (const { map } of places) {
      const picture = await net.project(image, { layer: 'conv5', map });
      const expected = Float32Array.from(await picture.data());
      picture.dispose();
      const scale = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      for (let i = 0; i < expected.length; i++) worst = Math.max(worst, Math.abs(expected[i] - pictures[map][i]) / (scale || 1));
    }
  });
  if (!(worst < 1e-5)) throw new Error(`the two methods differ by ${worst} of the largest value`);
  console.log(`${count} maps of conv5 of one image of ${side}×${side}, ${values.threads} threads`);
  console.log(`  one by one ${alone.toFixed(2)} s, together ${together.toFixed(2)} s: ${(alone / together).toFixed(1)} times faster`);
  console.log(
    `  equal to ${worst.toExponential(0)} of the largest value; tensors of the joint projection ${mib(peak)}, of which weights ${mib(4 * model.parameters().reduce((sum, { size }) => sum + size, 0))}`,
  );
}

/** Elapsed time; for one thread its processor time, because the machine may be shared. */
async function secondsOf(run: () => Promise<void>): Promise<number> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(before);
  return values.threads === '1' ? (user + system) / 1e6 : (performance.now() - start) / 1000;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
